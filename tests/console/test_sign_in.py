"""The sign-in page, the cookie it sets, and one's own account."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import quote, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from admin_app.config import Settings
from admin_app.context import Job
from admin_app.db import Database
from admin_app.factory import create_app
from admin_app.services import staff
from models import AuditEntry, Role, StaffMember, StaffSession
from tests.console.page_checks import CheckedClient
from views.console.browsers import browser_name
from views.console.sign_in import COOKIE, safe_next

EMAIL = "mara@example.com"
PASSWORD = "glass-kettle-orbit-29"
NEW_PASSWORD = "marble-quill-harbour-8"
OPERATOR = Job("flask staff")


def _settings(base_url: str) -> Settings:
    return Settings(_env_file=None, database_url="postgresql://unused", secret_key="s" * 32, base_url=base_url)


def _make_app(db: Database, base_url: str = "http://localhost") -> Flask:
    app = create_app(_settings(base_url), database=db)
    app.testing = True
    app.test_client_class = CheckedClient
    return app


def _token(client: FlaskClient, page: str = "/login") -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page).text)
    assert found
    return found[1]


def _post(client: FlaskClient, address: str, *, page: str = "/login", **fields: str) -> TestResponse:
    return client.post(address, data={"csrf_token": _token(client, page), **fields})


def _sign_in(client: FlaskClient, password: str = PASSWORD, **fields: str) -> TestResponse:
    return _post(client, "/login", **{"email": EMAIL, "password": password, **fields})


@pytest.fixture
def member(db: Database) -> StaffMember:
    with db.unit_of_work(OPERATOR) as ctx:
        return staff.create_staff(ctx, email=EMAIL, name="Mara <b>Lind</b>", role=Role.SUPPORT, password=PASSWORD)[0]


@pytest.fixture
def app(db: Database, member: StaffMember) -> Flask:
    return _make_app(db)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def _page(response: TestResponse) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html5lib")


def test_the_page_has_labels_one_heading_and_what_password_managers_need(client: FlaskClient) -> None:
    page = _page(client.get("/login"))
    assert [heading.get_text() for heading in page.find_all("h1")] == ["Sign in"]
    assert page.title
    assert page.title.get_text().startswith("Sign in")
    fields = {field["name"]: field for field in page.find_all("input")}
    assert set(fields) == {"csrf_token", "next", "email", "password"}
    assert (fields["email"]["autocomplete"], fields["password"]["autocomplete"]) == ("username", "current-password")
    assert {label["for"] for label in page.find_all("label")} == {"email", "password"}
    assert not page.find_all(["style"])
    assert not page.find_all(style=True)


def test_the_right_password_sets_a_cookie_that_scripts_and_other_sites_cannot_use(client: FlaskClient) -> None:
    response = _sign_in(client)
    assert (response.status_code, response.location) == (303, "/admin/")
    cookie = next(c for c in response.headers.getlist("Set-Cookie") if c.startswith(f"{COOKIE}="))
    attributes = {part.strip() for part in cookie.split(";")[1:]}
    assert attributes == {"HttpOnly", "Path=/", "SameSite=Lax"}
    assert client.get("/admin/").status_code == 200


def test_on_https_the_cookie_travels_only_there(db: Database, member: StaffMember) -> None:
    client = _make_app(db, "https://desk.example.com").test_client()
    base = "https://desk.example.com"
    form = client.get("/login", base_url=base).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', form)
    assert token
    response = client.post(
        "/login",
        base_url=base,
        headers={"Referer": f"{base}/login"},
        data={"csrf_token": token[1], "email": EMAIL, "password": PASSWORD},
    )
    cookies = response.headers.getlist("Set-Cookie")
    assert response.status_code == 303
    assert all("Secure" in cookie for cookie in cookies)


def test_a_wrong_password_keeps_the_e_mail_names_the_problem_and_is_counted(client: FlaskClient, db: Database) -> None:
    response = _sign_in(client, "not-the-right-one", next="/admin/profiles/")
    assert response.status_code == 401
    page = _page(response)
    assert page.title
    assert page.title.get_text().startswith("Error: ")
    email, password = page.find(id="email"), page.find(id="password")
    assert email
    assert password
    assert email["value"] == EMAIL
    assert "value" not in password.attrs
    assert page.find("input", attrs={"name": "next"})["value"] == "/admin/profiles/"
    alert = page.find(attrs={"role": "alert"})
    assert alert
    assert alert.a
    assert alert.a["href"] == "#email"
    assert alert.a.get_text() == "E-mail or password is not right."
    assert page.find(id=email["aria-describedby"])
    assert COOKIE not in response.headers.get("Set-Cookie", "")
    with db.unit_of_work(OPERATOR) as ctx:
        assert staff.find_by_email(ctx, email=EMAIL).failed_sign_ins == 1


def test_missing_fields_are_named_each(client: FlaskClient) -> None:
    response = _post(client, "/login", email="", password="")
    assert response.status_code == 422
    links = [link["href"] for link in _page(response).select("[role=alert] a")]
    assert links == ["#email", "#password"]


def test_after_five_failures_the_page_asks_to_wait(client: FlaskClient) -> None:
    assert [_sign_in(client, "wrong").status_code for _ in range(5)] == [401] * 5
    response = _sign_in(client)
    assert response.status_code == 429
    assert "Too many attempts" in response.text
    assert _post(client, "/login", email="nobody@example.com", password="x").status_code == 401


def test_what_is_typed_is_shown_as_text_only(client: FlaskClient) -> None:
    response = _sign_in(client, "wrong", email='"><script>alert(1)</script>')
    assert "<script>alert" not in response.text
    assert 'value="&#34;&gt;&lt;script&gt;' in response.text


@pytest.mark.parametrize("email", ["a\0b@example.com", "x" * 100_000, "ü@example.com", "%", "' OR 1=1 --"])
def test_odd_input_is_a_refusal_and_no_failure_of_ours(client: FlaskClient, email: str) -> None:
    assert _sign_in(client, email=email).status_code == 401
    assert _sign_in(client, "p\0q").status_code == 401


def test_without_the_form_token_nobody_signs_in(client: FlaskClient, db: Database) -> None:
    response = client.post("/login", data={"email": EMAIL, "password": PASSWORD})
    assert response.status_code == 400
    with db.unit_of_work(OPERATOR) as ctx:
        assert ctx.session.scalar(select(func.count()).select_from(StaffSession)) == 0


WITHIN = ["/admin/", "/admin/profiles/?q=a%20b&sort=-id", "/admin/a:b", "/ü"]
OUTSIDE = [
    "",
    "admin/",
    "//evil.test",
    "///evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "https://evil.test",
    "https:evil.test",
    "javascript:alert(1)",
    "/\t/evil.test",
    "/\n/evil.test",
    "\t//evil.test",
    "/admin/\r\nSet-Cookie: a=b",
    "/admin/\0",
    "/\u202e",
    "/" + "a" * 3000,
    "/login",
    "/login?next=/login",
    "/logout",
]


@pytest.mark.parametrize("path", WITHIN)
def test_one_returns_to_the_page_one_came_from(client: FlaskClient, path: str) -> None:
    assert safe_next(path) == path
    response = _sign_in(client, next=path)
    assert response.location is not None
    assert response.location.startswith("/")


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_address_leads_out_of_the_site(client: FlaskClient, path: str) -> None:
    assert safe_next(path) == "/admin/"
    page = _page(client.get(f"/login?next={quote(path)}"))
    assert page.find("input", attrs={"name": "next"})["value"] == "/admin/"
    assert _sign_in(client, next=path).location == "/admin/"


@given(st.text(alphabet=st.sampled_from("/\\\\:.@?#%a\t\n\r \u3000\u202e\0"), max_size=12) | st.text())
def test_whatever_is_wished_the_browser_stays_here(path: str) -> None:
    # Browsers read a backslash as a slash, and drop tabs, line breaks and outer spaces first.
    seen = safe_next(path).replace("\\", "/").strip().translate({9: None, 10: None, 13: None})
    assert urlsplit(urljoin("https://desk.example.com/login", seen))[:2] == ("https", "desk.example.com")


def test_who_is_signed_in_already_is_led_on(client: FlaskClient) -> None:
    _sign_in(client)
    assert client.get("/login?next=/admin/my-account/").location == "/admin/my-account/"


def test_signing_in_again_takes_a_new_token_and_ends_the_old_session(client: FlaskClient, app: Flask) -> None:
    token = _token(client)
    client.set_cookie(COOKIE, "planted-by-someone-else")
    _post(client, "/login", email=EMAIL, password=PASSWORD)
    first = client.get_cookie(COOKIE)
    assert first
    assert first.value != "planted-by-someone-else"
    assert client.post("/login", data={"csrf_token": token, "email": EMAIL, "password": PASSWORD}).status_code == 400
    _post(client, "/login", page="/admin/my-account/", email=EMAIL, password=PASSWORD)
    second = client.get_cookie(COOKIE)
    assert second
    assert second.value != first.value
    thief = app.test_client()
    thief.set_cookie(COOKIE, first.value)
    assert thief.get("/admin/").status_code == 302


def test_signing_out_ends_the_session_on_the_server(client: FlaskClient, app: Flask, db: Database) -> None:
    _sign_in(client)
    kept = client.get_cookie(COOKIE)
    assert kept
    response = _post(client, "/logout", page="/admin/my-account/")
    assert (response.status_code, response.location) == (303, "/login")
    assert client.get_cookie(COOKIE) is None
    assert "You are signed out." in client.get("/login").text
    thief = app.test_client()
    thief.set_cookie(COOKIE, kept.value)
    assert thief.get("/admin/").location.startswith("/login")
    with db.unit_of_work(OPERATOR) as ctx:
        entry = ctx.session.scalars(select(AuditEntry).where(AuditEntry.event == "staff.signed_out")).one()
        assert entry.actor_label == EMAIL
        assert entry.request_id == response.headers["X-Request-ID"]


def test_signing_out_needs_the_form_token_and_post(client: FlaskClient) -> None:
    _sign_in(client)
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 400
    assert client.get("/admin/").status_code == 200


def test_a_cookie_of_nobody_and_a_remember_cookie_of_another_application_do_no_harm(client: FlaskClient) -> None:
    for value in ("nonsense", "x" * 3000, "%00", "a b"):
        client.set_cookie(COOKIE, value)
        assert client.get("/admin/").location.startswith("/login")
    client.set_cookie("remember_token", "1|abc")
    _sign_in(client)
    assert client.get("/admin/").status_code == 200


def test_silence_ends_the_session_and_use_keeps_it(client: FlaskClient, db: Database) -> None:
    _sign_in(client)
    start = db.clock()
    for minutes in (50, 100, 150):
        db.clock = lambda minutes=minutes: start + timedelta(minutes=minutes)
        assert client.get("/admin/").status_code == 200
    db.clock = lambda: start + timedelta(minutes=211)
    assert client.get("/admin/").location.startswith("/login")


@pytest.mark.parametrize("act", ["disable", "role", "password"])
def test_what_takes_trust_away_counts_from_the_next_request_on(
    client: FlaskClient, db: Database, member: StaffMember, act: str
) -> None:
    _sign_in(client)
    with db.unit_of_work(OPERATOR) as ctx:
        match act:
            case "disable":
                staff.disable_staff(ctx, staff_id=member.id)
            case "role":
                staff.set_role(ctx, staff_id=member.id, role=Role.AUDITOR)
            case "password":
                staff.reset_password(ctx, staff_id=member.id)
    assert client.get("/admin/").location.startswith("/login")


def test_ones_account_shows_where_one_is_signed_in(client: FlaskClient, app: Flask) -> None:
    phone = app.test_client()
    phone.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (iPhone) AppleWebKit Safari/604"
    _sign_in(phone)
    _sign_in(client)
    page = _page(client.get("/admin/my-account/"))
    rows = [" ".join(row.get_text(" ", strip=True).split()) for row in page.select("tbody tr")]
    assert len(rows) == 2
    assert sum("this browser" in row for row in rows) == 1
    assert sum("Safari on iPhone" in row for row in rows) == 1
    assert "<b>" not in str(page.find(id="main"))
    address = next(
        str(row.form["action"]) for row in page.select("tbody tr") if row.form and "iPhone" in row.get_text()
    )
    response = _post(client, address, page="/admin/my-account/")
    assert (response.status_code, response.location) == (303, "/admin/my-account/")
    assert phone.get("/admin/").status_code == 302
    assert "The session is ended." in client.get("/admin/my-account/").text


def test_all_other_sessions_end_at_once(client: FlaskClient, app: Flask) -> None:
    other = app.test_client()
    _sign_in(other)
    _sign_in(client)
    _post(client, "/admin/my-account/sessions/end-others", page="/admin/my-account/")
    assert other.get("/admin/").status_code == 302
    assert client.get("/admin/").status_code == 200


def test_nobody_elses_session_is_ended_from_ones_account(client: FlaskClient, app: Flask, db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        staff.create_staff(ctx, email="b@example.com", name="B", role=Role.ADMIN, password=PASSWORD)
    other = app.test_client()
    _sign_in(other, email="b@example.com")
    _sign_in(client)
    with db.unit_of_work(OPERATOR) as ctx:
        theirs = ctx.session.scalars(select(StaffSession.id).order_by(StaffSession.id)).first()
    for number in (theirs, 0, 10**30, "x"):
        address = f"/admin/my-account/sessions/{number}/end"
        assert _post(client, address, page="/admin/my-account/").status_code == 404
    assert other.get("/admin/").status_code == 200


def _change(client: FlaskClient, current: str, new: str, again: str | None = None) -> TestResponse:
    address = "/admin/my-account/password"
    fields = {"current_password": current, "new_password": new, "new_password_again": again or new}
    return _post(client, address, page=address, **fields)


def test_one_changes_ones_password_here(client: FlaskClient, app: Flask) -> None:
    other = app.test_client()
    _sign_in(other)
    _sign_in(client)
    response = _change(client, PASSWORD, NEW_PASSWORD)
    assert (response.status_code, response.location) == (303, "/admin/my-account/")
    assert client.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert _sign_in(other).status_code == 401
    assert _sign_in(other, NEW_PASSWORD).status_code == 303


@pytest.mark.parametrize(
    ("current", "new", "again", "field"),
    [
        ("wrong-current-one", NEW_PASSWORD, None, "current_password"),
        (PASSWORD, "short", None, "new_password"),
        (PASSWORD, PASSWORD, None, "new_password"),
        (PASSWORD, NEW_PASSWORD, NEW_PASSWORD + "x", "new_password_again"),
    ],
)
def test_a_refused_change_points_at_its_field_and_echoes_nothing(
    client: FlaskClient, current: str, new: str, again: str | None, field: str
) -> None:
    _sign_in(client)
    response = _change(client, current, new, again)
    assert response.status_code == 422
    page = _page(response)
    assert [link["href"] for link in page.select("[role=alert] a")] == [f"#{field}"]
    assert page.find(id=f"{field}-problem")
    assert not [box for box in page.select("input[type=password]") if box.get("value")]


def test_guessing_the_current_password_is_braked(client: FlaskClient) -> None:
    _sign_in(client)
    codes = [_change(client, "wrong-current-one", NEW_PASSWORD).status_code for _ in range(6)]
    assert codes == [422] * 5 + [429]


def test_one_chooses_the_zone_that_times_are_shown_in(client: FlaskClient, db: Database) -> None:
    _sign_in(client)
    address = "/admin/my-account/time-zone"
    assert "Times in UTC" in client.get("/admin/my-account/").text
    response = _post(client, address, page=address, time_zone="Europe/Amsterdam")
    assert (response.status_code, response.location) == (303, "/admin/my-account/")
    assert "Times in Europe/Amsterdam" in client.get("/admin/my-account/").text
    for wrong in ("", "Mars/Olympus", "../../etc/passwd", "europe/amsterdam"):
        assert _post(client, address, page=address, time_zone=wrong).status_code == 422
    with db.unit_of_work(OPERATOR) as ctx:
        entry = ctx.session.scalars(select(AuditEntry).where(AuditEntry.event == "staff.time_zone_changed")).one()
        assert entry.changes[0]["after"] == "Europe/Amsterdam"


def test_pages_of_ones_account_are_nobody_elses(client: FlaskClient) -> None:
    for path in ("/admin/my-account/", "/admin/my-account/password"):
        response = client.get(path)
        assert (response.status_code, response.location) == (302, f"/login?next={path}")


def test_no_secret_is_kept_by_the_browser_beyond_the_cookie(client: FlaskClient) -> None:
    response = _sign_in(client, "wrong")
    assert response.headers["Cache-Control"] == "no-store"
    assert "wrong" not in unescape(response.text).replace("went wrong", "")


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/130 Safari/537 Edg/130", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) Version/17 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/130 Mobile Safari/537", "Chrome on Android"),
        ("", "Unknown browser"),
        (None, "Unknown browser"),
    ],
)
def test_browsers_are_called_as_people_know_them(user_agent: str | None, name: str) -> None:
    assert browser_name(user_agent) == name
