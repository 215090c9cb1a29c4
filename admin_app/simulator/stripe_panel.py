"""The controls of the simulated Stripe under /_sim/stripe: what payers, banks and the dashboard do."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator import stripe_actions, stripe_records
from admin_app.simulator.store import Document
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
    "dispute": (stripe_actions.dispute, ("reason",)),
}
_KINDS = (stripe_records.SESSION, stripe_records.PAYMENT, stripe_records.CHARGE, stripe_records.REFUND)


def controls(routes: Blueprint, world: World) -> None:
    @routes.post("/stripe/delivery")
    def switch() -> Response:
        on = _body().get("on", True) is True
        stripe_actions.switch_delivery(world, on=on)
        return jsonify({"on": on})

    @routes.post("/stripe/<act>/<identity>")
    def act(act: str, identity: str) -> Response:
        if act not in _ACTS:
            raise Refused(f"Stripe can: {', '.join(_ACTS)}.")
        do, takes = _ACTS[act]
        body = _body()
        given = {name: _value(body, name) for name in takes if body.get(name) is not None}
        return jsonify(stripe_records.shown(do(world, identity, deliver=body.get("deliver", True) is True, **given)))

    @routes.get("/stripe/events")
    def events() -> Response:
        about = request.args.get("about", "")
        return jsonify([event for event in world.store.all(stripe_records.EVENT) if about in json.dumps(event)])

    @routes.get("/stripe/<kind>s")
    def listed(kind: str) -> Response:
        if kind not in _KINDS:
            raise Refused(f"Stripe has: {', '.join(_KINDS)}.")
        return jsonify([stripe_records.shown(document) for document in world.store.all(kind)])


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
