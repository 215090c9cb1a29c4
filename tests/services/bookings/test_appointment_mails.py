"""The mails of appointments: what they say, in whose time, with which calendar file, and each of them once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from icalendar import Calendar
from sqlalchemy import select

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, PlanMoved
from admin_app.services import appointments, bookings
from admin_app.services.bookings import appointment_mails
from admin_app.services.bookings.appointment_mails import Kind
from admin_app.services.core import audit
from admin_app.services.inbox import outbox
from admin_app.services.inbox.outbox import OutgoingMail
from models import Booking, BookingSource, BookingStatus, CanceledBecause, Meeting, SentEmail, SessionType
from tests.house import settings_for
from tests.services.diary import Clock, appointment, held, jobs, meeting, offered, tomorrow
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT

SETTINGS = settings_for("http://127.0.0.1:1", mail_from="Practice <hello@practice.example>")


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return offered(db, price=0, name="Dr <Day> & Sons", time_zone="America/New_York")


def prepare(db: Database, subject: str, kind: Kind, once: str = "") -> OutgoingMail | None:
    with db.unit_of_work(OPERATOR) as ctx:
        return appointment_mails.prepare(ctx, subject=subject, kind=kind, once=once, settings=SETTINGS)


def mark(db: Database, mail: OutgoingMail | None, subject: str) -> None:
    assert mail is not None
    with db.unit_of_work(OPERATOR) as ctx:
        appointment_mails.mark_sent(ctx, sent_email_id=mail.sent_email_id, subject=subject, kept=False)


def failed(db: Database, mail: OutgoingMail | None) -> None:
    assert mail is not None
    with db.unit_of_work(OPERATOR) as ctx:
        outbox.mark_failed(ctx, sent_email_id=mail.sent_email_id, error_code="provider_unavailable")


def event_in(calendar: str | None) -> Any:
    read = Calendar.from_ical(calendar)
    (event,) = read.walk("VEVENT")
    return read, event


def test_a_confirmation_tells_the_time_of_its_reader(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now, hour=23)
    subject = held(db, kind, starts, client_time_zone="Asia/Tokyo", client_name="Cleo <b>")
    mail = prepare(db, subject, "confirmation")
    assert mail is not None
    there = starts + timedelta(hours=9)
    assert mail.subject == (f"Confirmed: Consultation on {there:%A}, {there.day} {there:%B %Y}, 08:00 (Asia/Tokyo)")
    assert "08:00 to 08:50" in mail.text
    assert "Asia/Tokyo" in mail.text
    assert "Hello Cleo <b>," in mail.text
    assert "Cleo &lt;b&gt;" in mail.html
    assert "<b>" not in mail.html
    read, event = event_in(mail.calendar)
    assert read["METHOD"] == "REQUEST"
    assert event["STATUS"] == "CONFIRMED"
    assert event.decoded("DTSTART") == starts
    assert event.decoded("DTEND") == starts + timedelta(minutes=50)
    assert str(event["SUMMARY"]) == "Consultation with Dr <Day> & Sons"
    assert str(event["ORGANIZER"]) == "mailto:hello@practice.example"
    assert str(event["ATTENDEE"]) == "mailto:cleo@example.com"


def test_without_a_zone_it_is_the_practitioners(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = meeting(db, kind, tomorrow(clock.now), guest_time_zone="Not/AZone")
    mail = prepare(db, subject, "confirmation")
    assert mail is not None
    assert "America/New_York" in mail.text
    with db.read_only() as session:
        (kept,) = session.scalars(select(SentEmail))
    assert (kept.meeting_id, kept.booking_id, kept.state) == (int(subject[8:]), None, "sending")
    assert (kept.calendar_body, kept.once_key) == (mail.calendar, f"confirmation:{subject}")


def test_a_mail_goes_out_once(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    first = prepare(db, subject, "confirmation")
    failed(db, first)
    assert prepare(db, subject, "confirmation") == first, "a try that failed sends the same mail"
    mark(db, first, subject)
    assert prepare(db, subject, "confirmation") is None
    again = prepare(db, subject, "confirmation", "again-7")
    assert again is not None
    assert again.sent_email_id != first.sent_email_id  # type: ignore[union-attr]
    with db.read_only() as session:
        sentences = [item.sentence for item in audit.history(session, subject)]
    assert f"Backdesk handed over the confirmation mail of booking {subject[8:]}" in sentences


def test_a_move_and_its_end_follow_in_the_calendar(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    first = prepare(db, subject, "confirmation")
    mark(db, first, subject)
    later = starts + timedelta(days=1)
    with db.unit_of_work(OPERATOR) as ctx:
        bookings.move(ctx, appointments.locked(ctx, subject), later, later + timedelta(minutes=50))
    moved = prepare(db, subject, "rescheduled", jobs(db, "send_appointment_mail")[-1]["once"])
    mark(db, moved, subject)
    with db.unit_of_work(OPERATOR) as ctx:
        bookings.cancel(ctx, appointments.locked(ctx, subject), CanceledBecause.BY_CLIENT)
    ended = prepare(db, subject, "cancellation")
    events = [event_in(mail.calendar)[1] for mail in (first, moved, ended) if mail]
    assert len({str(event["UID"]) for event in events}) == 1
    assert [int(event["SEQUENCE"]) for event in events] == sorted({int(event["SEQUENCE"]) for event in events})
    assert [event.decoded("DTSTART") for event in events] == [starts, later, later]
    assert [str(event["STATUS"]) for event in events] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert ended is not None
    assert "It is canceled, as you wished." in ended.text
    assert event_in(ended.calendar)[0]["METHOD"] == "CANCEL"


def test_what_does_not_hold_any_more_is_not_sent(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    assert prepare(db, subject, "cancellation") is None
    assert prepare(db, subject, "rescheduled", appointments.at(starts + timedelta(hours=1)) + "-2") is None
    assert prepare(db, subject, "reminder", appointments.at(starts + timedelta(hours=1))) is None
    with db.unit_of_work(OPERATOR) as ctx:
        bookings.cancel(ctx, appointments.locked(ctx, subject), CanceledBecause.BY_STAFF)
    for name in ("confirmation", "reminder", "rescheduled"):
        assert prepare(db, subject, name, appointments.at(starts)) is None
    assert prepare(db, "booking:999999", "confirmation") is None
    with db.read_only() as session:
        assert list(session.scalars(select(SentEmail))) == []


@pytest.mark.parametrize(
    ("because", "says"),
    [
        (CanceledBecause.BY_CLIENT, "as you wished"),
        (CanceledBecause.BY_STAFF, "We are sorry"),
        (CanceledBecause.BY_PRACTITIONER, "We are sorry"),
        (CanceledBecause.PAYMENT_FAILED, "did not go through"),
        (CanceledBecause.NEVER_PAID, "It was not paid in time"),
    ],
)
def test_a_cancellation_says_why(
    db: Database, clock: Clock, kind: SessionType, because: CanceledBecause, says: str
) -> None:
    subject = meeting(db, kind, tomorrow(clock.now), status="canceled", canceled_because=because)
    mail = prepare(db, subject, "cancellation")
    assert mail is not None
    assert says in mail.text
    assert says in mail.html


def test_a_guest_without_an_address_is_not_written_to(db: Database, clock: Clock, kind: SessionType) -> None:
    assert prepare(db, meeting(db, kind, tomorrow(clock.now), guest_email=None), "confirmation") is None


def remind(db: Database) -> list[str]:
    before = len(jobs(db, "send_appointment_mail"))
    with db.unit_of_work(OPERATOR) as ctx:
        for subject in appointment_mails.to_remind(ctx.session, ctx.now, limit=100):
            appointment_mails.remind(ctx, subject=subject)
    return [job["subject"] for job in jobs(db, "send_appointment_mail")[before:] if job["kind"] == "reminder"]


def test_the_day_before_brings_one_reminder(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = clock.now + timedelta(days=3)
    booking, other = held(db, kind, starts), meeting(db, kind, starts + timedelta(hours=1))
    assert remind(db) == []
    clock.forward(days=2)
    assert remind(db) == [booking]
    assert remind(db) == []
    clock.forward(hours=1)
    assert remind(db) == [other]
    mail = prepare(db, booking, "reminder", appointments.at(starts))
    assert mail is not None
    assert mail.subject.startswith("Reminder: ")


def test_what_is_booked_for_soon_needs_no_reminder(db: Database, clock: Clock, kind: SessionType) -> None:
    held(db, kind, clock.now + timedelta(hours=20))
    assert remind(db) == []


def test_a_move_brings_a_reminder_of_its_own(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = clock.now + timedelta(days=2)
    subject = held(db, kind, starts)
    clock.forward(days=1)
    assert remind(db) == [subject]
    later = starts + timedelta(days=2)
    with db.unit_of_work(OPERATOR) as ctx:
        bookings.move(ctx, appointments.locked(ctx, subject), later, later + timedelta(minutes=50))
    assert remind(db) == []
    clock.forward(days=2)
    assert remind(db) == [subject]


def test_no_reminder_for_what_is_off_or_told_of_elsewhere(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = clock.now + timedelta(hours=30)
    meeting(db, kind, starts, status="canceled")
    subject = held(db, kind, starts)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Booking, int(subject[8:])).source = BookingSource.CALCOM
    clock.forward(hours=10)
    assert remind(db) == []


def test_the_confirmation_is_sent_again_for_a_reason(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    for _ in range(2):
        with db.unit_of_work(SUPPORT) as ctx:
            plan = appointment_mails.plan_resend(ctx, subject=subject)
            assert plan.refusal is None
            appointment_mails.resend_confirmation(ctx, subject=subject, reason="lost", shown=plan.fingerprint)
    onces = [job["once"] for job in jobs(db, "send_appointment_mail")]
    assert len(set(onces)) == 3
    assert [prepare(db, subject, "confirmation", once) is not None for once in onces] == [False, False, True]
    with pytest.raises(PlanMoved), db.unit_of_work(SUPPORT) as ctx:
        appointment_mails.resend_confirmation(ctx, subject=subject, reason="lost", shown=plan.fingerprint)
    with pytest.raises(Forbidden), db.unit_of_work(AUDITOR) as ctx:
        appointment_mails.resend_confirmation(ctx, subject=subject, reason="lost", shown="")


def test_nothing_is_sent_again_of_what_is_not_confirmed(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    wrong = [
        meeting(db, kind, starts, status="canceled"),
        meeting(db, kind, starts, guest_email=None),
        held(db, offered(db), starts),
    ]
    for subject in wrong:
        with db.unit_of_work(SUPPORT) as ctx:
            plan = appointment_mails.plan_resend(ctx, subject=subject)
            assert plan.refusal
        with pytest.raises(Conflict), db.unit_of_work(SUPPORT) as ctx:
            appointment_mails.resend_confirmation(ctx, subject=subject, reason="x", shown=plan.fingerprint)
    assert appointment(db, wrong[2]).row.status is BookingStatus.PENDING


@pytest.mark.parametrize(
    ("starts", "minutes", "said"),
    [
        ((datetime(2030, 3, 30, 9, tzinfo=UTC), datetime(2030, 3, 31, 9, tzinfo=UTC)), 60,
         ["10:00 to 11:00", "11:00 to 12:00"]),
        ((datetime(2030, 10, 27, 0, 30, tzinfo=UTC), datetime(2030, 10, 27, 1, 30, tzinfo=UTC)), 45,
         ["02:30 CEST to 02:15 CET", "02:30 CET to 03:15"]),
    ],
    ids=["another hour on the wall after the change", "an hour that comes twice has its offset"],
)  # fmt: skip
def test_the_mail_says_the_clocks_of_its_day(
    db: Database, clock: Clock, kind: SessionType, starts: tuple[datetime, ...], minutes: int, said: list[str]
) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        for moment in starts:
            ctx.session.add(
                Meeting(
                    practitioner_id=kind.practitioner_id,
                    guest_email="gil@example.com",
                    guest_time_zone="Europe/Berlin",
                    starts_at=moment,
                    ends_at=moment + timedelta(minutes=minutes),
                    status=BookingStatus.CONFIRMED,
                )
            )
        ctx.session.flush()
        found = [appointments.of(ctx.session, row) for row in ctx.session.scalars(select(Meeting))]
        assert sorted(appointment_mails.Words.of(one).clock for one in found) == said
