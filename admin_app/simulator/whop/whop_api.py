"""Whop's API under /whop/api/v1, for the calls that the product makes."""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator.whop import whop_actions, whop_answers
from admin_app.simulator.whop.whop_records import ACCOUNT_ID, PRODUCT_ID, Membership, Payment, Refund, iso
from admin_app.simulator.world import World

_DEFAULT_PAGE, _LARGEST_PAGE = 20, 100


class _Failed(Exception):
    def __init__(self, status: int, kind: str, message: str, param: str | None = None) -> None:
        self.status, self.kind, self.message, self.param = status, kind, message, param


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("whop", __name__, url_prefix="/whop/api/v1")
    _guarded(routes, world)

    @routes.get("/memberships")
    def memberships() -> Response:
        return jsonify(_page(_filtered(world), whop_answers.membership))

    @routes.get("/memberships/<membership_id>")
    def membership(membership_id: str) -> Response:
        return jsonify(whop_answers.membership(_membership(world, membership_id)))

    @routes.post("/memberships/<membership_id>/cancel")
    def cancel(membership_id: str) -> Response:
        record, wanted = _membership(world, membership_id), _body()
        if record.is_over:
            raise _Failed(409, "conflict", "This membership is canceled already.")
        if wanted.get("cancel_at_period_end"):
            record = whop_actions.set_cancellation(world, record, cancels=True)
        else:
            record = whop_actions.deactivate(world, record, {})
        return jsonify(whop_answers.membership(record))

    @routes.patch("/memberships/<membership_id>")
    def update(membership_id: str) -> Response:
        record, wanted = _membership(world, membership_id), _body()
        cancels = wanted.get("cancel_at_period_end")
        if cancels is not None:
            if record.is_over or not isinstance(cancels, bool):
                message = "Only the cancellation of a membership that goes on can be changed."
                raise _Failed(400, "bad_request", message, "cancel_at_period_end")
            record = whop_actions.set_cancellation(world, record, cancels=cancels)
        return jsonify(whop_answers.membership(record))

    @routes.post("/memberships/<membership_id>/reactivate")
    def reactivate(membership_id: str) -> Response:
        record = _membership(world, membership_id)
        if not record.is_over or not record.terms.is_bought_once:
            raise _Failed(409, "conflict", "Active and recurring memberships cannot be reactivated.")
        return jsonify(whop_answers.membership(whop_actions.reactivate(world, record)))

    @routes.get("/members/<member_id>")
    def member(member_id: str) -> Response:
        record = whop_actions.find_by_member(world, member_id)
        if record is None:
            raise _Failed(404, "not_found", "No such member.")
        return jsonify(whop_answers.member(record))

    @routes.get("/payments/<payment_id>")
    def payment(payment_id: str) -> Response:
        found = world.store.get("payment", payment_id)
        if found is None:
            raise _Failed(404, "not_found", "No such payment.")
        paid = Payment.read(found)
        return jsonify(whop_answers.payment(paid, _membership(world, paid.membership_id)))

    @routes.get("/payments")
    def payments() -> Response:
        return jsonify(_payments(world))

    @routes.post("/payments/<payment_id>/refund")
    def refund(payment_id: str) -> Response:
        return jsonify(_refund(world, payment_id))

    @routes.get("/refunds")
    def refunds() -> Response:
        return jsonify(_refunds(world))

    return routes


def _payments(world: World) -> dict[str, Any]:
    wanted = request.args.get("membership_id")
    found = [Payment.read(each) for each in world.store.all("payment")]
    found = [paid for paid in found if wanted is None or paid.membership_id == wanted]
    found.sort(key=lambda paid: (paid.created_at, paid.id), reverse=True)
    return _page(found, lambda paid: whop_answers.payment(paid, _membership(world, paid.membership_id)))


def _refunds(world: World) -> dict[str, Any]:
    wanted = request.args.get("payment_id")
    found = [Refund.read(each) for each in world.store.all("whop_refund")]
    found = [made for made in found if wanted is None or made.payment_id == wanted]
    found.sort(key=lambda made: (made.created_at, made.id), reverse=True)
    return _page(found, whop_answers.refund)


