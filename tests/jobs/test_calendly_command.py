"""`flask calendly sync`: event types are listed, and the mappings that are beyond doubt are set."""

from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.integrations.calendar_ports import CalendlyEventType
from admin_app.services.core import audit
from admin_app.services.schedule import calendly_mapping
from admin_app.simulator import control
from admin_app.simulator.calendly import control_calendly
from models import Booking, EventState, SessionType, WebhookEvent
from tests.house import House, build
from tests.jobs.test_commands import run
from tests.services.calendar_answers import calendly_told
from tests.services.schedule_rows import add_practitioner, add_session_type

API = "https://api.calendly.com/event_types"


@pytest.fixture
def house(own_simulator: str, db: Database) -> House:
    return build(own_simulator, db)


def event_type(identity: str, name: str = "First consultation", minutes: int = 60, **more: Any) -> CalendlyEventType:
    given = {"active": True, "scheduling_url": None, "owner_name": None} | more
    return CalendlyEventType(uri=f"{API}/{identity}", id=identity, name=name, minutes=minutes, **given)


def proposed(db: Database, *event_types: CalendlyEventType) -> list[list[str]]:
    with db.read_only() as session:
        return [[kind.id for kind in one.fitting] for one in calendly_mapping.propose(session, event_types)]


def test_title_and_length_must_be_the_same(db):
    add_session_type(db, add_practitioner(db))
    others = [event_type("A", minutes=45), event_type("B", "Second consultation"), event_type("C", active=False)]
    assert proposed(db, *others) == [[]]
    assert proposed(db, *others, event_type("D", " first  CONSULTATION ")) == [["D"]]


def test_several_that_fit_are_shown_and_none_is_chosen(db):
    add_session_type(db, add_practitioner(db))
    assert proposed(db, event_type("A"), event_type("B")) == [["A", "B"]]
    assert proposed(db, event_type("A"), event_type("B", owner_name="dr. ingrid solheim")) == [["B"]]


def test_what_several_practitioners_offer_is_told_apart_by_its_owner(db):
    for name in ("Dr. Ingrid Solheim", "Mateo Villanueva"):
        add_session_type(db, add_practitioner(db, f"{name[-5:]}@practice.example", name=name))
    assert proposed(db, event_type("A")) == [[], []]
    own = event_type("A", owner_name="Mateo Villanueva")
    assert proposed(db, own) == [[], ["A"]]


def test_one_event_type_never_serves_two(db):
    ingrid = add_practitioner(db)
    add_session_type(db, ingrid)
    add_session_type(db, ingrid)
    assert proposed(db, event_type("A", owner_name=ingrid.name)) == [[], []]


def test_what_is_mapped_or_out_of_use_is_left_alone(db):
    ingrid = add_practitioner(db)
    add_session_type(db, ingrid, calendly_event_type_id="A", calendly_event_type_uri=f"{API}/A")
    add_session_type(db, ingrid, title="Gone", active=False)
    assert proposed(db, event_type("A")) == []
    add_session_type(db, ingrid)
    assert proposed(db, event_type("A")) == [[]]


@pytest.fixture
def kinds(house: House) -> list[SessionType]:
    ingrid = add_practitioner(house.db)
    control_calendly.seed_event_types(
        house.simulator,
        [
            {"id": "FIRST", "name": "First consultation", "minutes": 60, "owner": ingrid.name},
            {"id": "SHORT1", "name": "Short check-in", "minutes": 25, "owner": ingrid.name},
            {"id": "SHORT2", "name": "Short check-in", "minutes": 25, "owner": ingrid.name},
            *({"id": f"MORE{number}", "name": f"More {number}"} for number in range(120)),
        ],
    )
    return [
        add_session_type(house.db, ingrid),
        add_session_type(house.db, ingrid, title="Short check-in", minutes=25),
        add_session_type(house.db, ingrid, title="Only here", minutes=90),
    ]


def test_it_lists_and_proposes_without_changing_anything(house, kinds):
    answer = run(house, "calendly", "sync")
    assert answer.exit_code == 0, answer.output
    assert "123 event types at Calendly." in answer.output
    assert f"First consultation, 60 minutes, Dr. Ingrid Solheim  {API}/FIRST" in answer.output
    assert f"{kinds[0].id}  Dr. Ingrid Solheim: First consultation, 60 minutes  →  {API}/FIRST" in answer.output
    assert f"fits 2: {API}/SHORT1, {API}/SHORT2" in answer.output
    assert "Only here, 90 minutes  fits none beyond doubt" in answer.output
    assert "Nothing was changed." in answer.output
    assert set(house.rows(select(SessionType.calendly_event_type_id))) == {None}


def test_it_sets_what_is_beyond_doubt_and_what_waited_goes_on(house, kinds):
    waiting = calendly_told("created", "X", event_type=f"{API}/FIRST")
    assert house.calendly(waiting.body).status_code == 200
    house.work()
    (event,) = house.rows(select(WebhookEvent))
    assert (event.state, event.parked_because) == (EventState.PARKED, "event_type_unknown")
    answer = run(house, "calendly", "sync", "--apply")
    assert "1 set." in answer.output
    (mapped,) = house.rows(select(SessionType).where(SessionType.calendly_event_type_uri.is_not(None)))
    assert (mapped.id, mapped.calendly_event_type_id) == (kinds[0].id, "FIRST")
    with house.db.read_only() as session:
        (entry,) = audit.history(session, f"session_type:{mapped.id}", limit=5)
    assert (entry.actor_label, entry.event) == ("flask calendly", "session_type.changed")
    assert entry.reason
    house.work()
    (booking,) = house.rows(select(Booking))
    assert booking.session_type_id == mapped.id
    assert "0 set." in run(house, "calendly", "sync", "--apply").output


def test_trouble_is_said_in_a_sentence(house, kinds, own_simulator, db):
    control.fault(house.simulator, "calendly", "500", times=10)
    answer = run(house, "calendly", "sync", "--apply")
    assert (answer.exit_code, answer.output) == (
        1,
        "Error: Calendly does not answer at the moment. Try again in a minute.\n",
    )
    without = build(own_simulator, db, calendly_token="")
    assert "set CALENDLY_TOKEN" in run(without, "calendly", "sync").output
    wrong = build(own_simulator, db, calendly_token="another")
    control.fault(house.simulator, "calendly", "off")
    assert "Calendly refused this (unauthenticated)" in run(wrong, "calendly", "sync").output
