"""The sign-in page, the cookie it sets, and one's own account."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import quote, urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.factory import create_app
from admin_app.services import staff
from models import AuditEntry, Role, StaffMember, StaffSession
from tests.console.sign_in_steps import EMAIL, OPERATOR, PASSWORD, form_token, parsed, post, sign_in
from views.console.framework.sign_in import COOKIE, safe_next


@pytest.fixture(autouse=True)
def member(db: Database) -> StaffMember:
    """Mara, who signs in here."""
    with db.unit_of_work(OPERATOR) as ctx:
        return staff.create_staff(ctx, email=EMAIL, name="Mara <b>Lind</b>", role=Role.SUPPORT, password=PASSWORD)[0]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_the_page_has_labels_one_heading_and_what_password_managers_need(client: FlaskClient) -> None:
    page = parsed(client.get("/login"))
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
    response = sign_in(client)
    assert (response.status_code, response.location) == (303, "/admin/")
    cookie = next(c for c in response.headers.getlist("Set-Cookie") if c.startswith(f"{COOKIE}="))
    attributes = {part.strip() for part in cookie.split(";")[1:]}
    assert attributes == {"HttpOnly", "Path=/", "SameSite=Lax"}
    assert client.get("/admin/").status_code == 200


def test_on_https_the_cookie_travels_only_there(db: Database, settings: Settings) -> None:
    client = create_app(settings.model_copy(update={"base_url": "https://desk.example.com"}), database=db).test_client()
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
    response = sign_in(client, "not-the-right-one", next="/admin/profiles/")
    assert response.status_code == 401
    page = parsed(response)
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
    response = post(client, "/login", email="", password="")
    assert response.status_code == 422
    links = [link["href"] for link in parsed(response).select("[role=alert] a")]
    assert links == ["#email", "#password"]


def test_after_five_failures_the_page_asks_to_wait(client: FlaskClient) -> None:
    assert [sign_in(client, "wrong").status_code for _ in range(5)] == [401] * 5
    response = sign_in(client)
    assert response.status_code == 429
    assert "Too many attempts" in response.text
    assert post(client, "/login", email="nobody@example.com", password="x").status_code == 401


def test_what_is_typed_is_shown_as_text_only(client: FlaskClient) -> None:
    response = sign_in(client, "wrong", email='"><script>alert(1)</script>')
    assert "<script>alert" not in response.text
    assert 'value="&#34;&gt;&lt;script&gt;' in response.text


@pytest.mark.parametrize("email", ["a\0b@example.com", "x" * 100_000, "ü@example.com", "%", "' OR 1=1 --"])
def test_odd_input_is_a_refusal_and_no_failure_of_ours(client: FlaskClient, email: str) -> None:
    assert sign_in(client, email=email).status_code == 401
    assert sign_in(client, "p\0q").status_code == 401


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
    response = sign_in(client, next=path)
    assert response.location is not None
    assert response.location.startswith("/")


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_address_leads_out_of_the_site(client: FlaskClient, path: str) -> None:
    assert safe_next(path) == "/admin/"
    page = parsed(client.get(f"/login?next={quote(path)}"))
    assert page.find("input", attrs={"name": "next"})["value"] == "/admin/"
    assert sign_in(client, next=path).location == "/admin/"


@given(st.text(alphabet=st.sampled_from("/\\\\:.@?#%a\t\n\r \u3000\u202e\0"), max_size=12) | st.text())
def test_whatever_is_wished_the_browser_stays_here(path: str) -> None:
    # Browsers read a backslash as a slash, and drop tabs, line breaks and outer spaces first.
    seen = safe_next(path).replace("\\", "/").strip().translate({9: None, 10: None, 13: None})
    assert urlsplit(urljoin("https://desk.example.com/login", seen))[:2] == ("https", "desk.example.com")


def test_who_is_signed_in_already_is_led_on(client: FlaskClient) -> None:
    sign_in(client)
    assert client.get("/login?next=/admin/my-account/").location == "/admin/my-account/"


def test_signing_in_again_takes_a_new_token_and_ends_the_old_session(client: FlaskClient, app: Flask) -> None:
    token = form_token(client)
    client.set_cookie(COOKIE, "planted-by-someone-else")
    post(client, "/login", email=EMAIL, password=PASSWORD)
    first = client.get_cookie(COOKIE)
    assert first
    assert first.value != "planted-by-someone-else"
    assert client.post("/login", data={"csrf_token": token, "email": EMAIL, "password": PASSWORD}).status_code == 400
    post(client, "/login", page="/admin/my-account/", email=EMAIL, password=PASSWORD)
    second = client.get_cookie(COOKIE)
    assert second
    assert second.value != first.value
    thief = app.test_client()
    thief.set_cookie(COOKIE, first.value)
    assert thief.get("/admin/").status_code == 302


def test_signing_out_ends_the_session_on_the_server(client: FlaskClient, app: Flask, db: Database) -> None:
    sign_in(client)
    kept = client.get_cookie(COOKIE)
    assert kept
    response = post(client, "/logout", page="/admin/my-account/")
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
    sign_in(client)
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 400
    assert client.get("/admin/").status_code == 200


def test_a_cookie_of_nobody_and_a_remember_cookie_of_another_application_do_no_harm(client: FlaskClient) -> None:
    for value in ("nonsense", "x" * 3000, "%00", "a b"):
        client.set_cookie(COOKIE, value)
        assert client.get("/admin/").location.startswith("/login")
    client.set_cookie("remember_token", "1|abc")
    sign_in(client)
    assert client.get("/admin/").status_code == 200


def test_silence_ends_the_session_and_use_keeps_it(client: FlaskClient, db: Database) -> None:
    sign_in(client)
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
    sign_in(client)
    with db.unit_of_work(OPERATOR) as ctx:
        match act:
            case "disable":
                staff.disable_staff(ctx, staff_id=member.id)
            case "role":
                staff.set_role(ctx, staff_id=member.id, role=Role.AUDITOR)
            case "password":
                staff.reset_password(ctx, staff_id=member.id)
    assert client.get("/admin/").location.startswith("/login")


def test_no_secret_is_kept_by_the_browser_beyond_the_cookie(client: FlaskClient) -> None:
    response = sign_in(client, "wrong")
    assert response.headers["Cache-Control"] == "no-store"
    assert "wrong" not in unescape(response.text).replace("went wrong", "")
