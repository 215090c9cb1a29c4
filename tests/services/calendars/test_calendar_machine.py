"""Whatever happens at Cal.com and is told late, twice, in another order or with an old answer, the diary ends the same.

Seats are taken and given up, hosts change, appointments move and end, time is held here meanwhile and lapses. After
each step the rules about appointments hold; once all is told, every appointment there is one here: when, with whom and
for whom.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import Engine, select, text

from admin_app.errors import SlotTaken
from admin_app.integrations import calcom
from admin_app.integrations.calendar_ports import CalcomAccounts, CalcomBooking, CalendarAttendee
from admin_app.services import inbox
from admin_app.services.bookings import holds
from admin_app.services.calendar_deliveries import calcom_events
from admin_app.services.calendar_deliveries.calcom_events import Found
from admin_app.services.invariants import about_bookings
from admin_app.services.invariants.rule import PATIENCE, Moments
from models import Booking, BookingAttendee, BookingSource, BookingStatus, Practitioner, SessionType, WebhookEvent
from tests.machines import OnDatabase, often
from tests.services.calendar_answers import AT, HOUR, TOLD, calcom_told
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_practitioner, add_session_type

WHO = ("ada", "bea", "cleo")
SLOTS = tuple(AT + number * HOUR for number in range(3))
slots, people, hosts = st.sampled_from(SLOTS), st.sampled_from(WHO), st.integers(0, 1)
HOLDS_ARE_OVER = timedelta(hours=2)
RULES = [rule for rule in about_bookings.INVARIANTS if rule.name != "lapsed-hold-is-ended"]


@dataclass
class Calcom:
    """Cal.com as it is: it answers what is asked of it."""

    bookings: dict[str, CalcomBooking] = field(default_factory=dict)

    def booking(self, uid: str) -> CalcomBooking | None:
        return self.bookings.get(uid)

    def active(self) -> list[CalcomBooking]:
        return [booking for booking in self.bookings.values() if booking.active]

    def is_free(self, host: int, at: datetime, but: str | None = None) -> bool:
        return all(
            (one.host_id, one.starts_at) != (str(host), at) or one.uid == but
            for one in self.active()
        )  # fmt: skip


class Calendars(OnDatabase):
    def __init__(self) -> None:
        super().__init__()
        self.passed = 0
        self.calcom = Calcom()
        self.undelivered: list[str] = []
        self.late: list[Callable[[], None]] = []

    def clock(self) -> datetime:
        return TOLD + timedelta(minutes=self.passed)

    @initialize()
    def two_practitioners(self) -> None:
        self.practitioners = [
            add_practitioner(self.db, f"host{number}@practice.example", calcom_user_id=str(number))
            for number in range(2)
        ]
        self.kinds = [add_session_type(self.db, one) for one in self.practitioners]

    # -- what happens there -------------------------------------------------------------------------------------------

    @rule(who=people, host=hosts, at=slots)
    def somebody_books(self, who: str, host: int, at: datetime) -> None:
        if self.calcom.is_free(host, at):
            uid = f"uid{len(self.calcom.bookings)}"
            self.put(
                CalcomBooking(
                    uid=uid,
                    status="accepted",
                    starts_at=at,
                    ends_at=at + HOUR,
                    event_type_id="77",
                    attendee_email=None,
                    attendee_name=None,
                    our_id=None,
                    rescheduled_from_uid=None,
                    host_id=str(host),
                    host_email=f"host{host}@practice.example",
                    attendees=(self.attendee(who),),
                    seated=True,
                )
            )

    def attendee(self, who: str) -> CalendarAttendee:
        return CalendarAttendee(f"{who}@example.com", who, f"{who}@example.com", "UTC")

    def put(self, booking: CalcomBooking) -> None:
        self.passed += 1
        self.calcom.bookings[booking.uid] = replace(booking, updated_at=self.clock())
        self.undelivered.append(booking.uid)

    def one(self, data: st.DataObject) -> CalcomBooking:
        return data.draw(st.sampled_from(self.calcom.active()))

    @precondition(lambda self: self.calcom.active())
    @rule(data=st.data(), who=people)
    def a_seat_is_taken_or_given_up(self, data: st.DataObject, who: str) -> None:
        booking = self.one(data)
        staying = tuple(one for one in booking.attendees if one.name != who)
        if len(staying) == len(booking.attendees):
            self.put(replace(booking, attendees=(*staying, self.attendee(who))))
        elif staying:
            self.put(replace(booking, attendees=staying))
        else:
            self.put(replace(booking, status="cancelled"))

    @precondition(lambda self: self.calcom.active())
    @rule(data=st.data())
    def it_is_called_off(self, data: st.DataObject) -> None:
        self.put(replace(self.one(data), status="cancelled"))

    @precondition(lambda self: self.calcom.active())
    @rule(data=st.data(), host=hosts)
    def it_is_given_to_another_host(self, data: st.DataObject, host: int) -> None:
        booking = self.one(data)
        if self.calcom.is_free(host, booking.starts_at, booking.uid):
            self.put(replace(booking, host_id=str(host), host_email=f"host{host}@practice.example"))

    @precondition(lambda self: self.calcom.active())
    @rule(data=st.data(), host=hosts, at=slots, same=st.booleans())
    def it_is_moved(self, data: st.DataObject, host: int, at: datetime, same: bool) -> None:
        """To a booking with a new uid, or, as whole groups are, under the same one."""
        booking = self.one(data)
        if not self.calcom.is_free(host, at, booking.uid):
            return
        there = {"starts_at": at, "ends_at": at + HOUR, "host_id": str(host)}
        moved = replace(booking, **there, host_email=f"host{host}@practice.example")  # type: ignore[arg-type]
        if same:
            self.put(moved)
            return
        uid = f"uid{len(self.calcom.bookings)}"
        self.calcom.bookings[booking.uid] = replace(booking, status="cancelled", rescheduled_to_uid=uid)
        self.put(replace(moved, uid=uid, rescheduled_from_uid=booking.uid))

    # -- what happens here --------------------------------------------------------------------------------------------

    @rule(host=hosts, at=slots)
    def somebody_holds_the_time_here(self, host: int, at: datetime) -> None:
        with self.db.unit_of_work(OPERATOR) as ctx:
            try:
                holds.hold(
                    ctx,
                    practitioner_id=self.practitioners[host].id,
                    session_type_id=self.kinds[host].id,
                    starts_at=at,
                    client_name="Guest",
                    client_email="guest@example.com",
                )
            except SlotTaken:
                return

    @rule(minutes=st.sampled_from([5, 40]))
    def time_passes(self, minutes: int) -> None:
        self.passed += minutes

    @precondition(lambda self: self.undelivered)
    @rule(data=st.data(), again=st.booleans())
    def a_delivery_comes(self, data: st.DataObject, again: bool) -> None:
        which = data.draw(st.integers(0, len(self.undelivered) - 1))
        self.deliver(self.undelivered[which])
        if not again:
            del self.undelivered[which]

    @precondition(lambda self: self.undelivered)
    @rule(data=st.data())
    def one_is_asked_about_and_applied_later(self, data: st.DataObject) -> None:
        """By another worker, which takes its time."""
        event_id = self.receive(data.draw(st.sampled_from(self.undelivered)))
        if event_id is not None:
            self.drop_job(event_id)
            answer = self.answer(event_id)
            self.late.append(lambda: self.apply(event_id, answer))

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def the_late_one_is_applied(self, data: st.DataObject) -> None:
        self.late.pop(data.draw(st.integers(0, len(self.late) - 1)))()
        self.work()

    def receive(self, uid: str) -> int | None:
        self.passed += 1
        booking = self.calcom.bookings[uid]
        told = calcom_told("CREATED", uid, at=booking.starts_at, told=self.clock(), seatsPerTimeSlot=3)
        with self.db.unit_of_work(OPERATOR) as ctx:
            event = calcom.parse_event(told.body, ctx.now)
            return inbox.receive(
                ctx,
                provider="calcom",
                external_id=event.external_id,
                type=event.type,
                body=told.body,
                occurred_at=event.occurred_at,
                subject=uid,
            )

    def deliver(self, uid: str) -> None:
        self.receive(uid)
        self.work()

    def answer(self, event_id: int) -> Found:
        with self.db.read_only() as session:
            uid = session.get_one(WebhookEvent, event_id).subject
        found = self.calcom.bookings[uid or ""]
        chain = calcom_events.chain_of(self.calcom, found)  # type: ignore[arg-type]
        return Found(CalcomAccounts(), chain, (), self.clock())

    def apply(self, event_id: int, answer: Found) -> None:
        with self.db.unit_of_work(OPERATOR) as ctx:
            inbox.apply(ctx, event_id=event_id, looked_up=answer)

    def drop_job(self, event_id: int) -> None:
        with self.db.unit_of_work(OPERATOR) as ctx:
            ctx.session.execute(
                text("DELETE FROM procrastinate_jobs WHERE (args ->> 'event_id')::bigint = :id"), {"id": event_id}
            )

    def work(self) -> None:
        """What is queued and due, each with an answer of now."""
        due = text(
            "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs"
            " WHERE task_name = 'process_event' AND (scheduled_at IS NULL OR scheduled_at <= :now)) RETURNING args"
        )
        while True:
            with self.db.unit_of_work(OPERATOR) as ctx:
                job = ctx.session.execute(due, {"now": ctx.now}).first()
            if job is None:
                return
            self.passed += 1
            self.apply(job.args["event_id"], self.answer(job.args["event_id"]))

    # -- what must be so ----------------------------------------------------------------------------------------------

    @invariant()
    def every_rule_holds(self) -> None:
        with self.db.read_only() as session:
            for rule in RULES:
                assert list(rule.find(session, Moments.at(self.clock(), PATIENCE))) == [], rule.sentence

    def in_the_end(self) -> None:
        # The latest news first, and old answers last: neither may matter.
        for uid in reversed(self.undelivered):
            self.deliver(uid)
        for late in self.late:
            late()
            self.work()
        self.passed += int(HOLDS_ARE_OVER.total_seconds() // 60)
        self.work()
        self.both_sides_agree()

    def both_sides_agree(self) -> None:
        with self.db.read_only() as session:
            rows = session.scalars(select(Booking).where(Booking.source == BookingSource.CALCOM)).all()
            on = {row.calcom_booking_uid: row for row in rows if row.status is BookingStatus.CONFIRMED}
            assert set(on) == {booking.uid for booking in self.calcom.active()}
            for booking in self.calcom.active():
                row = on[booking.uid]
                host = session.get_one(Practitioner, row.practitioner_id)
                assert (row.starts_at, host.calcom_user_id) == (booking.starts_at, booking.host_id)
                assert session.get_one(SessionType, row.session_type_id).practitioner_id == host.id
                present = select(BookingAttendee.name).where(
                    BookingAttendee.booking_id == row.id, BookingAttendee.gone_at.is_(None)
                )
                assert set(session.scalars(present)) == {one.name for one in booking.attendees}
                assert row.client_name in {one.name for one in booking.attendees}


@pytest.fixture
def machine(_shared_engine: Engine) -> type[Calendars]:
    return type("CalendarsHere", (Calendars,), {"engine": _shared_engine})


def test_the_diary_ends_as_the_calendar_is_whatever_is_told_when(machine: type[Calendars]) -> None:
    run_machine(machine, settings=often((25, 500), (30, 50)))
