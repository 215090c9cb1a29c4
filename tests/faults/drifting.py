"""Differences between what is here and at a provider: the house in which tests compare, and what staff decide."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select, update

from admin_app.context import Staff
from admin_app.jobs import comparisons
from admin_app.services.drift import drift_resolving
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from models import (
    Booking,
    DriftFinding,
    DriftRun,
    DriftState,
)
from tests.house import House
from tests.services.factories import OPERATOR
from tests.services.money import add_person
from tests.services.schedule_rows import add_practitioner, add_session_type

HOURS = count(1)
ET = "https://api.calendly.com/event_types/ETD"


@pytest.fixture
def simulator(own_simulator: str) -> str:
    """A comparison sees everything there is."""
    return own_simulator


@pytest.fixture
def house(house: House) -> House:
    control_calendly.seed_event_types(house.simulator, [{"id": "ETD", "minutes": 60}])
    control_calcom.seed_event_types(house.simulator, [{"id": "77", "minutes": 60, "host_id": 7, "hours": ALWAYS}])
    return house


ALWAYS = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


@pytest.fixture
def finance(house: House) -> Staff:
    return add_person(house.db)


def a_time() -> datetime:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return now + timedelta(days=20, hours=2 * next(HOURS))


def run(house: House, provider: str) -> tuple[int, int, int]:
    """Compared, repaired and found of one run."""
    comparisons.compare(house.bench, provider)
    newest = house.rows(select(DriftRun).order_by(DriftRun.id.desc()))[0]
    assert newest.finished_at is not None
    return newest.compared, newest.repaired, newest.found


def findings(house: House, state: DriftState = DriftState.OPEN) -> list[DriftFinding]:
    return house.rows(select(DriftFinding).where(DriftFinding.state == state).order_by(DriftFinding.id))


def the_finding(house: House) -> DriftFinding:
    (finding,) = findings(house)
    return finding


def decide(house: House, by: Staff, what: str, finding: DriftFinding, **more: Any) -> None:
    plans = {"adopt": drift_resolving.plan_adopt, "push": drift_resolving.plan_push}
    acts = {"adopt": drift_resolving.adopt, "push": drift_resolving.push}
    plans |= {"ignore": drift_resolving.plan_ignore, "assign": drift_resolving.plan_assign}
    acts |= {"ignore": drift_resolving.ignore, "assign": drift_resolving.assign}
    with house.db.unit_of_work(by) as ctx:
        shown = plans[what](ctx, finding_id=finding.id, **more).fingerprint
    with house.db.unit_of_work(by) as ctx:
        acts[what](ctx, finding_id=finding.id, reason="as agreed", shown=shown, **more)
    house.work(last_try=True)


def now(house: House, finding: DriftFinding) -> DriftFinding:
    (row,) = house.rows(select(DriftFinding).where(DriftFinding.id == finding.id))
    return row


def booked_there(house: House, provider: str) -> Any:
    """A booking made there that was brought in; answers its id there."""
    practitioner = add_practitioner(house.db, calcom_event_type_id="77")
    add_session_type(house.db, practitioner, calendly_event_type_uri=ET)
    if provider == "calcom":
        book = control_calcom.book
        made = book(house.simulator, event_type="77", starts_at=a_time(), email="ada@example.com", deliver=False)
    else:
        book = control_calendly.book
        made = book(house.simulator, event_type="ETD", starts_at=a_time(), email="ada@example.com", deliver=False)
    assert run(house, provider) == (1, 1, 0)
    assert run(house, provider) == (1, 0, 0)
    return made


def the_booking(house: House) -> Booking:
    (booking,) = house.rows(select(Booking))
    return booking


def write(house: House, **values: Any) -> None:
    """As somebody's hand in the database would."""
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(Booking).values(values))
