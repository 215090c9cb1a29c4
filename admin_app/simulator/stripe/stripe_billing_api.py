"""Stripe's API for customers, subscriptions and invoices."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_billing as billing
from admin_app.simulator.stripe import stripe_billing_records as billing_records
from admin_app.simulator.stripe import stripe_calls as calls
from admin_app.simulator.stripe import stripe_records as records
from admin_app.simulator.stripe.stripe_records import CUSTOMER, INVOICE, INVOICE_PAYMENT, SUBSCRIPTION
from admin_app.simulator.world import World

_STATUSES = frozenset(
    {"active", "canceled", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid"}
)
_CHANGES = frozenset({"cancel_at_period_end", "expand", "pause_collection", "proration_behavior", "trial_end"})


def add(routes: Blueprint, world: World) -> None:
    @routes.get("/customers")
    def customers() -> Response:
        known = [found for found in world.store.all(CUSTOMER) if not found.get("deleted")]
        return jsonify(calls.page(world, CUSTOMER, "email", found=known))

    @routes.get("/customers/<customer_id>")
    def customer(customer_id: str) -> Response:
        return calls.one(world, CUSTOMER, customer_id)

    @routes.get("/invoices")
    def invoices() -> Response:
        return jsonify(calls.page(world, INVOICE, "customer", "status", found=_of_subscription(world)))

    @routes.get("/invoices/<invoice_id>")
    def invoice(invoice_id: str) -> Response:
        return calls.one(world, INVOICE, invoice_id)

    @routes.get("/invoices/<invoice_id>/lines")
    def invoice_lines(invoice_id: str) -> Response:
        found = world.store.get(INVOICE, invoice_id)
        if found is None:
            raise calls.missing("invoice", invoice_id)
        return jsonify({**found["lines"], "has_more": False})

    @routes.get("/invoice_payments")
    def invoice_payments() -> Response:
        return jsonify(calls.page(world, INVOICE_PAYMENT, "invoice", "status"))

    @routes.get("/subscriptions")
    def subscriptions() -> Response:
        billing.catch_up_all(world)
        return jsonify(calls.page(world, SUBSCRIPTION, "customer", found=_of_status(world)))

    @routes.get("/subscriptions/<subscription_id>")
    def subscription(subscription_id: str) -> Response:
        billing.find(world, subscription_id)
        return calls.one(world, SUBSCRIPTION, subscription_id)

    @routes.get("/subscription_items")
    def subscription_items() -> Response:
        found = billing.find(world, request.args.get("subscription", ""))
        if found is None:
            raise calls.missing("subscription", request.args.get("subscription", ""))
        return jsonify(calls.page(world, "subscription_item", found=billing_records.items(found)))

    @routes.post("/subscriptions/<subscription_id>")
    def update(subscription_id: str) -> Response:
        return calls.once(world, lambda wanted: _update(world, subscription_id, wanted))

    @routes.delete("/subscriptions/<subscription_id>")
    def cancel(subscription_id: str) -> Response:
        found = billing.find(world, subscription_id)
        if found is None or billing.is_over(found):
            raise calls.missing("subscription", subscription_id)
        return jsonify(records.shown(billing.end_now(world, found)))


def _of_subscription(world: World) -> list[Document]:
    """An invoice names its subscription deep inside."""
    wanted = request.args.get("subscription")
    return [
        found
        for found in world.store.all(INVOICE)
        if wanted is None or found["parent"]["subscription_details"]["subscription"] == wanted
    ]


def _of_status(world: World) -> list[Document]:
    """Those that are canceled only where they are asked for."""
    wanted = request.args.get("status")
    if wanted not in {None, "all", "ended", *_STATUSES}:
        raise calls.invalid("parameter_invalid", "status", "Unknown status.")
    ended = {"canceled", "incomplete_expired"}
    return [
        found
        for found in world.store.all(SUBSCRIPTION)
        if wanted in {"all", found["status"]}
        or (wanted is None and found["status"] != "canceled")
        or (wanted == "ended" and found["status"] in ended)
    ]


def _update(world: World, subscription_id: str, wanted: Mapping[str, Any]) -> Document:
    found = billing.find(world, subscription_id)
    if found is None:
        raise calls.missing("subscription", subscription_id)
    for name in wanted.keys() - _CHANGES:
        raise calls.invalid("parameter_unknown", name, "Received unknown parameter.")
    if billing.is_over(found):
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise calls.Failed(400, message, saved=True)
    key = request.headers.get("Idempotency-Key")
    changed = billing.change(world, found, _values(wanted), key=key)
    return calls.expanded(world, changed, wanted.get("expand"))


def _values(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The texts of the form as the values that they stand for."""
    values: dict[str, Any] = {}
    if "cancel_at_period_end" in wanted:
        if wanted["cancel_at_period_end"] not in {"true", "false"}:
            raise calls.invalid("parameter_invalid_boolean", "cancel_at_period_end", "Invalid boolean.")
        values["cancel_at_period_end"] = wanted["cancel_at_period_end"] == "true"
    if "trial_end" in wanted:
        values["trial_end"] = calls.number(wanted["trial_end"], "trial_end")
        if values["trial_end"] <= records.now():
            message = "Invalid timestamp: must be an integer Unix timestamp in the future."
            raise calls.invalid("parameter_invalid", "trial_end", message)
    if "pause_collection" in wanted:
        pause = wanted["pause_collection"]
        values["pause_collection"] = {"resumes_at": None, **pause} if isinstance(pause, dict) else None
    return values
