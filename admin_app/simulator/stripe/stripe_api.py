"""Stripe's API under /stripe/v1, for the calls that the product makes."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from admin_app.currencies import MOST_BY_CARD, currency_of
from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_actions, stripe_billing_api
from admin_app.simulator.stripe import stripe_calls as calls
from admin_app.simulator.stripe import stripe_records as records
from admin_app.simulator.stripe.stripe_records import CHARGE, DISPUTE, PAYMENT, REFUND, SESSION
from admin_app.simulator.world import Refused, World

_SHORTEST, _LONGEST = 30 * 60, 24 * 3600
_LEAST_AMOUNT = 50
_REFUNDABLE = frozenset({"won", "prevented", "warning_needs_response", "warning_under_review", "warning_closed"})
_REASONS = frozenset({"duplicate", "fraudulent", "requested_by_customer"})


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("stripe", __name__, url_prefix="/stripe/v1")
    calls.guarded(routes, world)
    stripe_billing_api.add(routes, world)

    @routes.post("/checkout/sessions")
    def create_session() -> Response:
        return calls.once(world, lambda wanted: _create_session(world, wanted))

    @routes.get("/checkout/sessions")
    def sessions() -> Response:
        return jsonify(calls.page(world, SESSION, "payment_intent", "customer", "status"))

    @routes.get("/checkout/sessions/<session_id>")
    def session(session_id: str) -> Response:
        stripe_actions.find_session(world, session_id)
        return calls.one(world, SESSION, session_id)

    @routes.post("/checkout/sessions/<session_id>/expire")
    def expire(session_id: str) -> Response:
        return calls.once(world, lambda _: _expire(world, session_id))

    @routes.get("/payment_intents/<payment_id>")
    def payment(payment_id: str) -> Response:
        return calls.one(world, PAYMENT, payment_id)

    @routes.post("/refunds")
    def create_refund() -> Response:
        return calls.once(world, lambda wanted: _create_refund(world, wanted))

    @routes.get("/refunds/<refund_id>")
    def refund(refund_id: str) -> Response:
        return calls.one(world, REFUND, refund_id)

    @routes.get("/refunds")
    def refunds() -> Response:
        return jsonify(calls.page(world, REFUND, "payment_intent", "charge"))

    @routes.get("/disputes")
    def disputes() -> Response:
        return jsonify(calls.page(world, DISPUTE, "payment_intent", "charge"))

    return routes


def _create_session(world: World, wanted: Mapping[str, Any]) -> Document:
    if "payment_method_types" in wanted:
        raise calls.invalid("parameter_unknown", "payment_method_types", "Received unknown parameter.")
    if wanted.get("mode") != "payment":
        raise calls.invalid("parameter_invalid", "mode", "Only payment is simulated.")
    if not wanted.get("success_url"):
        raise calls.invalid("parameter_missing", "success_url", "Missing required param.")
    if "@" not in wanted.get("customer_email", "@"):
        raise calls.invalid("email_invalid", "customer_email", "This is no e-mail address.")
    ends_in = calls.number(wanted.get("expires_at", records.now() + _LONGEST), "expires_at") - records.now()
    # The call took a moment to get here.
    if not _SHORTEST - 5 <= ends_in <= _LONGEST:
        raise calls.invalid("parameter_invalid", "expires_at", "It must be between 30 minutes and 24 hours from now.")
    amount, currency, title = _bought(wanted.get("line_items"))
    made = records.session(
        wanted,
        amount=amount,
        currency=currency,
        title=title,
        page=f"{world.settings.own_url}/stripe/pay",
        live=stripe_actions.is_live(world),
    )
    world.store.put(SESSION, made)
    return made


def _bought(items: Any) -> tuple[int, str, str]:
    """Amount, currency and name of the one thing that is sold."""
    if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
        raise calls.invalid("parameter_missing", "line_items", "One line item is needed.")
    price = items[0].get("price_data")
    if not isinstance(price, dict) or not isinstance(price.get("product_data"), dict):
        raise calls.invalid("parameter_missing", "line_items[0][price_data]", "Missing required param.")
    amount = calls.number(price.get("unit_amount"), "unit_amount") * calls.number(
        items[0].get("quantity", "1"), "quantity"
    )
    currency, title = str(price.get("currency", "")), str(price["product_data"].get("name", ""))
    if len(currency) != 3 or not currency.islower():
        raise calls.invalid("parameter_invalid", "currency", "Three letters in lower case are needed.")
    counted = currency_of(currency)
    if amount < (counted.least or _LEAST_AMOUNT):
        raise calls.invalid("amount_too_small", "unit_amount", "The amount is too small.")
    if amount > MOST_BY_CARD:
        raise calls.invalid("amount_too_large", "unit_amount", "The amount is too large.")
    if amount % counted.step:
        raise calls.invalid("parameter_invalid_integer", "unit_amount", "This currency has no such fraction.")
    if not title:
        raise calls.invalid("parameter_missing", "name", "Missing required param.")
    return amount, currency, title


def _expire(world: World, session_id: str) -> Document:
    found = stripe_actions.find_session(world, session_id)
    if found is None:
        raise calls.missing("session", session_id)
    try:
        return stripe_actions.expire(world, session_id)
    except Refused:
        message = f"Only Checkout Sessions with a status in [open] can be expired. It is {found['status']}."
        raise calls.Failed(400, message, saved=True) from None


def _create_refund(world: World, wanted: Mapping[str, Any]) -> Document:
    charge = _charge_to_refund(world, wanted)
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = calls.number(wanted["amount"], "amount") if "amount" in wanted else left
    if wanted.get("reason", "duplicate") not in _REASONS:
        raise calls.invalid("parameter_invalid", "reason", "Unknown reason.")
    if any(each["status"] not in _REFUNDABLE for each in stripe_actions.disputes_of(world, charge)):
        raise calls.Failed(400, "This charge is disputed.", code="charge_disputed", saved=True)
    if left == 0:
        raise calls.Failed(400, "The charge has already been refunded.", code="charge_already_refunded", saved=True)
    if not 0 < amount <= left:
        raise calls.Failed(400, "The amount is greater than what is left of the charge.", param="amount", saved=True)
    return stripe_actions.refund(
        world,
        charge,
        amount=amount,
        reason=wanted.get("reason"),
        metadata=wanted.get("metadata") or {},
        key=request.headers.get("Idempotency-Key"),
    )


def _charge_to_refund(world: World, wanted: Mapping[str, Any]) -> Document:
    payment_id = wanted.get("payment_intent")
    if payment_id:
        if world.store.get(PAYMENT, payment_id) is None:
            raise calls.missing("payment_intent", payment_id)
        charge = stripe_actions.taken_charge(world, payment_id)
    elif wanted.get("charge"):
        charge = world.store.get(CHARGE, wanted["charge"])
        if charge is None:
            raise calls.missing("charge", wanted["charge"])
    else:
        raise calls.invalid("parameter_missing", "payment_intent", "One of charge and payment_intent is needed.")
    if charge is None or not charge["captured"]:
        raise calls.Failed(400, "This PaymentIntent has no successful charge to refund.", saved=True)
    return charge
