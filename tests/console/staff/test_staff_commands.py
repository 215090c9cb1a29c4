"""An administrator's commands on the staff, by their pages."""

import re

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from admin_app.config import Settings
from admin_app.context import Job
from admin_app.db import Database
from admin_app.services import staff
from models import AuditEntry, Role, StaffMember
from tests.applications import Applications
from tests.console.page_checks import CheckedClient

PASSWORD = "glass-kettle-orbit-29"
OPERATOR = Job("flask staff")


@pytest.fixture
def people(db: Database) -> dict[str, StaffMember]:
    with db.unit_of_work(OPERATOR) as ctx:
        return {
            role: staff.create_staff(
                ctx, email=f"{role}@example.com", name=f"The {role}", role=Role(role), password=PASSWORD
            )[0]
            for role in ("admin", "support")
        }


@pytest.fixture
def app(db: Database, settings: Settings, applications: Applications, people: dict[str, StaffMember]) -> Flask:
    return applications.lend(settings, db, client=CheckedClient)


def _sign_in(app: Flask, role: str, password: str = PASSWORD) -> FlaskClient | None:
    client = app.test_client()
    data = {"csrf_token": _hidden(client, "/login", "csrf_token"), "email": f"{role}@example.com", "password": password}
    return client if client.post("/login", data=data).status_code == 303 else None


@pytest.fixture
def admin(app: Flask) -> FlaskClient:
    client = _sign_in(app, "admin")
    assert client
    return client


def _hidden(client: FlaskClient, address: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', client.get(address).text)
    assert found, f"{address} carries no {name}"
    return found[1]


def _act(client: FlaskClient, address: str, shown_at: str | None = None, **fields: str) -> TestResponse:
    """Fill in the form that the page shows, and send it."""
    page = shown_at or address
    data = {"csrf_token": _hidden(client, page, "csrf_token"), "reason": "It was asked for", **fields}
    if "fingerprint" in client.get(page).text:
        data.setdefault("fingerprint", _hidden(client, page, "fingerprint"))
    return client.post(address, data=data)


def _code(response: TestResponse) -> str:
    code = BeautifulSoup(response.text, "html5lib").select_one("main code")
    assert code
    return code.get_text()


def _member(db: Database, staff_id: int) -> StaffMember:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.expire_all()
        return staff.get_staff(ctx, staff_id=staff_id)


def test_someone_is_added_and_signs_in_with_the_password_shown(app: Flask, admin: FlaskClient, db: Database) -> None:
    fields = {"email": "ops@example.com", "name": "Olga", "role": "ops"}
    response = _act(admin, "/admin/staff/new", **fields)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert _sign_in(app, "ops", _code(response))
    with db.unit_of_work(OPERATOR) as ctx:
        entries = ctx.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).all()
        entry = next(entry for entry in entries if entry.event == "staff.created")
        assert (entry.actor_label, entry.reason) == ("admin@example.com", "It was asked for")


@pytest.mark.parametrize(
    ("wrong", "status", "sentence"),
    [
        ({"email": "nobody"}, 422, "This is not an e-mail address."),
        ({"name": " "}, 422, "Give the person&#39;s name"),
        ({"role": "king"}, 422, "Choose one of the roles."),
        ({"reason": ""}, 422, "Write a reason."),
        ({"email": "SUPPORT@example.com"}, 409, "Someone on the staff has this e-mail already."),
    ],
)
def test_what_is_wrong_is_named_and_what_was_typed_is_kept(
    admin: FlaskClient, wrong: dict[str, str], status: int, sentence: str
) -> None:
    fields = {"email": "ops@example.com", "name": "Olga", "role": "ops"} | wrong
    response = _act(admin, "/admin/staff/new", **fields)
    assert response.status_code == status
    assert sentence in response.text
    assert "".join(fields["name"].split()) in response.text


def test_disabling_signs_out_and_enabling_lets_in_again(
    app: Flask, admin: FlaskClient, people: dict[str, StaffMember]
) -> None:
    address = f"/admin/staff/{people['support'].id}"
    support = _sign_in(app, "support")
    assert support
    assert "Open sessions that end at once: 1." in admin.get(f"{address}/disable").text
    response = _act(admin, f"{address}/disable")
    assert (response.status_code, response.location) == (303, address)
    assert support.get("/admin/").status_code == 302
    assert _sign_in(app, "support") is None
    assert "This account is disabled already." in admin.get(f"{address}/disable").text
    assert _act(admin, f"{address}/enable").status_code == 303
    assert _sign_in(app, "support")


