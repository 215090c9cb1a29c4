"""The forms of practitioners and session types, by their pages."""

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup

from admin_app.db import Database
from models import Practitioner, Role, SessionType
from tests.console.conftest import SETUP, counted_queries
from tests.console.forms import fields_of, form_of
from tests.console.page_checks import CheckedClient
from tests.console.rows import one_of_everything

ClientFor = Callable[[Role], CheckedClient]


@pytest.fixture
def keys(db: Database) -> dict[str, Any]:
    with db.unit_of_work(SETUP) as ctx:
        return one_of_everything(ctx.session)


def test_somebody_is_added_with_what_can_be_booked(client_for: ClientFor, db: Database) -> None:
    client = client_for(Role.OPS)
    form = form_of(client, "/admin/practitioners/new")
    assert form["hours_mon"] == "09:00-12:00, 13:00-17:00"
    answer = client.post(
        "/admin/practitioners/new",
        data=form | {"name": "Dr. Ana Ruiz", "email": "ana@practice.example", "time_zone": "Europe/Madrid"},
    )
    assert answer.status_code == 303
    assert "Dr. Ana Ruiz is added" in client.get(answer.location).text
    with db.read_only() as session:
        ana = session.query(Practitioner).filter_by(email="ana@practice.example").one()
    form = form_of(client, f"/admin/session-types/new?practitioner_id={ana.id}")
    assert form["practitioner_id"] == str(ana.id)
    answer = client.post("/admin/session-types/new", data=form | {"title": "Follow-up", "price": "70"})
    assert answer.status_code == 303
    page = client.get(answer.location).text
    assert "Follow-up" in page
    assert "09:00–12:00, 13:00–17:00" in page
    with db.read_only() as session:
        kept = session.query(SessionType).filter_by(practitioner_id=ana.id).one()
        assert (kept.title, kept.minutes, kept.price_amount) == ("Follow-up", 60, 7000)


def test_saving_what_is_there_changes_nothing(client_for: ClientFor, keys: dict[str, Any], db: Database) -> None:
    client = client_for(Role.OPS)
    for section in ("practitioners", "session-types"):
        address = f"/admin/{section}/{keys[section]}/edit"
        assert client.post(address, data=form_of(client, address)).status_code == 303
    with db.read_only() as session:
        assert session.query(Practitioner.version).filter_by(id=keys["practitioners"]).scalar() == 1
        assert session.query(SessionType.version).filter_by(id=keys["session-types"]).scalar() == 1


def test_what_is_wrong_is_marked_and_what_was_typed_is_kept(client_for: ClientFor, keys: dict[str, Any]) -> None:
    client = client_for(Role.OPS)
    address = f"/admin/practitioners/{keys['practitioners']}/edit"
    wrong = {"email": "nobody", "hours_sat": "12-8", "reason": "Typed with care"}
    answer = client.post(address, data=form_of(client, address) | wrong)
    assert answer.status_code == 422
    assert fields_of(answer.text).items() >= wrong.items()
    page = BeautifulSoup(answer.text, "html5lib")
    assert [link["href"] for link in page.select("#problems a")] == ["#hours_sat", "#email"]
    assert page.select_one("#email[aria-invalid=true]")


def test_a_stale_form_shows_the_difference_and_can_then_be_saved(
    client_for: ClientFor, keys: dict[str, Any], db: Database
) -> None:
    first, second = client_for(Role.OPS), client_for(Role.ADMIN)
    address = f"/admin/session-types/{keys['session-types']}/edit"
    opened = form_of(first, address)
    assert second.post(address, data=form_of(second, address) | {"title": "Longer talk"}).status_code == 303
    answer = first.post(address, data=opened | {"title": "Talk", "minutes": "55"})
    assert answer.status_code == 409
    assert "admin@example.com saved this session type after you opened the form" in answer.text
    assert "Kept now: Longer talk." in answer.text
    assert "Kept now: 50." in answer.text
    again = fields_of(answer.text)
    assert (again["title"], again["minutes"]) == ("Talk", "55")
    assert first.post(address, data=again).status_code == 303
    with db.read_only() as session:
        kept = session.get(SessionType, keys["session-types"])
        assert kept
        assert (kept.title, kept.minutes, kept.version) == ("Talk", 55, 3)


@pytest.mark.parametrize("section", ["practitioners", "session-types"])
def test_out_of_use_and_back(section: str, client_for: ClientFor, keys: dict[str, Any]) -> None:
    client = client_for(Role.OPS)
    record = f"/admin/{section}/{keys[section]}"
    for act, back in (("deactivate", "activate"), ("activate", "deactivate")):
        assert f"{record}/{act}" in client.get(record).text
        form = form_of(client, f"{record}/{act}")
        assert client.post(f"{record}/{act}", data=form).status_code == 422
        assert client.post(f"{record}/{act}", data=form | {"reason": "For a while"}).status_code == 303
        assert f"{record}/{back}" in client.get(record).text
    assert "For a while" in client.get(record).text


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.FINANCE, Role.AUDITOR])
def test_who_may_not_change_sees_no_button(role: Role, client_for: ClientFor, keys: dict[str, Any]) -> None:
    client = client_for(role)
    for section in ("practitioners", "session-types"):
        page = client.get(f"/admin/{section}/{keys[section]}").text
        assert "/edit" not in page
        assert "/new" not in client.get(f"/admin/{section}/").text
        assert client.get(f"/admin/{section}/{keys[section]}/edit").status_code == 403


def test_a_form_asks_little(client_for: ClientFor, keys: dict[str, Any], db: Database) -> None:
    client = client_for(Role.OPS)
    for address, most in (
        ("/admin/practitioners/new", 1),
        (f"/admin/practitioners/{keys['practitioners']}/edit", 2),
        ("/admin/session-types/new", 2),
    ):
        with counted_queries(db) as statements:
            client.get(address)
        assert len(statements) <= most, statements
