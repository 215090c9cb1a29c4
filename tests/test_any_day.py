"""What depends on the day, on every day of `tests/days.py`, by the product's own clock.

The whole suite on another day takes a run of its own (`make days`); this catches the kind on any day.
"""

import re
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.policy import compat32
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.integrations.mail import SmtpMail
from admin_app.integrations.registry import Providers
from admin_app.services import appointments
from admin_app.services.bookings.appointment_mails import KINDS
from admin_app.services.core import utc_months
from admin_app.services.core.time_zones import clock_text
from admin_app.services.finance import months
from admin_app.services.schedule import availability
from models import CanceledBecause, SessionType
from tests.days import DAYS, Day
from tests.services.bookings.test_appointment_mails import prepare, remind
from tests.services.diary import Clock, held, meeting, offered
from tests.services.factories import OPERATOR, buy
from tests.services.finance.test_months import FINANCE, closed

# Those whose clocks change, one with a long name, and one that is three quarters of an hour off.
ZONES = ("UTC", "Europe/Oslo", "America/New_York", "America/Argentina/Buenos_Aires", "Pacific/Chatham")
HOURS = [["08:00", "12:00"], ["13:00", "18:00"]]
BEGINNINGS = [8, 9, 10, 11, 13, 14, 15, 16, 17]
WEEK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), HOURS)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOBODY = Providers(None, None, None)
CANCELED = {"status": "canceled", "canceled_because": CanceledBecause.BY_CLIENT}

every_day = pytest.mark.parametrize("day", DAYS, ids=lambda day: day.name)


@pytest.fixture
def clock(db: Database, day: Day) -> Clock:
    clock = Clock(db)
    clock.now = day.begins
    return clock


def test_there_are_days_of_each_kind() -> None:
    begins = [day.begins for day in DAYS]
    assert len({day.name for day in DAYS}) == len(DAYS) >= 20
    assert begins == sorted(begins)
    assert {at.weekday() for at in begins} == set(range(7))
    assert {(at + DAY).day == 1 for at in begins} == {True, False}
    assert any((at.month, at.day) == (2, 29) for at in begins)
    assert max(len(f"{at:%A}, {at.day} {at:%B %Y}") for at in begins) == len("Wednesday, 29 September 2027")


def test_the_database_has_the_day_of_the_tests(db: Database) -> None:
    """On another day PostgreSQL must be there too; else a run on that day proves nothing."""
    with db.read_only() as session:
        there = session.scalar(select(func.clock_timestamp()))
    assert there is not None
    assert abs(there - datetime.now(UTC)) < HOUR


def subject_as_read(subject: str) -> str:
    """Through what we hand to a mail server, as a mail program reads it."""
    mail = SmtpMail("smtp://nobody.example", "Practice <p@practice.example>")
    written = mail._message("ada@example.com", subject, "text", "html", None)
    raw = written.as_bytes(policy=written.policy.clone(linesep="\r\n"))
    assert not re.search(rb"^Subject:\s*$", raw.split(b"\r\n\r\n")[0], re.MULTILINE)
    folded = str(BytesHeaderParser(policy=compat32).parsebytes(raw)["Subject"])
    return str(make_header(decode_header(folded.replace("\r\n", ""))))


@every_day
def test_the_subject_of_a_mail_is_read_as_it_was_written(db: Database, clock: Clock) -> None:
    kind = offered(db, price=0)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(SessionType, kind.id).title = "Erste Sprechstunde"
    for number, (told, zone) in enumerate(product(KINDS, ZONES)):
        starts = clock.now + timedelta(days=number, hours=20)
        canceled = CANCELED if told == "cancellation" else {}
        mail = prepare(db, meeting(db, kind, starts, guest_time_zone=zone, **canceled), told, appointments.at(starts))
        assert mail
        there = starts.astimezone(ZoneInfo(zone))
        assert mail.subject.endswith(f"{there:%A}, {there.day} {there:%B %Y}, {clock_text(there)} ({zone})")
        assert subject_as_read(mail.subject) == mail.subject


@every_day
def test_the_day_before_brings_one_reminder(db: Database, clock: Clock) -> None:
    kind = offered(db, price=0, time_zone="America/New_York")
    subject = meeting(db, kind, clock.now + 3 * DAY)
    told = []
    for _ in range(75):
        told.append(remind(db))
        clock.forward(hours=1)
    assert sorted(told) == [[]] * 74 + [[subject]]
    assert told.index([subject]) == 48


def offers_of(db: Database, kind: SessionType, now: datetime) -> list[datetime]:
    """When an appointment can begin in the coming eight days."""
    offer = availability.find(
        db.read_only,
        NOBODY,
        practitioner_id=kind.practitioner_id,
        session_type_id=kind.id,
        since=now,
        until=now + 8 * DAY,
        now=now,
    )
    return [slot.starts_at for slot in offer.slots]


@every_day
def test_what_is_offered_lies_in_the_working_hours_and_can_be_held(db: Database, clock: Clock) -> None:
    for zone in ZONES:
        kind = offered(db, price=0, minutes=60, time_zone=zone, working_hours=WEEK)
        found = offers_of(db, kind, clock.now)
        assert len(set(found)) == len(found)
        there = [at.astimezone(ZoneInfo(zone)) for at in found]
        today = clock.now.astimezone(ZoneInfo(zone)).date()
        for number in range(1, 8):
            assert [at.hour for at in there if at.date() == today + number * DAY] == BEGINNINGS
        for at in (found[0], found[-1]):
            held(db, kind, at)


@every_day
def test_a_month_is_closed_when_it_is_over(db: Database, clock: Clock) -> None:
    month = utc_months.month_of(clock.now)
    closed(db, utc_months.following(month, -1))
    with db.unit_of_work(FINANCE) as ctx:
        assert "is not over" in (months.plan_close(ctx, month=month).refusal or "")
    clock.now = utc_months.ends(month)
    closed(db, month)


@every_day
def test_a_cycle_ends_later_than_it_began(db: Database, clock: Clock) -> None:
    for number, (plan, least, most) in enumerate([("monthly", 30, 30), ("yearly", 365, 366)]):
        pending = buy(db, f"{plan}@example.com", membership_id=f"m{number}", plan_duration=plan, occurred_at=clock.now)
        assert pending.billing_cycle_start == clock.now
        assert pending.billing_cycle_end is not None
        assert least * DAY <= pending.billing_cycle_end - clock.now <= most * DAY
        assert pending.next_credit_renewal == clock.now + 28 * DAY
