"""The objects of the simulated Stripe, kept in the shape in which its API shows them. Times are unix seconds."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

from admin_app.currencies import currency_of
from admin_app.simulator.store import Document

API_VERSION = "2026-10-28.endive"
SESSION, PAYMENT, CHARGE, REFUND, DISPUTE = "checkout_session", "payment_intent", "charge", "refund", "dispute"
MOVEMENT, EVENT = "balance_transaction", "stripe_event"
CUSTOMER, SUBSCRIPTION, INVOICE = "customer", "subscription", "invoice"
COUPON, DISCOUNT = "coupon", "discount"
INVOICE_PAYMENT = "invoice_payment"
# Where an id leads to, for `expand`.
KINDS = {
    "cs": SESSION,
    "pi": PAYMENT,
    "ch": CHARGE,
    "re": REFUND,
    "du": DISPUTE,
    "txn": MOVEMENT,
    "cus": CUSTOMER,
    "sub": SUBSCRIPTION,
    "in": INVOICE,
    "co": COUPON,
    "di": DISCOUNT,
}
_INNER = 10  # items of a list that is part of an object
_FEE_PER_MILLE, _FEE_FIXED = 29, 30


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def now() -> int:
    return int(time.time())


def money(amount: int, currency: str) -> str:
    """As a payer reads it: 150.00 EUR, or 5000 JPY, which has no smaller unit."""
    counted = currency_of(currency)
    whole, rest = divmod(amount, 10**counted.decimals)
    return f"{whole}.{rest:0{counted.decimals}} {counted.code}" if counted.shown else f"{whole} {counted.code}"


def _nothing(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names)


# What Stripe always answers and this simulator does not play.
_SESSION_UNPLAYED: dict[str, Any] = {
    **_nothing(
        *("after_expiration", "allow_promotion_codes", "allowed_payment_method_types", "billing_address_collection"),
        *("client_secret", "collected_information", "consent", "consent_collection", "currency_conversion"),
        *("customer", "customer_account", "discounts", "integration_identifier", "invoice", "locale"),
        *("managed_payments", "origin_context", "payment_link", "payment_method_configuration_details"),
        *("permissions", "recovered_from", "saved_payment_method_options", "setup_intent"),
        *("shipping_address_collection", "shipping_cost", "submit_type", "subscription", "wallet_options"),
    ),
    "adaptive_pricing": {"enabled": False},
    "invoice_creation": {
        "enabled": False,
        "invoice_data": {
            **_nothing(*("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")),
            "metadata": {},
        },
    },
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "custom_fields": [],
    "custom_text": _nothing("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"),
    "customer_creation": "if_required",
    "payment_method_collection": "if_required",
    "payment_method_options": {},
    "payment_method_types": ["card", "us_bank_account"],
    "shipping_options": [],
    "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    "ui_mode": "hosted_page",
}
_PAYMENT_UNPLAYED: dict[str, Any] = {
    **_nothing(
        *("allowed_payment_method_types", "application", "application_fee_amount", "automatic_payment_methods"),
        *("canceled_at", "cancellation_reason", "customer", "customer_account", "description"),
        *("excluded_payment_method_types", "managed_payments", "next_action", "on_behalf_of", "payment_method"),
        *("payment_method_configuration_details", "payment_record", "processing", "receipt_email", "review"),
        *("setup_future_usage", "shipping", "source", "statement_descriptor", "statement_descriptor_suffix"),
        "transfer_group",
    ),
    "amount_capturable": 0,
    "capture_method": "automatic_async",
    "confirmation_method": "automatic",
    "payment_method_options": {},
    "payment_method_types": ["card", "us_bank_account"],
}
_CHARGE_UNPLAYED: dict[str, Any] = {
    **_nothing(
        *("application", "application_fee", "application_fee_amount", "customer", "description"),
        *("failure_balance_transaction", "on_behalf_of", "payment_method", "receipt_email", "receipt_number"),
        *("receipt_url", "review", "shipping", "source", "source_transfer", "statement_descriptor"),
        *("statement_descriptor_suffix", "transfer_data", "transfer_group", "outcome"),
    ),
    "billing_details": _nothing("address", "email", "name", "phone", "tax_id"),
    "calculated_statement_descriptor": "DEMO STUDIO",
    "fraud_details": {},
}
_REFUND_UNPLAYED: dict[str, Any] = _nothing(
    *("customer", "customer_account", "payment_method", "receipt_number", "source_transfer_reversal"),
    "transfer_reversal",
)

_NO_EVIDENCE: dict[str, Any] = _nothing(
    *("access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure"),
    *("cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name"),
    *("customer_purchase_ip", "customer_signature", "duplicate_charge_documentation"),
    *("duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt", "refund_policy"),
    *("refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation"),
    *("shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation"),
    *("shipping_tracking_number", "uncategorized_file", "uncategorized_text"),
) | {"enhanced_evidence": {}}


def session(wanted: Mapping[str, Any], *, amount: int, currency: str, title: str, page: str, live: bool) -> Document:
    identity = new_id("cs_live" if live else "cs_test")
    created = now()
    return {
        "id": identity,
        "object": "checkout.session",
        **_SESSION_UNPLAYED,
        "amount_subtotal": amount,
        "amount_total": amount,
        "cancel_url": wanted.get("cancel_url"),
        "client_reference_id": wanted.get("client_reference_id"),
        "created": created,
        "currency": currency,
        "customer_details": None,
        "customer_email": wanted.get("customer_email"),
        "expires_at": int(wanted.get("expires_at") or created + 86400),
        "livemode": live,
        "metadata": dict(wanted.get("metadata") or {}),
        "mode": "payment",
        "payment_intent": None,
        "payment_status": "unpaid",
        "status": "open",
        "success_url": wanted.get("success_url"),
        "url": f"{page}/{identity}",
        # Not shown by the API: what the pay page needs.
        "_title": title,
        "_payment_metadata": dict((wanted.get("payment_intent_data") or {}).get("metadata") or {}),
    }


def payment(of: Document) -> Document:
    """The payment intent that a checkout makes when it is first paid."""
    identity = new_id("pi")
    return {
        "id": identity,
        "object": "payment_intent",
        **_PAYMENT_UNPLAYED,
        "amount": of["amount_total"],
        "amount_received": 0,
        "client_secret": f"{identity}_secret_{secrets.token_hex(8)}",
        "created": now(),
        "currency": of["currency"],
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": of["livemode"],
        "metadata": of["_payment_metadata"],
        "status": "requires_payment_method",
    }


def payment_of_invoice(of: Document) -> Document:
    """The payment intent that collects an invoice."""
    asked = {"amount_total": of["amount_due"], "currency": of["currency"], "livemode": of["livemode"]}
    made = payment(asked | {"_payment_metadata": {}})
    return made | {"customer": of["customer"], "created": of["created"]}


def invoice_payment(of: Document, by: Document) -> Document:
    """That this payment is for this invoice, all of it."""
    is_paid = by["status"] == "succeeded"
    return {
        "id": new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": of["amount_due"] if is_paid else None,
        "amount_requested": of["amount_due"],
        "created": of["created"],
        "currency": of["currency"],
        "invoice": of["id"],
        "is_default": True,
        "livemode": of["livemode"],
        "payment": {"payment_intent": by["id"], "type": "payment_intent"},
        "status": "paid" if is_paid else "open",
        "status_transitions": {"canceled_at": None, "paid_at": of["created"] if is_paid else None},
    }


def charge(of: Document, *, status: str, method: str = "card", failure_code: str | None = None) -> Document:
    """One try to take the money: succeeded, pending or failed."""
    taken = status == "succeeded"
    return {
        "id": new_id("ch"),
        "object": "charge",
        **_CHARGE_UNPLAYED,
        "amount": of["amount"],
        "amount_captured": of["amount"] if taken else 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": taken,
        "created": now(),
        "currency": of["currency"],
        "disputed": False,
        "failure_code": failure_code,
        "failure_message": "The payment was declined." if failure_code else None,
        "livemode": of["livemode"],
        "metadata": of["metadata"],
        "paid": taken,
        "payment_intent": of["id"],
        "payment_method_details": {"type": method},
        "refunded": False,
        "status": status,
    }


def movement(of: Document) -> Document:
    """What a charge adds to the balance, after Stripe's fee."""
    fee = (of["amount"] * _FEE_PER_MILLE + 500) // 1000 + _FEE_FIXED
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": of["amount"],
        "currency": of["currency"],
        "fee": fee,
        "net": of["amount"] - fee,
        "source": of["id"],
        "status": "pending",
        "type": "charge",
        "created": now(),
    }


