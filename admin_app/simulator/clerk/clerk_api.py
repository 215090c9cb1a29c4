"""Clerk under /clerk: published keys, the users API, and a small page where a demo customer signs in."""

import hmac
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as WerkzeugResponse

from admin_app.simulator.clerk import clerk_addresses, clerk_people, clerk_tokens
from admin_app.simulator.clerk.clerk_addresses import ClerkFailed
from admin_app.simulator.store import Document
from admin_app.simulator.world import World

# Clerk's script renews the 60 s token all the time; this page has no script, so its token lasts a demo.
_DEMO_SESSION_SECONDS = 3600
_COOKIE = "__session"


def api(world: World) -> Blueprint:
    """The users API and the keys, for programs."""
    routes = Blueprint("clerk", __name__, url_prefix="/clerk")
    _guarded(routes, world)

    @routes.get("/.well-known/jwks.json")
    @routes.get("/v1/jwks", endpoint="jwks_with_key")
    def jwks() -> Response:
        return jsonify(clerk_tokens.jwks(world))

    @routes.get("/v1/users")
    def users() -> Response:
        wanted = request.args.getlist("email_address")
        people = world.store.all("person")
        found = [one for one in people if not wanted or any(clerk_people.has(one, email) for email in wanted)]
        found = clerk_people.after(_in_order(found), request.args.get("starting_after"))
        offset, limit = _number("offset", 0), min(_number("limit", 10), 500)
        return jsonify([clerk_people.answer(person) for person in found[offset : offset + limit]])

    @routes.get("/v1/users/<user_id>")
    def user(user_id: str) -> Response:
        person = world.store.get("person", user_id)
        if person is None:
            raise ClerkFailed(404, "resource_not_found", "No user was found with that id.")
        return jsonify(clerk_people.answer(person))

    _email_addresses(routes, world)
    return routes


def _email_addresses(routes: Blueprint, world: World) -> None:
    """What changes a person's addresses."""

    @routes.post("/v1/email_addresses")
    def add_address() -> Response:
        wanted = request.get_json(silent=True) or {}
        with world.store.lock:
            return jsonify(clerk_addresses.add(world, wanted))

    @routes.patch("/v1/email_addresses/<email_id>")
    def change_address(email_id: str) -> Response:
        wanted = request.get_json(silent=True) or {}
        with world.store.lock:
            return jsonify(clerk_addresses.change(world, email_id, wanted))

    @routes.delete("/v1/email_addresses/<email_id>")
    def remove_address(email_id: str) -> Response:
        with world.store.lock:
            return jsonify(clerk_addresses.remove(world, email_id))


def _guarded(routes: Blueprint, world: World) -> None:
    """The secret key, the faults that are switched on, and errors in Clerk's form."""

    @routes.errorhandler(ClerkFailed)
    def failed(error: ClerkFailed) -> tuple[Response, int]:
        problem = {"message": error.message, "long_message": error.message, "code": error.code, "meta": {}}
        return jsonify({"errors": [problem], "clerk_trace_id": "simulated"}), error.status

    @routes.before_request
    def guard() -> Response | None:
        if request.path.startswith("/clerk/v1/"):
            wanted = f"Bearer {world.settings.clerk_secret_key}".encode()
            given = request.headers.get("Authorization", "").encode()
            if not world.settings.clerk_secret_key or not hmac.compare_digest(wanted, given):
                raise ClerkFailed(401, "authentication_invalid", "The secret key is missing or unknown.")
        return world.faults.before("clerk", request)

    @routes.after_request
    def leave(response: Response) -> Response:
        return world.faults.after(request, response)


def _in_order(people: list[Document]) -> list[Document]:
    order = request.args.get("order_by", "-created_at")
    if order.lstrip("+-") != "created_at":
        raise ClerkFailed(422, "form_param_invalid", "This simulator orders by created_at alone.")
    return sorted(people, key=lambda one: (one["created_at"], one["id"]), reverse=order.startswith("-"))


def _number(name: str, default: int) -> int:
    given = request.args.get(name, str(default))
    if not given.isdecimal():
        raise ClerkFailed(422, "form_param_invalid", f"{name} must be a number.")
    return int(given)


def pages(world: World) -> Blueprint:
    """Sign-in, sign-up and sign-out, for people."""
    routes = Blueprint("clerk_pages", __name__, url_prefix="/clerk")

    @routes.get("/sign-in")
    def sign_in() -> str:
        return render_template("sign_in.html", back=_back(world), form={}, problems={})

    @routes.post("/sign-in")
    def signed_in() -> WerkzeugResponse | tuple[str, int]:
        form = {name: request.form.get(name, "").strip() for name in ("name", "email", "verified")}
        problems = _problems(form)
        if problems:
            page = render_template("sign_in.html", back=_back(world), form=form, problems=problems)
            return page, 422
        person = _person(world, form)
        answer = redirect(_back(world), 303)
        answer.set_cookie(
            _COOKIE,
            clerk_tokens.issue(world, person["id"], ttl=_DEMO_SESSION_SECONDS),
            max_age=_DEMO_SESSION_SECONDS,
            httponly=True,
            samesite="Lax",
            path="/",
        )
        return answer

    @routes.get("/sign-out")
    def sign_out() -> WerkzeugResponse:
        answer = redirect(_back(world), 303)
        answer.delete_cookie(_COOKIE, path="/", httponly=True, samesite="Lax")
        return answer

    return routes


def _problems(form: dict[str, str]) -> dict[str, str]:
    before, _, after = form["email"].partition("@")
    problems = {}
    if not before or "." not in after or any(letter.isspace() for letter in form["email"]):
        problems["email"] = "Type an e-mail address, for example max@example.com."
    return problems


def _person(world: World, form: dict[str, str]) -> Document:
    """Whoever has this address signs in; anybody else signs up, which the product is told."""
    verified = form["verified"] == "yes"
    person = clerk_people.by_email(world, form["email"])
    if person is None:
        wanted = {"name": form["name"], "email": form["email"], "verified": verified, "webhook": True}
        return clerk_people.create(world, wanted)
    return clerk_people.verify(world, person) if verified and not person["verified"] else person


def _back(world: World) -> str:
    """Where to return to: only ever an address of the product."""
    wanted, home = request.values.get("redirect_url", ""), world.settings.base_url
    if not wanted.isprintable() or "\\" in wanted or " " in wanted:
        return home
    try:
        target, own = urlsplit(wanted), urlsplit(home)
    except ValueError:
        return home
    return wanted if (target.scheme, target.netloc) == (own.scheme, own.netloc) else home
