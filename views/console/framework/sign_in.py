"""Signing in and out of the console, and who the browser of a request belongs to."""

import unicodedata
from typing import Any, TypedDict

from flask import (
    Blueprint,
    Flask,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user

from admin_app.context import Actor, Guest, Staff
from admin_app.errors import DomainError, InvalidInput
from admin_app.services.staff import staff_sessions
from admin_app.services.staff.staff_sessions import Limits, Recognised, SignedIn, SignInRefused, WrongCredentials
from views.backdesk import backdesk, request_id
from views.reading import close_read_session, read_session

COOKIE = "backdesk_session"
HOME = "/admin/"
LONGEST_NEXT = 2000

blueprint = Blueprint("sign_in", __name__)


class _CookieAttributes(TypedDict):
    path: str
    httponly: bool
    samesite: str
    secure: bool


class StaffUser:
    """What Flask-Login hands around; `actor` is what services are given."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, recognised: Recognised) -> None:
        self.actor: Staff = recognised.actor
        self.name = recognised.name
        self.time_zone = recognised.time_zone
        self.session_id = recognised.session_id
        self.stop = recognised.stop

    def get_id(self) -> str:
        return str(self.actor.id)


def register(app: Flask) -> None:
    """Put the pages on the app, and Flask-Login as the loader of the request's staff member, no more."""
    # Flask-Login asks no request loader while a cookie of this name is around, and on one host (such as
    # 127.0.0.1) another application's cookie would be: nobody could sign in.
    app.config["REMEMBER_COOKIE_NAME"] = "backdesk_remember_unused"
    manager = LoginManager()
    manager.session_protection = None
    manager.request_loader(_load)
    # No `current_user` in templates: an error's page would ask the database for it.
    manager.init_app(app, add_context_processor=False)
    app.register_blueprint(blueprint)


def signed_in_actor() -> Staff | None:
    """The staff member of this request, if any."""
    return current_user.actor if current_user.is_authenticated else None


def current_session_id() -> int | None:
    """Which of the person's sessions this request belongs to."""
    return current_user.session_id if current_user.is_authenticated else None


def safe_next(value: str | None) -> str:
    """The wished page if it is a plain path within this site, else the home page."""
    path = value or ""
    outside = not path.startswith("/") or path.startswith("//") or "\\" in path or len(path) > LONGEST_NEXT
    # Browsers drop tabs and line breaks before they read an address: "/\t/evil.test" leads to evil.test.
    if outside or any(unicodedata.category(character)[0] == "C" for character in path):
        return HOME
    return HOME if path.partition("?")[0] in {"/login", "/logout"} else path


@blueprint.get("/login")
def show() -> ResponseReturnValue:
    wished = safe_next(request.args.get("next"))
    if signed_in_actor():
        return redirect(wished, 303)
    return _page(wished)


@blueprint.post("/login")
def sign_in() -> ResponseReturnValue:
    wished = safe_next(request.form.get("next"))
    email, password = request.form.get("email", "").strip(), request.form.get("password", "")
    missing = _missing(email, password)
    if missing is not None:
        return _page(wished, email=email, error=missing)
    outcome = _try(email, password)
    if isinstance(outcome, SignInRefused):
        return _page(wished, email=email, error=outcome.error)
    # The form token of before belonged to nobody; whoever may have planted it must not know the one from now on.
    session.clear()
    response = make_response(redirect(wished, 303))
    response.set_cookie(COOKIE, outcome.token, **_cookie_attributes())
    return response


@blueprint.post("/logout")
def sign_out() -> ResponseReturnValue:
    token = request.cookies.get(COOKIE)
    if token:
        actor: Actor = signed_in_actor() or Guest()
        close_read_session()
        with backdesk().db.unit_of_work(actor, request_id=request_id()) as ctx:
            staff_sessions.sign_out(ctx, token=token)
    session.clear()
    flash("You are signed out.", "success")
    response = make_response(redirect(url_for("sign_in.show"), 303))
    response.delete_cookie(COOKIE, **_cookie_attributes())
    return response


def _try(email: str, password: str) -> SignedIn | SignInRefused:
    close_read_session()
    # A refusal comes back as a value, so that the failure it counted is committed with this block.
    with backdesk().db.unit_of_work(Guest(), request_id=request_id()) as ctx:
        outcome = staff_sessions.sign_in(
            ctx,
            email=email,
            password=password,
            ip=request.remote_addr,
            user_agent=request.user_agent.string,
            limits=Limits.from_settings(backdesk().settings),
        )
    previous = request.cookies.get(COOKIE)
    if previous and isinstance(outcome, SignedIn):
        # On its own: whoever has written to the audit must not wait for a session that someone else is ending.
        with backdesk().db.unit_of_work(outcome.actor, request_id=request_id()) as ctx:
            staff_sessions.sign_out(ctx, token=previous)
    return outcome


def _cookie_attributes() -> _CookieAttributes:
    return {"path": "/", "httponly": True, "samesite": "Lax", "secure": backdesk().settings.secure_cookies}


def _missing(email: str, password: str) -> InvalidInput | None:
    wanted = {"email": (email, "Enter your e-mail address."), "password": (password, "Enter your password.")}
    fields = {name: sentence for name, (value, sentence) in wanted.items() if not value}
    return InvalidInput(" ".join(fields.values()), fields=fields) if fields else None


def _page(wished: str, *, email: str = "", error: DomainError | None = None) -> ResponseReturnValue:
    problems = dict(error.fields) if error else {}
    if isinstance(error, WrongCredentials):
        # They belong to no one field: saying which was wrong would tell who is on the staff.
        problems = {"email": error.sentence}
    # No page may hold what is no text, such as NUL.
    shown = "".join(character for character in email if character.isprintable())
    page = render_template("console/framework/sign_in.html", wished=wished, email=shown, problems=problems, error=error)
    response = make_response(page, error.status if error else 200)
    response.headers["Cache-Control"] = "no-store"
    return response


def _load(_request: Any) -> StaffUser | None:
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    database, limits = backdesk().db, Limits.from_settings(backdesk().settings)
    found = staff_sessions.authenticate(read_session(), token, now=database.clock(), limits=limits)
    if found is None:
        return None
    if found.touch_due:
        close_read_session()
        with database.unit_of_work(found.actor) as ctx:
            staff_sessions.touch(ctx, session_id=found.session_id)
    return StaffUser(found)
