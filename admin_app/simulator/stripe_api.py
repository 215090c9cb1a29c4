"""Stripe's API under /stripe/v1, for the calls that the product makes."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator import stripe_actions, stripe_forms
from admin_app.simulator import stripe_records as records
from admin_app.simulator.store import Document
from admin_app.simulator.stripe_records import CHARGE, DISPUTE, KINDS, PAYMENT, REFUND, SESSION
from admin_app.simulator.world import Refused, World

_KEY = "stripe_idempotency_key"
_SHORTEST, _LONGEST = 30 * 60, 24 * 3600
_LEAST_AMOUNT = 50
_DEFAULT_PAGE, _LARGEST_PAGE = 10, 100
_REASONS = frozenset({"duplicate", "fraudulent", "requested_by_customer"})


class _Failed(Exception):
    """`saved` errors come from doing, not from reading, the call: a repeat of its key is told the same."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        saved: bool = False,
    ) -> None:
        self.status, self.saved = status, saved
        stated = {"type": kind, "code": code, "message": message, "param": param}
        self.body = {"error": {name: value for name, value in stated.items() if value is not None}}


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("stripe", __name__, url_prefix="/stripe/v1")
    _guarded(routes, world)

    @routes.post("/checkout/sessions")
    def create_session() -> Response:
        return _once(world, lambda wanted: _create_session(world, wanted))

    @routes.get("/checkout/sessions/<session_id>")
    def session(session_id: str) -> Response:
        stripe_actions.find_session(world, session_id)
        return _one(world, SESSION, session_id)

    @routes.post("/checkout/sessions/<session_id>/expire")
    def expire(session_id: str) -> Response:
        return _once(world, lambda _: _expire(world, session_id))

    @routes.get("/payment_intents/<payment_id>")
    def payment(payment_id: str) -> Response:
        return _one(world, PAYMENT, payment_id)

    @routes.post("/refunds")
    def create_refund() -> Response:
        return _once(world, lambda wanted: _create_refund(world, wanted))

    @routes.get("/refunds/<refund_id>")
    def refund(refund_id: str) -> Response:
        return _one(world, REFUND, refund_id)

    @routes.get("/refunds")
    def refunds() -> Response:
        return jsonify(_page(world, REFUND))

    @routes.get("/disputes")
    def disputes() -> Response:
        return jsonify(_page(world, DISPUTE))

    return routes


def _guarded(routes: Blueprint, world: World) -> None:
    """The API key, the faults that are switched on, and errors in Stripe's form."""

    @routes.errorhandler(_Failed)
    def failed(error: _Failed) -> tuple[Response, int]:
        return jsonify(error.body), error.status

    @routes.before_request
    def guard() -> Response | None:
        wanted = f"Bearer {world.settings.stripe_secret_key}".encode()
        given = request.headers.get("Authorization", "").encode()
        if not world.settings.stripe_secret_key or not hmac.compare_digest(wanted, given):
            raise _Failed(401, "Invalid API Key provided.")
        return world.faults.before("stripe", request)

    @routes.after_request
    def leave(response: Response) -> Response:
        response.headers["Request-Id"] = records.new_id("req")
        return world.faults.after(request, response)


def _once(world: World, act: Callable[[Mapping[str, Any]], Document]) -> Response:
    """Do what a key asks once: the same call again is told the same, another call of that key is refused."""
    key = request.headers.get("Idempotency-Key", "")
    pairs = list(request.form.items(multi=True))
    fingerprint = hashlib.sha256(json.dumps([request.path, sorted(pairs)]).encode()).hexdigest()
    with world.store.lock:
        known = world.store.get(_KEY, key) if key else None
        if known is not None and known["fingerprint"] != fingerprint:
            message = "Keys for idempotent requests can only be used with the parameters they were first used with."
            raise _Failed(400, message, kind="idempotency_error")
        if known is None:
            known = {"id": key, "fingerprint": fingerprint, **_done(act, stripe_forms.decode(pairs))}
            if key and known.pop("saved"):
                world.store.put(_KEY, known)
    response = jsonify(known["body"])
    response.status_code = known["status"]
    return response


def _done(act: Callable[[Mapping[str, Any]], Document], wanted: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"status": 200, "body": records.shown(act(wanted)), "saved": True}
    except _Failed as error:
        return {"status": error.status, "body": error.body, "saved": error.saved}


