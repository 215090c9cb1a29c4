"""The controls of the simulated Stripe's subscriptions, and their part of the simulator's home page."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_billing as billing
from admin_app.simulator.stripe import stripe_billing_records as records
from admin_app.simulator.stripe import stripe_billing_seed, stripe_customers, stripe_price_records, stripe_records
from admin_app.simulator.stripe.stripe_records import CUSTOMER, SUBSCRIPTION
from admin_app.simulator.world import Refused, World, text

# By name: what is done to a subscription, with the parts of the body that it takes beside `deliver`.
ACTS: Mapping[str, tuple[Callable[..., Document], tuple[str, ...]]] = {
    "pay-invoice": (billing.pay_invoice, ()),
    "fail-invoice": (billing.fail_invoice, ()),
    "cancel": (billing.cancel, ("at_period_end",)),
    "uncancel": (billing.uncancel, ()),
    "change-price": (billing.change_price, ("amount", "interval")),
    "end-trial": (billing.end_trial, ("pays",)),
    "pause": (billing.pause, ("on",)),
    "rewind": (billing.rewind, ("days",)),
    "name-client": (stripe_customers.name_client, ("client_id",)),
}
_NUMBERS, _FLAGS = (
    frozenset({"amount", "client_id", "customers_client", "days", "trial_days"}),
    frozenset({"at_period_end", "on", "pays"}),
)
CUSTOMER_ACTS: Mapping[str, tuple[Callable[..., Document], tuple[str, ...]]] = {
    "name-client": (stripe_customers.name_client, ("client_id",)),
    "discount": (stripe_customers.discount_customer, ("discounts",)),
    "delete": (stripe_customers.delete_customer, ()),
}
_LISTS = frozenset({"items", "discounts"})
# By the name of a button: what it does, with what.
_BUTTONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "cancel-now": ("cancel", {"at_period_end": False}),
    "resume": ("pause", {"on": False}),
    "trial-unpaid": ("end-trial", {"pays": False}),
}


def controls(routes: Blueprint, world: World) -> None:
    @routes.post("/stripe/subscriptions")
    def subscribe() -> Response:
        body = request.get_json(silent=True)
        given = _given(body if isinstance(body, dict) else {}, _TO_BEGIN)
        if "email" not in given:
            raise Refused("email is needed.")
        return jsonify(stripe_records.shown(billing.subscribe(world, deliver=_delivers(body), **given)))

    @routes.post("/stripe/subscriptions/seed")
    def subscriptions_seeded() -> Response:
        return jsonify({"seeded": stripe_billing_seed.seed(world, request.get_json())})

    @routes.post("/stripe/subscriptions/<subscription_id>/<act>")
    def change(subscription_id: str, act: str) -> Response:
        if act not in ACTS:
            raise Refused(f"A subscription can: {', '.join(ACTS)}.")
        body = request.get_json(silent=True)
        do, takes = ACTS[act]
        given = _given(body if isinstance(body, dict) else {}, takes)
        return jsonify(stripe_records.shown(do(world, subscription_id, deliver=_delivers(body), **given)))

    @routes.post("/stripe/customers/<customer_id>/<act>")
    def change_customer(customer_id: str, act: str) -> Response:
        if act not in CUSTOMER_ACTS:
            raise Refused(f"A customer can: {', '.join(CUSTOMER_ACTS)}.")
        body = request.get_json(silent=True)
        do, takes = CUSTOMER_ACTS[act]
        given = _given(body if isinstance(body, dict) else {}, takes)
        return jsonify(stripe_records.shown(do(world, customer_id, deliver=_delivers(body), **given)))

    @routes.post("/pages/stripe/subscribe")
    def subscribe_by_form() -> WerkzeugResponse:
        form = request.form
        trial = form.get("trial_days", "").strip()
        client = form.get("client_id", "").strip()
        billing.subscribe(
            world,
            email=form.get("email", ""),
            client_id=_whole(client, "The client's number") if client else None,
            amount=_whole(form.get("amount", ""), "The amount") * 100,
            interval=form.get("interval", "month"),
            trial_days=_whole(trial, "The days of trial") if trial else None,
        )
        return redirect(url_for("panel.home"), 303)

    @routes.post("/pages/stripe/subscriptions/<subscription_id>")
    def change_subscription_by_form(subscription_id: str) -> WerkzeugResponse:
        act, given = _BUTTONS.get(request.form.get("act", ""), (request.form.get("act", ""), {}))
        if act == "change-price":
            given = {"amount": _whole(request.form.get("amount", ""), "The amount") * 100}
        if act not in ACTS:
            raise Refused(f"A subscription can: {', '.join(ACTS)}.")
        ACTS[act][0](world, subscription_id, **given)
        return redirect(url_for("panel.home"), 303)


_TO_BEGIN = (
    *("email", "name", "customer_id", "client_id", "amount", "currency", "interval", "trial_days"),
    *("items", "discounts", "customers_client"),
)


def overview(world: World, shown: int) -> dict[str, Any]:
    """The latest subscriptions as the home page lists them, with what can happen to each."""
    latest = [billing.find(world, found["id"]) or found for found in world.store.newest(SUBSCRIPTION, shown)]
    return {
        "subscriptions": [_row(world, found) for found in latest],
        "subscription_count": world.store.count(SUBSCRIPTION),
        "intervals": tuple(stripe_price_records.INTERVALS),
    }


def _row(world: World, found: Document) -> dict[str, Any]:
    first, *others = records.items(found)
    price = first["price"]
    cost = stripe_records.money(stripe_price_records.asked(first), price["currency"])
    more = f" and {len(others)} more" if others else ""
    customer = world.store.get(CUSTOMER, found["customer"]) or {}
    over, ends, trial = billing.is_over(found), found["cancel_at_period_end"], found["status"] == "trialing"
    paused, late = found["pause_collection"] is not None, found["status"] in {"past_due", "unpaid"}
    return {
        "id": found["id"],
        "payer": customer.get("email"),
        "price": f"{cost} a {price['recurring']['interval']}{more}",
        "whole_price": (price["unit_amount"] or 0) // 100,
        "status": found["status"] + ", ends with its period" * (ends and not over) + ", collection paused" * paused,
        "is_over": over,
        "acts": [
            (act, label)
            for possible, act, label in (
                (trial, "end-trial", "End the trial, paid"),
                (trial, "trial-unpaid", "End the trial, unpaid"),
                (not trial, "pay-invoice", "Pay what is open" if late else "Renew, paid"),
                (not trial, "fail-invoice", "Fail again" if late else "Renew, payment fails"),
                (not ends, "cancel", "Cancel at period end"),
                (ends, "uncancel", "Take the cancellation back"),
                (True, "cancel-now", "Cancel now"),
                (not paused, "pause", "Pause collection"),
                (paused, "resume", "Resume collection"),
            )
            if possible and not over
        ],
    }


def _given(body: Mapping[str, Any], takes: tuple[str, ...]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in takes:
        value = body.get(name)
        if value is None:
            continue
        if name in _FLAGS and not isinstance(value, bool):
            raise Refused(f"{name} must be true or false.")
        if name in _NUMBERS and (not isinstance(value, int) or isinstance(value, bool)):
            raise Refused(f"{name} must be a whole number.")
        if name in _LISTS and not (isinstance(value, list) and all(isinstance(each, dict) for each in value)):
            raise Refused(f"{name} must be a list of objects.")
        given[name] = value if name in _FLAGS | _NUMBERS | _LISTS else text(body, name)
    return given


def _delivers(body: Any) -> bool:
    return not isinstance(body, dict) or body.get("deliver", True) is True


def _whole(value: str, what: str) -> int:
    if not value.strip().isdecimal() or len(value) > 9:
        raise Refused(f"{what} must be a whole number.")
    return int(value)
