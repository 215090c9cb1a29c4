"""One's own account: where one is signed in, one's password, one's time zone."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from admin_app.db import Database
from admin_app.services import staff
from models import AuditEntry, Role, StaffMember, StaffSession
from tests.console.sign_in_steps import EMAIL, OPERATOR, PASSWORD, parsed, post, sign_in
from views.console.framework.user_agents import browser_name

NEW_PASSWORD = "marble-quill-harbour-8"


@pytest.fixture(autouse=True)
def member(db: Database) -> StaffMember:
    """Mara, who signs in here."""
    with db.unit_of_work(OPERATOR) as ctx:
        return staff.create_staff(ctx, email=EMAIL, name="Mara <b>Lind</b>", role=Role.SUPPORT, password=PASSWORD)[0]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_ones_account_shows_where_one_is_signed_in(client: FlaskClient, app: Flask) -> None:
    phone = app.test_client()
    phone.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (iPhone) AppleWebKit Safari/604"
    sign_in(phone)
    sign_in(client)
    page = parsed(client.get("/admin/my-account/"))
    rows = [" ".join(row.get_text(" ", strip=True).split()) for row in page.select("tbody tr")]
    assert len(rows) == 2
    assert sum("this browser" in row for row in rows) == 1
    assert sum("Safari on iPhone" in row for row in rows) == 1
    assert "<b>" not in str(page.find(id="main"))
    address = next(
        str(row.form["action"]) for row in page.select("tbody tr") if row.form and "iPhone" in row.get_text()
    )
    response = post(client, address, page="/admin/my-account/")
    assert (response.status_code, response.location) == (303, "/admin/my-account/")
    assert phone.get("/admin/").status_code == 302
    assert "The session is ended." in client.get("/admin/my-account/").text


def test_all_other_sessions_end_at_once(client: FlaskClient, app: Flask) -> None:
    other = app.test_client()
    sign_in(other)
    sign_in(client)
    post(client, "/admin/my-account/sessions/end-others", page="/admin/my-account/")
    assert other.get("/admin/").status_code == 302
    assert client.get("/admin/").status_code == 200


def test_nobody_elses_session_is_ended_from_ones_account(client: FlaskClient, app: Flask, db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        staff.create_staff(ctx, email="b@example.com", name="B", role=Role.ADMIN, password=PASSWORD)
    other = app.test_client()
    sign_in(other, email="b@example.com")
    sign_in(client)
    with db.unit_of_work(OPERATOR) as ctx:
        theirs = ctx.session.scalars(select(StaffSession.id).order_by(StaffSession.id)).first()
    for number in (theirs, 0, 10**30, "x"):
        address = f"/admin/my-account/sessions/{number}/end"
        assert post(client, address, page="/admin/my-account/").status_code == 404
    assert other.get("/admin/").status_code == 200


def _change(client: FlaskClient, current: str, new: str, again: str | None = None) -> TestResponse:
    address = "/admin/my-account/password"
    fields = {"current_password": current, "new_password": new, "new_password_again": again or new}
    return post(client, address, page=address, **fields)


def test_one_changes_ones_password_here(client: FlaskClient, app: Flask) -> None:
    other = app.test_client()
    sign_in(other)
    sign_in(client)
    response = _change(client, PASSWORD, NEW_PASSWORD)
    assert (response.status_code, response.location) == (303, "/admin/my-account/")
    assert client.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert sign_in(other).status_code == 401
    assert sign_in(other, NEW_PASSWORD).status_code == 303


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
    sign_in(client)
    response = _change(client, current, new, again)
    assert response.status_code == 422
    page = parsed(response)
    assert [link["href"] for link in page.select("[role=alert] a")] == [f"#{field}"]
    assert page.find(id=f"{field}-problem")
    assert not [box for box in page.select("input[type=password]") if box.get("value")]


def test_guessing_the_current_password_is_braked(client: FlaskClient) -> None:
    sign_in(client)
    codes = [_change(client, "wrong-current-one", NEW_PASSWORD).status_code for _ in range(6)]
    assert codes == [422] * 5 + [429]


def test_one_chooses_the_zone_that_times_are_shown_in(client: FlaskClient, db: Database) -> None:
    sign_in(client)
    address = "/admin/my-account/time-zone"
    assert "Times in UTC" in client.get("/admin/my-account/").text
    response = post(client, address, page=address, time_zone="Europe/Amsterdam")
    assert (response.status_code, response.location) == (303, "/admin/my-account/")
    assert "Times in Europe/Amsterdam" in client.get("/admin/my-account/").text
    for wrong in ("", "Mars/Olympus", "../../etc/passwd", "europe/amsterdam", "localtime"):
        assert post(client, address, page=address, time_zone=wrong).status_code == 422
    with db.unit_of_work(OPERATOR) as ctx:
        entry = ctx.session.scalars(select(AuditEntry).where(AuditEntry.event == "staff.time_zone_changed")).one()
        assert entry.changes[0]["after"] == "Europe/Amsterdam"


def test_pages_of_ones_account_are_nobody_elses(client: FlaskClient) -> None:
    for path in ("/admin/my-account/", "/admin/my-account/password"):
        response = client.get(path)
        assert (response.status_code, response.location) == (302, f"/login?next={path}")


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
