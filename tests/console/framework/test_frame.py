"""The guard, the headers, the errors: what the frame promises whatever the page."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask, g
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import InternalError

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.errors import DomainError
from admin_app.factory import create_app
from admin_app.policies.permissions import Permission
from models import PendingProfile, Role
from tests.applications import Applications
from tests.console.conftest import SETUP, form_token
from tests.console.page_checks import CheckedClient
from views.console.core.home import HomeView
from views.console.framework.base import ConsoleModelView, ConsoleView, command, console_unit_of_work, page
from views.console.framework.navigation import GROUPS
from views.console.pages import PAGES, SECTIONS
from views.errors import render_error
from views.reading import read_session
from views.security import CSP

ClientFor = Callable[[Role], CheckedClient]


class Teapot(DomainError):
    code = "teapot"
    status = 409
    sentence = "The pot is in use. Wait until it is empty."


class ProbeView(ConsoleView):
    """Pages that show what the guard does with each kind of endpoint."""

    permissions = {
        "index": Permission.HOME_READ,
        "act": Permission.PURCHASES_CLAIM,
        "wrong": Permission.HOME_READ,
        "refuse": Permission.HOME_READ,
        "write": Permission.HOME_READ,
    }
    calls = 0

    def __init__(self) -> None:
        super().__init__(name="Probe", endpoint="probe", url="/admin/probe")

    @page("/")
    def index(self) -> ResponseReturnValue:
        return {"seen": True}

    @page("/unnamed")
    def unnamed(self) -> str:
        return "nobody may see this"

    @command("/act")
    def act(self) -> ResponseReturnValue:
        with console_unit_of_work() as ctx:
            return {"by": ctx.actor.label}

    @page("/wrong")
    def wrong(self) -> str:
        type(self).calls += 1
        raise TypeError("secret customer@example.com")

    @page("/refuse")
    def refuse(self) -> str:
        raise Teapot

    @page("/write")
    def write(self) -> str:
        read_session().add(PendingProfile(email="x@example.com"))
        read_session().flush()
        return "written"


@pytest.fixture
def app(settings: Settings, db: Database, applications: Applications) -> Flask:
    return applications.lend(settings, db, client=CheckedClient, prepare=_with_probe)


def _with_probe(app: Flask) -> None:
    app.extensions["admin"][0].add_view(ProbeView())


# -- the guard ---------------------------------------------------------------------------------------------------------


def test_nobody_signed_in_is_led_to_the_sign_in_page_and_back(app: Flask) -> None:
    client = app.test_client()
    response = client.get("/admin/bookings/?q=a%26b&status=pending")
    assert response.status_code == 302
    assert response.location == "/login?next=/admin/bookings/%3Fq%3Da%2526b%26status%3Dpending"
    assert client.post("/admin/probe/act").status_code == 400  # without the form's token nothing is even asked
    assert client.get("/admin//evil.example/").status_code == 404


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(client_for: ClientFor) -> None:
    client = client_for(Role.SUPPORT)
    token = form_token(client, "/admin/")
    client.delete_cookie("backdesk_session")
    for referrer, wanted in (
        ("http://localhost/admin/purchases/1/claim?user_id=a", "/login?next=/admin/purchases/1/claim%3Fuser_id%3Da"),
        ("http://evil.test/admin/", "/login"),
    ):
        answer = client.post("/admin/probe/act", data={"csrf_token": token}, headers={"Referer": referrer})
        assert answer.location == wanted
    assert "You were signed out meanwhile, so nothing was done." in client.get("/login").text


def test_an_endpoint_without_a_permission_is_refused_for_everyone(client_for: ClientFor) -> None:
    for role in Role:
        assert client_for(role).get("/admin/probe/unnamed").status_code == 403


def test_a_command_is_for_those_who_hold_its_permission_by_get_and_by_post(client_for: ClientFor) -> None:
    for role, status in ((Role.SUPPORT, 200), (Role.ADMIN, 200), (Role.OPS, 403), (Role.AUDITOR, 403)):
        client = client_for(role)
        token = form_token(client, "/admin/")
        assert client.post("/admin/probe/act", data={"csrf_token": token}).status_code == status
    assert (
        "Only support and administrators"
        in client_for(Role.OPS)
        .post("/admin/probe/act", data={"csrf_token": form_token(client_for(Role.OPS), "/admin/")})
        .text
    )


def test_every_exposed_page_names_a_permission() -> None:
    for view in SECTIONS:
        exposed = {name for _url, name, _methods in view._urls}
        assert exposed <= set(view.permissions), view


def test_the_frames_own_writers_and_exports_have_no_route(app: Flask) -> None:
    rules = [rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/admin")]
    stock = ("/new/", "/edit/", "/details/", "/action/", "/export/", "/ajax/", "/static/")
    assert not [rule for rule in rules if any(part in rule for part in stock)]
    assert all(view.can_create is view.can_edit is view.can_delete is view.can_export is False for view in SECTIONS)


@pytest.mark.parametrize(
    "address",
    ["new/", "edit/?id=1", "details/?id=1", "delete/", "action/", "export/csv/", "ajax/lookup/?name=x", "ajax/update/"],
)
def test_stock_addresses_are_not_there(address: str, client_for: ClientFor) -> None:
    client = client_for(Role.ADMIN)
    data = {"csrf_token": form_token(client, "/admin/"), "id": "1", "list_form_pk": "1", "client_name": "changed"}
    assert client.get(f"/admin/bookings/{address}").status_code in {404, 405}
    assert client.post(f"/admin/bookings/{address}", data=data).status_code in {404, 405}


def test_a_record_outside_the_sections_scope_is_not_found(app: Flask, db: Database) -> None:
    with db.unit_of_work(SETUP) as ctx:
        kept = PendingProfile(email="waiting@example.com")
        hidden = PendingProfile(email="claimed@example.com", claimed=True, claimed_by_user_id="user_1")
        ctx.session.add_all([kept, hidden])
        ctx.session.flush()
        inside, outside = kept.id, hidden.id
    view: ConsoleModelView = app.extensions["backdesk.sections"]["purchases"]
    with app.test_request_context():
        assert view.get_one(str(inside)) is not None
        assert view.get_one(str(outside)) is None
        assert view.get_one("1,2") is None


def test_a_bug_inside_a_view_is_not_run_a_second_time(client_for: ClientFor) -> None:
    ProbeView.calls = 0
    response = client_for(Role.ADMIN).get("/admin/probe/wrong")
    assert (response.status_code, ProbeView.calls) == (500, 1)


def test_pages_read_in_a_transaction_that_cannot_write(client_for: ClientFor, db: Database) -> None:
    response = client_for(Role.ADMIN).get("/admin/probe/write")
    assert response.status_code == 500
    with db.read_only() as session:
        assert session.scalar(select(PendingProfile).where(PendingProfile.email == "x@example.com")) is None
    with db.read_only() as session:
        session.add(PendingProfile(email="y@example.com"))
        with pytest.raises(InternalError, match="read-only"):
            session.flush()


def test_the_ways_through_the_console_lead_somewhere(client_for: ClientFor) -> None:
    client = client_for(Role.ADMIN)
    shown = BeautifulSoup(client.get("/admin/").text, "html.parser")
    ways = {link.get_text(strip=True): str(link["href"]) for link in shown.select("nav.sidebar a")}
    placed = [view.in_menu for view in (HomeView, *SECTIONS, *PAGES) if view.in_menu]
    assert {menu.label for menu in placed} <= ways.keys()
    assert {menu.group for menu in placed} == set(GROUPS)
    for menu in placed:
        assert client.get(ways[menu.label]).status_code == 200, menu


# -- odd addresses -----------------------------------------------------------------------------------------------------

ODD = (
    "page=-1",
    "page=100000000000000000000",
    "q=%00",
    "q=%ff%fe",
    "q=" + "x" * 5000,
    "q=%25%5F%5C",
    "q=%01%1f%7f%EF%BF%BE",
    "email=%01x",
    "email=" + "x" * 5000,
    "id=1,2",
    "endpoint=x",
    "url=https:evil.test",
    "sort=password_hash",
    "sort=-",
    "sort=0&desc=1",
    "size=-1",
    "size=100000000000000000000",
    "size=1e3",
    "after=AAAA",
    "after=%00",
    "before=WyJzdGFydHMiLCJ4IiwxXQ",
    "after=WyJpZCIsOTk5OTk5OTk5OTk5OTk5OTk5OTk5OSwxXQ",
    "last=1&after=x",
    "status=nonsense",
    "status=pending&status=pending&status=confirmed",
    "status[]=pending",
    "starts_from=2026-13-45",
    "starts_from=0001-01-01",
    "starts_to=9999-12-31",
    "starts_from=2026-01-01T00:00:00%2B99:99",
    "practitioner=99999999999999999999",
    "practitioner=-1",
    "practitioner=%D9%A1%D9%A2",
    "email=%00",
    "flt0_0=1&flt1_1=2",
    "q=a&q=b&q=c",
    "%ff=%ff",
)


def test_empty_fields_of_a_form_leave_the_address(client_for: ClientFor) -> None:
    response = client_for(Role.SUPPORT).get("/admin/bookings/?q=&status=pending&starts_from=&starts_to=&after=&url=//x")
    assert (response.status_code, response.location) == (302, "/admin/bookings/?status=pending")


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_address_is_the_list_or_a_sentence(odd: str, client_for: ClientFor) -> None:
    response = client_for(Role.SUPPORT).get(f"/admin/bookings/?{odd}")
    assert response.status_code in ({422} if "%00" in odd else {200})
    assert "location" not in response.headers
    assert "evil.test" not in response.text


# -- answers -----------------------------------------------------------------------------------------------------------


def test_every_answer_carries_the_policy_and_a_reference_of_our_own(app: Flask) -> None:
    client = app.test_client()
    for address in ("/login", "/nowhere", "/admin/", "/static/console/console.css", "/api/nowhere"):
        response = client.get(address, headers={"X-Request-Id": "forged"})
        assert response.headers["Content-Security-Policy"] == CSP
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert response.headers["X-Request-Id"] != "forged"
        assert "Strict-Transport-Security" not in response.headers
    assert "unsafe" not in CSP
    assert "http:" not in CSP


def test_https_is_remembered(db: Database) -> None:
    settings = Settings(
        _env_file=None, database_url="postgresql://unused", secret_key="s" * 32, base_url="https://desk.example.com"
    )
    response = create_app(settings, database=db).test_client().get("/login")
    assert response.headers["Strict-Transport-Security"].startswith("max-age=")


def test_static_files_are_kept_for_a_year_only_under_their_own_version(app: Flask) -> None:
    client = app.test_client()
    with app.test_request_context():
        address = app.jinja_env.globals["static_url"]("console/console.css")  # type: ignore[operator]
    assert "immutable" in client.get(address).headers["Cache-Control"]
    assert client.get("/static/console/console.css").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"csp-report": {"effective-directive": "script-src", "document-uri": "http://x/?q=ann@example.com"}}', 204),
        (b"not json", 204),
        (b"[1, 2]", 204),
        (b'{"csp-report": 5}', 204),
        (b"x" * 2_000_000, 204),
    ],
)
def test_reports_of_the_policy_are_noted_without_addresses(
    body: bytes, status: int, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    response = app.test_client().post("/csp-reports", data=body, content_type="application/csp-report")
    assert response.status_code == status
    assert "ann@example.com" not in capsys.readouterr().out


def test_the_log_line_of_a_request_names_no_person(client_for: ClientFor, capsys: pytest.CaptureFixture[str]) -> None:
    client = client_for(Role.SUPPORT)
    capsys.readouterr()
    response = client.get("/admin/profiles/user_anna?q=ann@example.com")
    line = next(json.loads(line) for line in capsys.readouterr().out.splitlines() if '"event": "request"' in line)
    assert line["route"] == "/admin/profiles/<record_id>"
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert line["status"] == 404
    assert "ann" not in json.dumps(line)


def test_what_nobody_foresaw_shows_a_reference_and_no_text_of_its_own(
    client_for: ClientFor, capsys: pytest.CaptureFixture[str]
) -> None:
    response = client_for(Role.ADMIN).get("/admin/probe/wrong")
    assert response.status_code == 500
    assert response.headers["X-Request-Id"] in response.text
    assert "customer@example.com" not in response.text
    assert "TypeError" not in response.text
    assert "customer@example.com" not in capsys.readouterr().out


def test_a_refusal_is_its_sentence(client_for: ClientFor) -> None:
    response = client_for(Role.ADMIN).get("/admin/probe/refuse")
    assert response.status_code == 409
    assert Teapot.sentence in response.text


def test_under_api_an_error_is_a_problem_document(app: Flask) -> None:
    response = app.test_client().get("/api/nowhere")
    assert response.status_code == 404
    assert response.mimetype == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.data)
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(problem)
    assert (problem["code"], problem["status"]) == ("not_found", 404)
    assert problem["request_id"] == response.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [("get", "/nowhere", 404), ("put", "/login", 405), ("get", "/admin/%00", 404), ("get", "/%ff%fe", 404)],
)
def test_errors_outside_are_pages_without_the_console_around_them(
    method: str, address: str, status: int, app: Flask
) -> None:
    response = getattr(app.test_client(), method)(address)
    assert response.status_code == status
    assert "sidebar" not in response.text


def test_a_request_of_more_than_a_mebibyte_is_refused(client_for: ClientFor) -> None:
    response = client_for(Role.SUPPORT).post("/admin/probe/act", data={"reason": "x" * (1024 * 1024 + 1)})
    assert response.status_code == 413
    assert "1 MiB" in response.text


def test_a_form_without_its_token_changes_nothing(client_for: ClientFor) -> None:
    for data in ({}, {"csrf_token": "forged"}):
        response = client_for(Role.SUPPORT).post("/admin/probe/act", data=data)
        assert response.status_code == 400
        assert "reload the page" in response.text


def test_the_address_itself_leads_to_the_console(app: Flask) -> None:
    assert app.test_client().get("/").location == "/admin/"


@pytest.mark.parametrize(
    ("method", "address", "status", "shown", "hidden"),
    [
        ("GET", "/admin/clients/", 503, ["Not available at the moment", "Try again", "Go to the home page"], []),
        ("POST", "/admin/clients/", 503, ["Go to the home page"], ["Try again"]),
        ("GET", "/admin/clients/", 404, ["Nothing here", "Go to the home page"], ["Try again"]),
        ("GET", "/claim", 429, ["Too many requests", "Try again"], ["/admin/"]),
    ],
)
def test_an_error_offers_what_may_help(
    client_for: ClientFor, method: str, address: str, status: int, shown: list[str], hidden: list[str]
) -> None:
    with client_for(Role.OPS).application.test_request_context(address, method=method):
        g.request_id = "a reference"
        page = render_error(status, "code", "A sentence.").get_data(as_text=True)
    assert [words for words in shown if words not in page] == []
    assert [words for words in hidden if words in page] == []
