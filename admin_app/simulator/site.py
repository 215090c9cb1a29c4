"""The web site of the business under /site: it books through the product's public endpoints, as its own would."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from admin_app.integrations.http import trust
from admin_app.simulator import own_pages
from admin_app.simulator.stripe import stripe_records
from admin_app.simulator.world import Refused, World

_TIMEOUT_SECONDS = 30
_AWAY = "Bookings are not possible at the moment. Try again in a minute."


class Told(Exception):
    """The product said no: its sentence, and those of single fields."""

    def __init__(self, sentence: str, fields: Mapping[str, str] | None = None) -> None:
        self.sentence, self.fields = sentence, dict(fields or {})


class Shop:
    """The product's public endpoints, as the site's own server calls them."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=_TIMEOUT_SECONDS, verify=trust.context(), trust_env=False)

    def practitioners(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._ask("GET", "/api/practitioners")["practitioners"]
        return listed

    def times(self, practitioner_id: str, session_type_id: str, day: str, zone: str) -> dict[str, Any]:
        query = {"session_type_id": session_type_id, "from": day, "to": day, "timezone": zone}
        return self._ask("GET", f"/api/practitioners/{practitioner_id}/availability", params=query)

    def book(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("POST", "/api/bookings", json=wanted)

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **options)
            body = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise Told(_AWAY) from None
        if answer.is_success and isinstance(body, dict):
            return body
        raise Told(str(body.get("detail") or _AWAY), body.get("errors")) if isinstance(body, dict) else Told(_AWAY)


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("site", __name__, url_prefix="/site")
    routes.before_request(own_pages.refuse_others)
    routes.add_app_template_filter(lambda price: stripe_records.money(price["amount"], price["currency"]), "price")
    routes.add_app_template_filter(_clock, "clock")
    shop = Shop(world.settings.base_url)

    @routes.errorhandler(Told)
    def told(error: Told) -> tuple[str, int]:
        return render_template("site/problem.html", problem=error.sentence), 502

    @routes.errorhandler(Refused)
    def refused(error: Refused) -> tuple[str, int]:
        return render_template("site/problem.html", problem=str(error)), 422

    @routes.get("/")
    def home() -> str:
        return render_template("site/home.html", practitioners=shop.practitioners())

    @routes.get("/times")
    def times() -> str:
        return _times_page(shop, request.args, {}, None)

    @routes.post("/bookings")
    def book() -> ResponseReturnValue:
        form = request.form
        wanted = {name: _number(form, name) for name in ("practitioner_id", "session_type_id")}
        typed = {name: form.get(name, "") for name in ("starts_at", "client_name", "client_email")}
        if not typed["starts_at"]:
            return _times_page(shop, form, typed, Told("Choose one of the free times.")), 422
        try:
            made = shop.book(wanted | typed | {"timezone": form.get("zone") or None})
        except Told as problem:
            return _times_page(shop, form, typed, problem), 422
        return redirect(made["checkout_url"] or url_for("site.booked"), 303)

    @routes.get("/booked")
    def booked() -> str:
        return render_template("site/booked.html")

    return routes


def _times_page(shop: Shop, given: Mapping[str, str], typed: Mapping[str, str], problem: Told | None) -> str:
    person, kind = _chosen(shop.practitioners(), given)
    zone = given.get("zone") or person["time_zone"]
    day = given.get("day") or (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    slots: list[Any] = []
    try:
        found = shop.times(str(person["id"]), str(kind["id"]), day, zone)
        slots, zone = found["slots"], found["timezone"]
    except Told as no_times:
        problem = problem or no_times
    return render_template(
        "site/times.html", person=person, kind=kind, day=day, zone=zone, slots=slots, typed=typed, problem=problem
    )


def _chosen(people: list[dict[str, Any]], given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    for person in people:
        for kind in person["session_types"]:
            if (str(person["id"]), str(kind["id"])) == (given.get("practitioner_id"), given.get("session_type_id")):
                return person, kind
    raise Refused("This is not offered any more. Start again.")


def _number(form: Mapping[str, str], name: str) -> int:
    value = form.get(name, "")
    if not (value.isascii() and value.isdecimal()):
        raise Refused("This is not offered any more. Start again.")
    return int(value)


def _clock(moment: str, zone: str) -> str:
    """A time of the product's as people read it there."""
    local = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone))
    return f"{local:%H:%M}"