def _create_session(world: World, wanted: Mapping[str, Any]) -> Document:
    if "payment_method_types" in wanted:
        raise _invalid("parameter_unknown", "payment_method_types", "Received unknown parameter.")
    if wanted.get("mode") != "payment":
        raise _invalid("parameter_invalid", "mode", "Only payment is simulated.")
    if not wanted.get("success_url"):
        raise _invalid("parameter_missing", "success_url", "Missing required param.")
    if "@" not in wanted.get("customer_email", "@"):
        raise _invalid("email_invalid", "customer_email", "This is no e-mail address.")
    ends_in = _number(wanted.get("expires_at", records.now() + _LONGEST), "expires_at") - records.now()
    # The call took a moment to get here.
    if not _SHORTEST - 5 <= ends_in <= _LONGEST:
        raise _invalid("parameter_invalid", "expires_at", "It must be between 30 minutes and 24 hours from now.")
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
        raise _invalid("parameter_missing", "line_items", "One line item is needed.")
    price = items[0].get("price_data")
    if not isinstance(price, dict) or not isinstance(price.get("product_data"), dict):
        raise _invalid("parameter_missing", "line_items[0][price_data]", "Missing required param.")
    amount = _number(price.get("unit_amount"), "unit_amount") * _number(items[0].get("quantity", "1"), "quantity")
    currency, title = str(price.get("currency", "")), str(price["product_data"].get("name", ""))
    if len(currency) != 3 or not currency.islower():
        raise _invalid("parameter_invalid", "currency", "Three letters in lower case are needed.")
    if amount < _LEAST_AMOUNT:
        raise _invalid("amount_too_small", "unit_amount", "The amount is too small.")
    if not title:
        raise _invalid("parameter_missing", "name", "Missing required param.")
    return amount, currency, title


def _expire(world: World, session_id: str) -> Document:
    found = stripe_actions.find_session(world, session_id)
    if found is None:
        raise _missing("session", session_id)
    try:
        return stripe_actions.expire(world, session_id)
    except Refused:
        message = f"Only Checkout Sessions with a status in [open] can be expired. It is {found['status']}."
        raise _Failed(400, message, saved=True) from None


def _create_refund(world: World, wanted: Mapping[str, Any]) -> Document:
    charge = _charge_to_refund(world, wanted)
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = _number(wanted["amount"], "amount") if "amount" in wanted else left
    if wanted.get("reason", "duplicate") not in _REASONS:
        raise _invalid("parameter_invalid", "reason", "Unknown reason.")
    if charge["disputed"]:
        raise _Failed(400, "This charge is disputed.", code="charge_disputed", saved=True)
    if left == 0:
        raise _Failed(400, "The charge has already been refunded.", code="charge_already_refunded", saved=True)
    if not 0 < amount <= left:
        raise _Failed(400, "The amount is greater than what is left of the charge.", param="amount", saved=True)
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
            raise _missing("payment_intent", payment_id)
        charge = stripe_actions.taken_charge(world, payment_id)
    elif wanted.get("charge"):
        charge = world.store.get(CHARGE, wanted["charge"])
        if charge is None:
            raise _missing("charge", wanted["charge"])
    else:
        raise _invalid("parameter_missing", "payment_intent", "One of charge and payment_intent is needed.")
    if charge is None or not charge["captured"]:
        raise _Failed(400, "This PaymentIntent has no successful charge to refund.", saved=True)
    return charge


def _one(world: World, kind: str, identity: str) -> Response:
    found = world.store.get(kind, identity)
    if found is None:
        raise _missing(kind.removeprefix("checkout_"), identity)
    paths = stripe_forms.decode(request.args.items(multi=True)).get("expand") or []
    expanded = dict(records.shown(found))
    for path in paths if isinstance(paths, list) else []:
        _expand(world, expanded, path.split("."))
    return jsonify(expanded)


def _expand(world: World, document: Document, path: list[str]) -> None:
    value = document.get(path[0])
    if isinstance(value, str):
        target = world.store.get(KINDS.get(value.partition("_")[0], ""), value)
        value = dict(records.shown(target)) if target else value
        document[path[0]] = value
    if path[1:] and isinstance(value, dict):
        _expand(world, value, path[1:])


def _page(world: World, kind: str) -> dict[str, Any]:
    """Newest first, as all of Stripe's lists."""
    wanted = {name: request.args[name] for name in ("payment_intent", "charge") if name in request.args}
    found = [
        records.shown(document)
        for document in reversed(world.store.all(kind))
        if all(document[name] == value for name, value in wanted.items())
    ]
    after = request.args.get("starting_after")
    if after is not None:
        ids = [document["id"] for document in found]
        if after not in ids:
            raise _missing(kind, after)
        found = found[ids.index(after) + 1 :]
    size = min(_number(request.args.get("limit", str(_DEFAULT_PAGE)), "limit"), _LARGEST_PAGE)
    return {
        "object": "list",
        "data": found[:size],
        "has_more": len(found) > size,
        "url": request.path.removeprefix("/stripe"),
    }


def _number(value: Any, name: str) -> int:
    if not str(value).isdecimal():
        raise _invalid("parameter_invalid_integer", name, f"Invalid integer: {value}")
    return int(value)


def _invalid(code: str, param: str, message: str) -> _Failed:
    return _Failed(400, message, code=code, param=param)


def _missing(what: str, identity: str) -> _Failed:
    return _Failed(404, f"No such {what}: '{identity}'", code="resource_missing", param=what)
