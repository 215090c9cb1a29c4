"""Guests of meetings that are moved to WorkOS: what the tests of it share."""

from datetime import timedelta
from typing import Any

from click.testing import Result
from sqlalchemy import select

from admin_app.context import Job
from admin_app.services.move_in.guest_asking import Asking
from admin_app.services.move_in.guest_backfill import Run
from admin_app.simulator import control
from admin_app.simulator.workos import control_workos
from models import AuditEntry, Guest, Meeting, Organization, ProviderCall
from tests.house import House
from tests.services.factories import NOON
from tests.services.schedule_rows import add_meeting, add_practitioner

ACTOR = Job("flask guests backfill")
LATER = timedelta(hours=1)


class Died(Exception):
    """What no code of ours catches."""


def meetings(house: House, *guests: dict[str, Any]) -> list[int]:
    """One meeting of each, an hour apart; answers their numbers."""
    ingrid = add_practitioner(house.db, f"{house.count(Meeting)}@practice.example")
    return [add_meeting(house.db, ingrid, NOON + number * LATER, **guest).id for number, guest in enumerate(guests)]


def of(email: str | None, **values: Any) -> dict[str, Any]:
    return {"guest_email": email, "guest_name": "Gusto van Guest"} | values


def backfill(house: House, *options: str) -> Result:
    return house.app.test_cli_runner().invoke(args=["guests", "backfill", "--per-second", "100", *options])


def a_run(house: House, **changed: Any) -> Run:
    workos = house.bench.providers.workos
    assert workos is not None
    given: dict[str, Any] = {
        "work": lambda: house.db.unit_of_work(ACTOR),
        "read": lambda: house.db.read_only(),
        "workos": workos,
        "asking": Asking(sleep=lambda seconds: None),
    }
    return Run(**(given | changed))


def meeting(house: House, number: int) -> Meeting:
    (row,) = house.rows(select(Meeting).where(Meeting.id == number))
    return row


def counted(house: House) -> dict[str, int]:
    """What WorkOS has; each code was mailed."""
    return {kind: len(rows) for kind, rows in control_workos.state(house.simulator).items()}


def nothing_twice(house: House, guests: int) -> None:
    assert counted(house) == {"users": guests, "organizations": guests, "memberships": guests, "codes": 0}
    assert control.mails(house.simulator) == []


def rows(house: House) -> dict[str, Any]:
    """All that a run could change here."""
    tables = (Guest, Organization, ProviderCall, AuditEntry)
    return {table.__tablename__: house.count(table) for table in tables} | {
        "meetings": [(row.id, row.version, row.guest_org_id) for row in house.rows(select(Meeting))]
    }
