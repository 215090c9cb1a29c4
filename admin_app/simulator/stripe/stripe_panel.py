"""The controls of the simulated Stripe under /_sim/stripe: what payers, banks and the dashboard do."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_actions, stripe_records, stripe_seed
from admin_app.simulator.world import Refused, World, text

# By name: what is done to which object, with the parts of the body that it takes beside `deliver`.
_ACTS: Mapping[str, tuple[Callable[..., Document], tuple[str, ...]]] = {
    "pay": (stripe_actions.pay, ()),
    "decline": (stripe_actions.decline, ("code",)),
    "pay-later": (stripe_actions.pay_later, ()),
    "settle-async": (stripe_actions.settle_async, ("succeeds",)),
    "expire": (stripe_actions.expire, ()),
    "refund": (stripe_actions.refund_from_dashboard, ("amount", "reason")),
    "settle-refund": (stripe_actions.settle_refund, ("succeeds",)),
    "dispute": (stripe_actions.dispute, ("reason", "status", "amount")),
    "decide-dispute": (stripe_actions.decide_dispute, ("status",)),
}
_KINDS = (
    *(stripe_records.SESSION, stripe_records.PAYMENT, stripe_records.CHARGE, stripe_records.REFUND),
    *(stripe_records.CUSTOMER, stripe_records.SUBSCRIPTION, stripe_records.INVOICE),
)


def controls(routes: Blueprint, world: World) -> None:
    @routes.post("/stripe/delivery")
    def switch() -> Response:
        on = _body().get("on", True) is True
        stripe_actions.switch_delivery(world, on=on)
        return jsonify({"on": on})

    @routes.post("/stripe/seed")
    def stripe_seeded() -> Response:
        return jsonify({"seeded": stripe_seed.seed(world, request.get_json())})

    @routes.post("/stripe/<act>/<identity>")
    def act(act: str, identity: str) -> Response:
        if act not in _ACTS:
            raise Refused(f"Stripe can: {', '.join(_ACTS)}.")
        do, takes = _ACTS[act]
        body = _body()
        given = {name: _value(body, name) for name in takes if body.get(name) is not None}
        return jsonify(stripe_records.shown(do(world, identity, deliver=body.get("deliver", True) is True, **given)))

    @routes.post("/pages/stripe/<act>/<identity>")
    def stripe_by_form(act: str, identity: str) -> WerkzeugResponse:
        if act == "decline-async":
            stripe_actions.settle_async(world, identity, succeeds=False)
        elif act in _ACTS:
            _ACTS[act][0](world, identity)
        return redirect(url_for("panel.home"), 303)

    @routes.get("/stripe/events")
    def events() -> Response:
        about = request.args.get("about", "")
        return jsonify([event for event in world.store.all(stripe_records.EVENT) if about in json.dumps(event)])

    @routes.get("/stripe/<kind>s")
    def listed(kind: str) -> Response:
        if kind not in _KINDS:
            raise Refused(f"Stripe has: {', '.join(_KINDS)}.")
        return jsonify([stripe_records.shown(document) for document in world.store.all(kind)])


def overview(world: World, shown: int) -> dict[str, Any]:
    """The latest checkouts as the home page lists them, with what can happen to each."""
    sessions = [
        stripe_actions.find_session(world, found["id"]) or found
        for found in world.store.newest(stripe_records.SESSION, shown)
    ]
    return {
        "checkouts": [_checkout(world, session) for session in sessions],
        "checkout_count": world.store.count(stripe_records.SESSION),
    }


def _checkout(world: World, session: Document) -> dict[str, Any]:
    payment = world.store.get(stripe_records.PAYMENT, session["payment_intent"] or "") or {}
    charge = stripe_actions.taken_charge(world, payment.get("id", "")) or {}
    return {
        "id": session["id"],
        "title": session["_title"],
        "payer": session["customer_email"],
        "price": stripe_records.money(session["amount_total"], session["currency"]),
        "status": f"{session['status']}, {session['payment_status']}{_later(session, charge)}",
        "acts": [
            (act, identity, label)
            for possible, act, identity, label in (
                (session["status"] == "open", "expire", session["id"], "Let it expire"),
                (payment.get("status") == "processing", "settle-async", session["id"], "The bank says yes"),
                (payment.get("status") == "processing", "decline-async", session["id"], "The bank says no"),
                (charge and not charge["refunded"], "refund", payment.get("id"), "Refund at Stripe"),
                (charge and not charge["disputed"], "dispute", payment.get("id"), "Dispute"),
            )
            if possible
        ],
    }


def _later(session: Document, charge: Document) -> str:
    if not charge:
        return ""
    back = charge["amount_refunded"]
    given_back = f", {stripe_records.money(back, session['currency'])} refunded" if back else ""
    return given_back + (", disputed" if charge["disputed"] else "")


def _value(body: Mapping[str, Any], name: str) -> Any:
    if name == "succeeds":
        return body[name] is True
    if name == "amount":
        if not isinstance(body[name], int):
            raise Refused("amount must be a whole number.")
        return body[name]
    return text(body, name)


def _body() -> Mapping[str, Any]:
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}