def refund(of: Document, *, amount: int, reason: str | None, metadata: Mapping[str, str], status: str) -> Document:
    return {
        "id": new_id("re"),
        "object": "refund",
        **_REFUND_UNPLAYED,
        "amount": amount,
        "balance_transaction": new_id("txn"),
        "charge": of["id"],
        "created": now(),
        "currency": of["currency"],
        "metadata": dict(metadata),
        "payment_intent": of["payment_intent"],
        "reason": reason,
        "status": status,
    }


def dispute(of: Document, *, reason: str) -> Document:
    created = now()
    return {
        "id": new_id("du"),
        "object": "dispute",
        "amount": of["amount"],
        "balance_transactions": [],
        "charge": of["id"],
        "created": created,
        "currency": of["currency"],
        "enhanced_eligibility_types": [],
        "evidence": _NO_EVIDENCE,
        "evidence_details": {
            "due_by": created + 14 * 86400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": None,
        "is_charge_refundable": False,
        "livemode": of["livemode"],
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }


def event(
    name: str, about: Document, *, live: bool, previous: Mapping[str, Any] | None = None, key: str | None = None
) -> Document:
    data: dict[str, Any] = {"object": shown(about)}
    if previous is not None:
        data["previous_attributes"] = dict(previous)
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now(),
        "data": data,
        "livemode": live,
        "pending_webhooks": 1,
        "request": {"id": new_id("req") if key else None, "idempotency_key": key},
        "type": name,
    }


def shown(document: Document) -> Document:
    """Without what only the simulator knows or Stripe tells only when asked; lists within are cut, as Stripe's are."""
    answer = {name: _shown(value) for name, value in document.items() if not name.startswith("_")}
    if answer.get("object") == "list":
        cut = len(answer["data"]) > _INNER
        answer |= {"data": answer["data"][:_INNER], "has_more": answer["has_more"] or cut}
    return answer


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(each) for each in value]
    return shown(value) if isinstance(value, dict) else value
