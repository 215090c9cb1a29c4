"""Makes the simulated Stripe know payments that were made before it was there, without telling anybody."""

from collections.abc import Mapping
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_records as records
from admin_app.simulator.stripe.stripe_records import CHARGE, DISPUTE, MOVEMENT, PAYMENT, REFUND, SESSION
from admin_app.simulator.world import World

_PAID = {"paid": ("complete", "paid"), "processing": ("complete", "unpaid"), "failed": ("complete", "unpaid")}
_PAYMENT_STATUS = {"paid": "succeeded", "processing": "processing", "failed": "requires_payment_method"}
_CHARGE_STATUS = {"paid": "succeeded", "processing": "pending", "failed": "failed"}


def seed(world: World, wanted: list[Mapping[str, Any]]) -> int:
    """Each: session_id, payment_intent_id, charge_id, state (open, expired, paid, processing or failed), amount, fee,
    currency, email, title, subject, created_at, expires_at, refunds (id, amount, status, our_id, created_at) and
    dispute (id, reason, status, due_by); times in unix seconds. What is known already stays as it is."""
    found: dict[str, list[Document]] = {kind: [] for kind in (SESSION, PAYMENT, CHARGE, MOVEMENT, REFUND, DISPUTE)}
    for item in wanted:
        if world.store.get(SESSION, item["session_id"]) is None:
            _add(world, item, found)
    for kind, documents in found.items():
        world.store.put_all(kind, documents)
    return len(wanted)


def _add(world: World, item: Mapping[str, Any], found: dict[str, list[Document]]) -> None:
    metadata = {"subject": item["subject"]}
    kind, _, number = item["subject"].partition(":")
    if kind == "booking":
        metadata["bookingId"] = number
    status, payment_status = _PAID.get(item["state"], (item["state"], "unpaid"))
    session = records.session(
        {
            "customer_email": item["email"],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "expires_at": item["expires_at"],
            "success_url": f"{world.settings.base_url}/booking?session_id={{CHECKOUT_SESSION_ID}}",
        },
        amount=item["amount"],
        currency=item["currency"],
        title=item["title"],
        page=f"{world.settings.own_url}/stripe/pay",
        live=False,
    )
    url = f"{world.settings.own_url}/stripe/pay/{item['session_id']}" if status == "open" else None
    session |= {
        "id": item["session_id"],
        "created": item["created_at"],
        "status": status,
        "payment_status": payment_status,
        "payment_intent": item["payment_intent_id"],
        "url": url,
    }
    found[SESSION].append(session)
    if item["payment_intent_id"]:
        _add_payment(item, session, found)


def _add_payment(item: Mapping[str, Any], session: Document, found: dict[str, list[Document]]) -> None:
    state, at = item["state"], {"created": item["created_at"]}
    paid = state == "paid"
    payment = records.payment(session) | at | {"id": item["payment_intent_id"], "status": _PAYMENT_STATUS[state]}
    given_back = sum(each["amount"] for each in item["refunds"] if each["status"] != "failed")
    charge = records.charge(
        payment,
        status=_CHARGE_STATUS[state],
        method="card" if paid else "us_bank_account",
        failure_code="payment_intent_payment_attempt_failed" if state == "failed" else None,
    )
    movement = records.movement(charge) | at | {"id": f"txn_{item['charge_id'][3:]}", "source": item["charge_id"]}
    if item["fee"] is not None:
        movement |= {"fee": item["fee"], "net": item["amount"] - item["fee"]}
    charge |= at | {
        "id": item["charge_id"],
        "amount_refunded": given_back,
        "refunded": paid and given_back == item["amount"],
        "disputed": item["dispute"] is not None,
        "balance_transaction": movement["id"] if paid else None,
    }
    payment |= {"latest_charge": charge["id"], "amount_received": item["amount"] if paid else 0}
    if state == "failed":
        error = {"type": "card_error", "code": charge["failure_code"], "message": charge["failure_message"]}
        payment |= {"last_payment_error": error | {"charge": charge["id"]}}
    found[PAYMENT].append(payment)
    found[CHARGE].append(charge)
    if paid:
        found[MOVEMENT].append(movement)
    found[REFUND] += [_refund(charge, each) for each in item["refunds"]]
    if item["dispute"] is not None:
        found[DISPUTE].append(_dispute(charge, item["dispute"]))


def _refund(charge: Document, given: Mapping[str, Any]) -> Document:
    metadata = {"refundId": str(given["our_id"])}
    made = records.refund(charge, amount=given["amount"], reason=None, metadata=metadata, status=given["status"])
    made |= {"id": given["id"], "created": given["created_at"]}
    return made | {"failure_reason": "expired_or_canceled_card"} if given["status"] == "failed" else made


def _dispute(charge: Document, given: Mapping[str, Any]) -> Document:
    made = records.dispute(charge, reason=given["reason"])
    evidence = {**made["evidence_details"], "due_by": given["due_by"]}
    return made | {"id": given["id"], "status": given["status"], "evidence_details": evidence}
