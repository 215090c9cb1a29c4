"""The simulator's own controls under /_sim: what a demo or a test lets happen at the providers."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from admin_app.simulator import faults, own_pages
from admin_app.simulator.calendars import calendar_home, calendar_panel
from admin_app.simulator.clerk import clerk_people, clerk_tokens
from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_billing_panel, stripe_panel
from admin_app.simulator.whop import whop_actions, whop_events
from admin_app.simulator.whop.whop_records import PLANS, Membership, Payment
from admin_app.simulator.workos import workos_panel
from admin_app.simulator.world import Refused, World

_SHOWN = 25


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("panel", __name__, url_prefix="/_sim")

    @routes.errorhandler(Refused)
    def refused(error: Refused) -> tuple[Response, int]:
        return jsonify({"error": str(error)}), 422

    routes.before_request(own_pages.refuse_others)

    @routes.get("/")
    def home() -> str:
        return render_template("home.html", **_overview(world))

    @routes.get("/deliveries")
    def deliveries() -> Response:
        return jsonify([delivery.summary() for delivery in list(world.deliveries.recent)])

    _whop_controls(routes, world)
    _clerk_controls(routes, world)
    workos_panel.controls(routes, world)
    stripe_billing_panel.controls(routes, world)
    stripe_panel.controls(routes, world)
    calendar_panel.controls(routes, world)
    calendar_home.forms(routes, world)

    @routes.post("/faults")
    def set_fault() -> Response:
        wanted = _wanted()
        provider, mode = wanted.get("provider"), str(wanted.get("mode"))
        if provider not in faults.PROVIDERS or mode not in faults.MODES:
            raise Refused(f"provider: {', '.join(faults.PROVIDERS)}; mode: {', '.join(faults.MODES)}.")
        times, seconds = _number(wanted, "times", 1), _number(wanted, "seconds", 30)
        world.faults.set(provider, mode, times, seconds, _number(wanted, "after", 0))
        return jsonify({"provider": provider, "mode": mode})

    return routes


def _overview(world: World) -> dict[str, Any]:
    return {
        "memberships": [Membership.read(found) for found in world.store.newest("membership", _SHOWN)],
        "membership_count": world.store.count("membership"),
        "people": world.store.newest("person", _SHOWN),
        "person_count": world.store.count("person"),
        "mail_count": world.store.count("mail"),
        "deliveries": list(world.deliveries.recent)[-_SHOWN:][::-1],
        "faults": world.faults.describe(),
        "plans": tuple(PLANS),
        "forms": whop_events.FORMS,
        "base_url": world.settings.base_url,
        "shown": _SHOWN,
        **stripe_panel.overview(world, _SHOWN),
        **stripe_billing_panel.overview(world, _SHOWN),
        **calendar_home.overview(world, _SHOWN),
    }


def _whop_controls(routes: Blueprint, world: World) -> None:
    @routes.post("/whop/purchases")
    def purchases() -> Response:
        return jsonify(whop_actions.purchase(world, _wanted()))

    @routes.post("/whop/memberships")
    def seed() -> Response:
        return jsonify({"seeded": whop_actions.seed(world, _wanted_list())})

    @routes.post("/whop/memberships/<membership_id>/deactivate")
    def deactivate(membership_id: str) -> Response:
        return _change(world, membership_id, whop_actions.deactivate)

    @routes.post("/whop/memberships/<membership_id>/cancel-at-period-end")
    def cancel_at_period_end(membership_id: str) -> Response:
        return _change(world, membership_id, whop_actions.cancel_at_period_end)

    @routes.post("/whop/memberships/<membership_id>/fail-payment")
    def fail_payment(membership_id: str) -> Response:
        record = whop_actions.find(world, membership_id)
        if record is None:
            raise Refused("There is no such membership.")
        return jsonify(whop_actions.fail_payment(world, record, _wanted()).document())

    @routes.post("/whop/payments/<payment_id>/refund")
    def refund_payment(payment_id: str) -> Response:
        found, wanted = world.store.get("payment", payment_id), _wanted()
        if found is None:
            raise Refused("There is no such payment.")
        cents = int(wanted.get("cents") or 0)
        return jsonify(whop_actions.refund(world, Payment.read(found), cents, wanted).document())

    @routes.post("/pages/purchase")
    def purchase_by_form() -> WerkzeugResponse:
        form = request.form
        wanted = {name: form.get(name) for name in ("name", "plan", "event")}
        whop_actions.purchase(world, wanted | {"email": form.get("email") or None, "deliver": "deliver" in form})
        return redirect(url_for("panel.home"), 303)

    @routes.post("/pages/memberships/<membership_id>")
    def change_by_form(membership_id: str) -> WerkzeugResponse:
        act = {
            "deactivate": whop_actions.deactivate,
            "cancel": whop_actions.cancel_at_period_end,
        }.get(request.form.get("act", ""))
        if act is None:
            raise Refused("act must be deactivate or cancel.")
        _change(world, membership_id, act)
        return redirect(url_for("panel.home"), 303)


def _change(
    world: World, membership_id: str, act: Callable[[World, Membership, Mapping[str, Any]], Membership]
) -> Response:
    record = whop_actions.find(world, membership_id)
    if record is None:
        raise Refused("There is no such membership.")
    return jsonify(act(world, record, _wanted()).document())


def _clerk_controls(routes: Blueprint, world: World) -> None:
    @routes.post("/clerk/users")
    def users() -> Response:
        wanted = request.get_json(silent=True)
        if isinstance(wanted, list):
            return jsonify({"seeded": clerk_people.seed(world, _wanted_list())})
        return jsonify(clerk_people.answer(clerk_people.create(world, _wanted())))

    @routes.post("/clerk/users/<user_id>/verify")
    def verify(user_id: str) -> Response:
        return jsonify(clerk_people.answer(clerk_people.verify(world, _person(world, user_id))))

    @routes.post("/clerk/users/<user_id>/email")
    def change_email(user_id: str) -> Response:
        return jsonify(clerk_people.answer(clerk_people.change_email(world, _person(world, user_id), _wanted())))

    @routes.post("/clerk/users/<user_id>/addresses")
    def add_address(user_id: str) -> Response:
        return jsonify(clerk_people.answer(clerk_people.add_address(world, _person(world, user_id), _wanted())))

    @routes.get("/clerk/users/<user_id>")
    def person(user_id: str) -> Response:
        return jsonify(clerk_people.answer(_person(world, user_id)))

    @routes.post("/clerk/users/<user_id>/delete")
    def delete(user_id: str) -> Response:
        clerk_people.delete(world, _person(world, user_id), webhook=bool(_wanted().get("webhook", True)))
        return jsonify({"deleted": True})

    @routes.post("/clerk/tokens")
    def tokens() -> Response:
        wanted = _wanted()
        token = clerk_tokens.issue(
            world,
            str(wanted.get("user_id") or ""),
            ttl=_number(wanted, "ttl", clerk_tokens.LIFETIME_SECONDS),
            azp=str(wanted["azp"]) if wanted.get("azp") else None,
            status=str(wanted.get("status") or "active"),
        )
        return jsonify({"token": token})


def _person(world: World, user_id: str) -> Document:
    person = world.store.get("person", user_id)
    if person is None:
        raise Refused("There is no such person.")
    return person


def _number(wanted: Mapping[str, Any], name: str, default: int) -> int:
    value = wanted.get(name, default)
    if not isinstance(value, int):
        raise Refused(f"{name} must be a whole number.")
    return value


def _wanted() -> Mapping[str, Any]:
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}


def _wanted_list() -> list[Mapping[str, Any]]:
    body = request.get_json(silent=True)
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        raise Refused("A list of objects is needed.")
    return body
