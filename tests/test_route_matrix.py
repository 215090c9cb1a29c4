"""Every route, method and role: who is let in, who is refused, and that no route is forgotten."""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_admin import expose
from werkzeug.routing import Rule

from admin_app.config import Settings
from admin_app.context import Guest, Job
from admin_app.db import Database
from admin_app.factory import create_app
from admin_app.policies.permissions import Permission
from admin_app.services import staff
from admin_app.services.staff import staff_sessions
from admin_app.services.staff.staff_sessions import Limits, SignedIn
from models import Role
from tests.applications import Applications
from tests.route_table import AREAS, CONSOLE, NOBODY, PARTS, PUBLIC, Row
from views.console.framework.base import ConsoleView
from views.console.framework.sign_in import COOKIE

PASSWORD = "glass-kettle-orbit-29"
LIMITS = Limits(idle=timedelta(hours=1), absolute=timedelta(hours=12))
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
ACTORS = (None, *Role)
SIGN_OUT = "sign_in.sign_out"


def _settings() -> Settings:
    """With every public endpoint open, so that what decides is its own check; nobody is called."""
    return Settings(
        _env_file=None,
        database_url="postgresql://unused",
        secret_key="s" * 32,
        clerk_issuer="https://clerk.example.test",
        clerk_secret_key="sk_test_none",
        whop_webhook_secret="whsec_bm90aGluZw==",
        workos_api_key="sk_test_none",
        workos_client_id="client_none",
    )


@pytest.fixture
def app(db: Database, applications: Applications) -> Flask:
    return applications.lend(_settings(), db, client=FlaskClient)