def _refund(world: World, payment_id: str) -> dict[str, Any]:
    """As asked for; the same key again is answered as the payment is now, and gives nothing back twice."""
    body = request.get_json(silent=True)
    wanted = body if isinstance(body, dict) else {}
    key = request.headers.get("Idempotency-Key", "")
    with world.store.lock:
        found = world.store.get("payment", payment_id)
        if found is None:
            raise _Failed(404, "not_found", "No such payment.")
        paid = Payment.read(found)
        record = _membership(world, paid.membership_id)
        if not key or world.store.get("whop_key", key) is None:
            left = record.terms.cents - paid.refunded if paid.paid else 0
            stated = wanted.get("partial_amount")
            cents = left if stated is None else min(left, round(float(stated) * 100))
            if cents <= 0:
                raise _Failed(400, "bad_request", "This payment cannot be refunded.")
            paid = whop_actions.refund(world, paid, cents, {}, metadata=wanted.get("metadata") or {})
            if key:
                world.store.put("whop_key", {"id": key})
    return whop_answers.payment(paid, _membership(world, paid.membership_id))


def _guarded(routes: Blueprint, world: World) -> None:
    """The API key, the faults that are switched on, and errors in Whop's form."""

    @routes.errorhandler(_Failed)
    def failed(error: _Failed) -> tuple[Response, int]:
        problem = {"type": error.kind, "message": error.message, "param": error.param}
        return jsonify({"error": problem}), error.status

    @routes.before_request
    def guard() -> Response | None:
        wanted = f"Bearer {world.settings.whop_api_key}".encode()
        given = request.headers.get("Authorization", "").encode()
        if not world.settings.whop_api_key or not hmac.compare_digest(wanted, given):
            raise _Failed(401, "unauthorized", "The API key is missing or unknown.")
        return world.faults.before("whop", request)

    @routes.after_request
    def leave(response: Response) -> Response:
        return world.faults.after(request, response)


def _body() -> dict[str, Any]:
    wanted = request.get_json(silent=True)
    return wanted if isinstance(wanted, dict) else {}


def _membership(world: World, membership_id: str) -> Membership:
    record = whop_actions.find(world, membership_id)
    if record is None:
        raise _Failed(404, "not_found", "No such membership.")
    return record


def _filtered(world: World) -> list[Membership]:
    query = request.args

    def listed(*names: str) -> set[str]:
        return {value for name in names for value in query.getlist(name)}

    exact: list[tuple[set[str], Callable[[Membership], str]]] = [
        (listed("account_id"), lambda _: ACCOUNT_ID),
        (listed("product_id", "product_ids"), lambda _: PRODUCT_ID),
        (listed("plan_id", "plan_ids"), lambda record: record.terms.id),
        (listed("user_id"), lambda record: record.user_id),
        (listed("member_id"), lambda record: record.member_id),
    ]
    statuses = listed("status", "statuses")
    after, before = query.get("created_after"), query.get("created_before")
    records = [
        record
        for record in map(Membership.read, world.store.all("membership"))
        if all(not wanted or value(record) in wanted for wanted, value in exact)
        and (not statuses or _status(record) in statuses)
        and (after is None or iso(record.created_at) > after)
        and (before is None or iso(record.created_at) < before)
    ]
    # Newest first, as a list of sales is; ids break ties so that pages never overlap.
    records.sort(key=lambda record: (record.created_at, record.id), reverse=query.get("direction") != "asc")
    return records


def _status(record: Membership) -> str:
    """The bucket that the status filter means: a membership set to cancel is no longer `active` there."""
    return "canceling" if record.status == "active" and record.cancel_at_period_end else record.status


def _page(records: Sequence[Any], shown_as: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """One page forward from `after`, or backward from `before`."""
    ids = [record.id for record in records]
    low = _position(ids, "after") + 1 if "after" in request.args else 0
    high = _position(ids, "before") if "before" in request.args else len(ids)
    if "last" in request.args or "before" in request.args:
        low = max(low, high - _size("last"))
    else:
        high = min(high, low + _size("first"))
    shown = records[low:high]
    return {
        "data": [shown_as(record) for record in shown],
        "page_info": {
            "start_cursor": _cursor(shown[0].id) if shown else None,
            "end_cursor": _cursor(shown[-1].id) if shown else None,
            "has_next_page": high < len(ids),
            "has_previous_page": low > 0,
        },
    }


def _size(name: str) -> int:
    given = request.args.get(name, str(_DEFAULT_PAGE))
    if not given.isdecimal() or int(given) < 1:
        raise _Failed(400, "invalid_request", f"{name} must be a positive number.", name)
    return min(int(given), _LARGEST_PAGE)


def _cursor(identity: str) -> str:
    return base64.urlsafe_b64encode(identity.encode()).decode()


def _position(ids: Sequence[str], name: str) -> int:
    try:
        return ids.index(base64.urlsafe_b64decode(request.args[name].encode()).decode())
    except (ValueError, binascii.Error):
        raise _Failed(400, "invalid_request", "The cursor is not one of ours.", name) from None