def test_another_role_is_chosen_looked_at_and_given(
    admin: FlaskClient, people: dict[str, StaffMember], db: Database
) -> None:
    person = people["support"]
    address = f"/admin/staff/{person.id}/role"
    assert 'name="fingerprint"' not in admin.get(address).text
    response = _act(admin, address, shown_at=f"{address}?role=finance", role="finance")
    assert response.status_code == 303
    assert _member(db, person.id).role is Role.FINANCE
    assert admin.get(f"{address}?role=king").status_code == 422


def test_a_reset_password_is_shown_once_and_works(
    app: Flask, admin: FlaskClient, people: dict[str, StaffMember]
) -> None:
    response = _act(admin, f"/admin/staff/{people['support'].id}/password")
    assert response.status_code == 200
    secret = _code(response)
    assert _sign_in(app, "support") is None
    assert _sign_in(app, "support", secret)
    assert secret not in admin.get(f"/admin/staff/{people['support'].id}").text
    assert not any(secret in cookie for cookie in response.headers.getlist("Set-Cookie"))


def test_signing_out_leaves_the_account_as_it_is(
    app: Flask, admin: FlaskClient, people: dict[str, StaffMember]
) -> None:
    address = f"/admin/staff/{people['support'].id}/sign-out"
    assert "is signed in nowhere" in admin.get(address).text
    support = _sign_in(app, "support")
    assert support
    assert _act(admin, address).status_code == 303
    assert support.get("/admin/").status_code == 302
    assert _sign_in(app, "support")


def test_the_last_administrator_is_told_why_it_does_not_go(admin: FlaskClient, people: dict[str, StaffMember]) -> None:
    address = f"/admin/staff/{people['admin'].id}"
    for page in (f"{address}/disable", f"{address}/role?role=ops"):
        assert "This is the last active administrator." in admin.get(page).text
    fields = {"csrf_token": _hidden(admin, "/admin/my-account/", "csrf_token"), "reason": "x"}
    fingerprint = staff.state_of(people["admin"])
    response = admin.post(f"{address}/disable", data=fields | {"fingerprint": fingerprint})
    assert response.status_code == 409


def test_what_moved_since_the_plan_was_shown_is_not_done(
    admin: FlaskClient, people: dict[str, StaffMember], db: Database
) -> None:
    person = people["support"]
    address = f"/admin/staff/{person.id}/disable"
    old = _hidden(admin, address, "fingerprint")
    with db.unit_of_work(OPERATOR) as ctx:
        staff.set_role(ctx, staff_id=person.id, role=Role.OPS)
    response = _act(admin, address, fingerprint=old)
    assert response.status_code == 409
    assert "Something changed since this plan was shown" in response.text
    assert _member(db, person.id).disabled_at is None


@pytest.mark.parametrize("command", ["disable", "enable", "role?role=ops", "password", "sign-out"])
def test_a_command_on_nobody_is_not_found(admin: FlaskClient, command: str) -> None:
    assert admin.get(f"/admin/staff/999999/{command}").status_code == 404
    assert admin.get(f"/admin/staff/{10**30}/{command}").status_code == 404


def test_a_reason_is_needed_for_each_command(admin: FlaskClient, people: dict[str, StaffMember]) -> None:
    address = f"/admin/staff/{people['support'].id}"
    for command in ("disable", "password"):
        response = _act(admin, f"{address}/{command}", reason=" ")
        assert response.status_code == 422
        assert "Write a reason." in response.text


def test_the_pages_lead_to_the_commands_that_fit(
    app: Flask, admin: FlaskClient, people: dict[str, StaffMember]
) -> None:
    address = f"/admin/staff/{people['support'].id}"

    def links(page: str) -> set[str]:
        actions = BeautifulSoup(admin.get(page).text, "html5lib").select("main .actions a")
        return {str(link["href"]).removeprefix(f"{address}/") for link in actions}

    assert links("/admin/staff/") == {"/admin/staff/new"}
    assert links(address) == {"role", "password", "sign-out", "disable"}
    for _ in range(5):
        _sign_in(app, "support", "wrong")
    assert links(address) == {"role", "password", "sign-out", "disable", "enable"}
    _act(admin, f"{address}/disable")
    assert links(address) == {"role", "password", "sign-out", "enable"}