def _enter(app: Flask, db: Database, role: Role | None) -> FlaskClient:
    """A browser, signed in with this role, or nobody's."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = "203.0.113.9"
    if role is not None:
        email = f"{role.value}@example.com"
        with db.unit_of_work(Job("tests")) as ctx:
            staff.create_staff(ctx, email=email, name=role.value, role=role, password=PASSWORD)
        with db.unit_of_work(Guest()) as ctx:
            entered = staff_sessions.sign_in(
                ctx, email=email, password=PASSWORD, ip=None, user_agent=None, limits=LIMITS
            )
        assert isinstance(entered, SignedIn)
        client.set_cookie(COOKIE, entered.token)
    return client


def _form_token(client: FlaskClient, role: Role | None) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/admin/my-account/" if role else "/login").text)
    assert found
    return found[1]


def _rules(app: Flask) -> Iterable[Rule]:
    # Signing out comes last: after it the browser is nobody's.
    return sorted(app.url_map.iter_rules(), key=lambda rule: (rule.endpoint == SIGN_OUT, rule.rule))


def _address(app: Flask, rule: Rule) -> str:
    parts = {name: PARTS.get(name, NOBODY) for name in rule.arguments}
    return app.url_map.bind("localhost").build(rule.endpoint, parts)


def _acts(rule: Rule) -> set[str]:
    return (rule.methods or set()) - {"HEAD", "OPTIONS"}


def _expected(rule: Rule, method: str, role: Role | None) -> int:
    """What the table says about this method, which the route takes."""
    wanted = "GET" if method == "HEAD" else method
    row: Row | None = CONSOLE.get(rule.endpoint)
    if row is None:
        public = PUBLIC[rule.endpoint]
        return (public.signed_in if role else {}).get(wanted, public.answers[wanted])
    if role is None:
        return 302
    return row.inside[wanted] if row.area in AREAS[role] else 403


def _differences(app: Flask, client: FlaskClient, role: Role | None) -> Iterator[str]:
    token = _form_token(client, role)
    adapter = app.url_map.bind("localhost")
    for rule in _rules(app):
        if rule.endpoint not in CONSOLE and rule.endpoint not in PUBLIC:
            yield f"{rule.endpoint}: no row"
            continue
        address = _address(app, rule)
        taken = adapter.allowed_methods(address)
        for method in METHODS:
            if method in taken and method not in (rule.methods or ()):
                continue  # another rule of the same address answers, in its own row
            if method == "OPTIONS" and "OPTIONS" in taken:
                wanted = 200
            else:
                wanted = _expected(rule, method, role) if method in taken else 405
            data = {"csrf_token": token} if method in {"POST", "PUT", "PATCH", "DELETE"} else None
            response = client.open(address, method=method, data=data)
            if response.status_code != wanted:
                yield f"{method} {address}: {wanted} expected, {response.status_code} given"
            if wanted == 302 and rule.endpoint in CONSOLE and not response.location.startswith("/login"):
                yield f"{method} {address}: leads to {response.location} instead of the sign-in"
            if method in {"HEAD", "OPTIONS"} and response.data:
                yield f"{method} {address}: has a body"
            response.close()


def test_every_route_has_a_row_and_every_row_a_route(app: Flask) -> None:
    rows = {endpoint: set(row.inside) for endpoint, row in CONSOLE.items()}
    rows |= {endpoint: set(row.answers) for endpoint, row in PUBLIC.items()}
    routes: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        routes.setdefault(rule.endpoint, set()).update(_acts(rule))
    assert routes == rows, "tests/route_table.py and the routes differ"
    assert not CONSOLE.keys() & PUBLIC.keys()


def test_what_lies_under_admin_is_never_public(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        assert rule.rule.startswith("/admin/") == (rule.endpoint in CONSOLE), rule.rule


@pytest.mark.parametrize("role", ACTORS, ids=lambda role: role.value if role else "anonymous")
def test_who_is_let_in_where(app: Flask, db: Database, role: Role | None) -> None:
    client = _enter(app, db, role)
    differences = list(_differences(app, client, role))
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.SUPPORT])
def test_nothing_is_done_without_the_form_token(app: Flask, db: Database, role: Role) -> None:
    client = _enter(app, db, role)
    for rule in _rules(app):
        if rule.endpoint in CONSOLE or rule.endpoint.startswith("sign_in."):
            for method in _acts(rule) - {"GET"}:
                answer = client.open(_address(app, rule), method=method)
                assert answer.status_code == 400, f"{method} {rule.rule}"
    assert client.get("/admin/").status_code == 200


def test_every_console_endpoint_names_a_permission(app: Flask) -> None:
    (admin,) = app.extensions["admin"]
    assert len(admin._views) > 10
    for view in admin._views:
        exposed = {name for _, name, _ in view._urls if getattr(view, name, None) is not None}
        assert exposed == set(view.permissions), f"{type(view).__name__} exposes {exposed}"
        assert all(isinstance(permission, Permission) for permission in view.permissions.values())


class Forgetful(ConsoleView):
    """A page whose author forgot to name its permission."""

    permissions = {"index": Permission.HOME_READ}

    @expose("/")
    def index(self) -> str:
        return "open"

    @expose("/forgotten", methods=("GET", "POST"))
    def forgotten(self) -> str:
        return "open"


def test_a_page_without_a_permission_is_refused_for_everyone(db: Database) -> None:
    app = create_app(_settings(), database=db)
    app.testing = True
    (admin,) = app.extensions["admin"]
    admin.add_view(Forgetful(name="Forgetful", endpoint="forgetful", url="/admin/forgetful"))
    client = _enter(app, db, Role.ADMIN)
    token = _form_token(client, Role.ADMIN)
    assert client.get("/admin/forgetful/").text == "open"
    assert client.get("/admin/forgetful/forgotten").status_code == 403
    assert client.post("/admin/forgetful/forgotten", data={"csrf_token": token}).status_code == 403


def test_an_address_of_nothing_is_not_found_for_everyone(app: Flask, db: Database) -> None:
    for role in (None, Role.ADMIN):
        client = _enter(app, db, role)
        for address in ("/nothing", "/admin/nothing/", "/api/nothing", "/admin/bookings/1/2/3"):
            assert client.get(address).status_code == 404
