"""Appointments over the days on which clocks change: offered, booked, moved by what staff type, shown in the week.

Every step is done by the real services on PostgreSQL. Whatever happened, nothing overlaps, what is offered can be
booked and nothing else can, a typed time is where the practitioner's clock shows it, and the week loses nothing.
"""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, select

from admin_app.context import Guest, Staff
from admin_app.integrations.calendar_ports import Slot
from admin_app.integrations.registry import Providers
from admin_app.services import invariants, schedule
from admin_app.services.bookings import rescheduling
from admin_app.services.checkout import website_bookings
from admin_app.services.core.time_zones import time_zone
from admin_app.services.schedule import availability, week_calendar, working_hours, working_time
from models import Booking, Practitioner, Role
from tests.machines import OnDatabase, often
from tests.services.diary import offered
from tests.services.payments.stripe_twin import outcome
from views.console.framework import local_times
from views.console.schedule import week as weeks

OFTEN = often((14, 400), (14, 40))
OPS = Staff(id=1, email="ops@demo.test", role=Role.OPS)
VISITOR, NOBODY = Guest(), Providers(None, None, None)  # type: ignore[arg-type]
MINUTES = 50
# A zone and the day on which its clocks change: forward, back, at midnight, by half an hour, and over Ramadan.
CHANGES = (
    ("Europe/Oslo", "2027-03-28"),
    ("Europe/Oslo", "2027-10-31"),
    ("America/Havana", "2027-03-14"),
    ("America/Havana", "2027-11-07"),
    ("Australia/Lord_Howe", "2027-04-04"),
    ("Australia/Lord_Howe", "2027-10-03"),
    ("Asia/Beirut", "2027-03-28"),
    ("America/Vancouver", "2027-03-14"),
)
HOURS = ("00:00-24:00", "20:00-04:00", "22:00-24:00", "08:00-12:00, 23:00-03:00", "00:00-03:30", "")
days = st.integers(-1, 2)
clocks = st.integers(0, 47).map(lambda half: time(half // 2, half % 2 * 30))
numbers = st.integers(0, 40)
whichever = st.sampled_from(["", local_times.FIRST, local_times.SECOND])


class Clocks(OnDatabase):
    @initialize(change=st.sampled_from(CHANGES), hours=st.sampled_from(HOURS))
    def begin(self, change: tuple[str, str], hours: str) -> None:
        self.zone, self.day = time_zone(change[0], ""), date.fromisoformat(change[1])
        self.now = datetime.combine(self.day - timedelta(days=3), time(12), UTC)
        kind = offered(self.db, price=0, minutes=MINUTES, time_zone=change[0])
        self.practitioner_id, self.kind_id = kind.practitioner_id, kind.id
        self.work_on(hours)

    def in_the_end(self) -> None:
        if hasattr(self, "kind_id"):
            with self.db.read_only() as read:
                broken = {found.invariant.name for found in invariants.broken(read, now=self.now)}
            assert broken == set()

    # -- what people do -----------------------------------------------------------------------------------------------

    @rule(hours=st.sampled_from(HOURS))
    def work_on(self, hours: str) -> None:
        """The same hours each day, or none where they would go on into each other."""
        form = {f"hours_{day}": hours for day in working_hours.WEEKDAYS}
        with self.db.unit_of_work(OPS) as ctx:
            version = ctx.session.get_one(Practitioner, self.practitioner_id).version
        with self.db.unit_of_work(OPS) as ctx:
            schedule.change_practitioner(ctx, practitioner_id=self.practitioner_id, values=form, version=version)

    @rule(which=numbers)
    def book_what_is_offered(self, which: int) -> None:
        slots = self.offered()
        if slots:
            assert self.book(slots[which % len(slots)].starts_at) == "done"

    @rule(day=days, clock=clocks, which=whichever)
    def book_what_somebody_types(self, day: int, clock: time, which: str) -> None:
        moment = self.typed(day, clock, which)
        if moment is not None:
            is_offered = any(slot.starts_at == moment for slot in self.offered())
            assert (self.book(moment) == "done") is is_offered

    @rule(number=numbers, day=days, clock=clocks, which=st.sampled_from(["", local_times.FIRST, local_times.SECOND]))
    def move(self, number: int, day: int, clock: time, which: str) -> None:
        rows, moment = self.rows(), self.typed(day, clock, which)
        if not rows or moment is None:
            return
        row = rows[number % len(rows)]
        others = [each for each in rows if each.id != row.id]
        free = not any(
            each.starts_at < moment + timedelta(minutes=MINUTES) and moment < each.ends_at for each in others
        )
        subject = f"booking:{row.id}"

        def call() -> None:
            with self.db.unit_of_work(OPS) as ctx:
                shown = rescheduling.plan_reschedule(ctx, subject=subject, starts_at=moment).fingerprint
            with self.db.unit_of_work(OPS) as ctx:
                rescheduling.reschedule(ctx, subject=subject, starts_at=moment, reason="asked", shown=shown)

        assert (outcome(call) == "done") is (free and moment != row.starts_at)

    @rule(hours=st.sampled_from([1, 7, 12]))
    def time_passes(self, hours: int) -> None:
        self.now = min(self.now + timedelta(hours=hours), datetime.combine(self.day, time(), UTC) - timedelta(days=2))

    # -- what must be so ----------------------------------------------------------------------------------------------

    @invariant()
    def nothing_overlaps(self) -> None:
        taken = sorted((row.starts_at, row.ends_at) for row in self.rows())
        assert all(before[1] <= after[0] for before, after in pairwise(taken))
        assert all(end - start == timedelta(minutes=MINUTES) for start, end in taken)

    @invariant()
    def what_is_offered_is_working_time_by_the_practitioners_clock(self) -> None:
        hours = self.hours()
        for slot in self.offered():
            for minute in range(0, MINUTES, 7):
                wall = (slot.starts_at + timedelta(minutes=minute)).astimezone(self.zone)
                assert _is_within(hours, wall), wall

    @invariant()
    def the_week_shows_each_in_every_day_it_touches(self) -> None:
        monday = self.day - timedelta(days=self.day.weekday())
        start, end = (weeks.midnight(monday + timedelta(days=number), self.zone) for number in (0, 7))
        with self.db.read_only() as read:
            entries = week_calendar.entries(read, self.practitioner_id, start, end, self.now, meetings=True)
        works = working_time.spans(self.hours(), self.zone, start, end)
        shown = weeks.lay_out(monday, self.zone, entries, works, self.now)
        found = {(block.entry.number, day.date) for day in shown.days for block in day.blocks}
        for row in self.rows():
            first, last = (at.astimezone(self.zone).date() for at in (row.starts_at, _just_before(row.ends_at)))
            for day in {first, last} & {each.date for each in shown.days}:
                assert (row.id, day) in found

    # -- in short -----------------------------------------------------------------------------------------------------

    def typed(self, day: int, clock: time, which: str) -> datetime | None:
        """What the form makes of it: a moment at which the clock shows just that, or a refusal for a reason."""
        wall = datetime.combine(self.day + timedelta(days=day), clock)
        shown = {
            moment
            for fold in (0, 1)
            if (moment := wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC))
            and moment.astimezone(self.zone).replace(tzinfo=None) == wall
        }
        text = wall.strftime(local_times.FORM)
        said = outcome(lambda: local_times.moment(text, self.zone, "time", which))
        assert said == {0: "invalid_input", 1: "done", 2: "done" if which else "ambiguous_time"}[len(shown)]
        if said != "done":
            return None
        found = local_times.moment(text, self.zone, "time", which)
        assert found in shown
        assert len(shown) == 1 or found == (max(shown) if which == local_times.SECOND else min(shown))
        return found

    def book(self, starts_at: datetime) -> str:
        wanted = website_bookings.BookingRequest(
            self.practitioner_id, self.kind_id, starts_at, "Cleo", "cleo@example.com"
        )
        return outcome(
            lambda: website_bookings.book(
                lambda: self.db.unit_of_work(VISITOR), self.db.read_only, NOBODY, wanted, ip=None, return_url=""
            )
        )

    def offered(self) -> tuple[Slot, ...]:
        """A whole month of the practitioner's, in which the change is."""
        first = self.day.replace(day=1)
        since, until = (datetime.combine(first + timedelta(days=number), time(), self.zone) for number in (0, 31))
        found = availability.find(
            self.db.read_only,
            NOBODY,
            practitioner_id=self.practitioner_id,
            session_type_id=self.kind_id,
            since=since.astimezone(UTC),
            until=until.astimezone(UTC),
            now=self.now,
            clocks=self.zone,
        ).slots
        near = [slot for slot in found if abs(slot.starts_at.astimezone(self.zone).date() - self.day) <= timedelta(2)]
        return tuple(near)

    def hours(self) -> dict[str, list[list[str]]]:
        with self.db.read_only() as read:
            return read.get_one(Practitioner, self.practitioner_id).working_hours

    def rows(self) -> list[Booking]:
        with self.db.read_only() as read:
            of_theirs = select(Booking).where(Booking.practitioner_id == self.practitioner_id)
            return list(read.scalars(of_theirs.order_by(Booking.id)))


def _just_before(moment: datetime) -> datetime:
    return moment - timedelta(seconds=1)


def _is_within(hours: dict[str, list[list[str]]], wall: datetime) -> bool:
    """The rule itself: what the clock shows lies in the hours of the day, or in those that began the day before."""
    minute = wall.hour * 60 + wall.minute
    today, yesterday = (working_hours.of_day(hours, (wall.weekday() - back) % 7) for back in (0, 1))
    return any(opens <= minute < closes for opens, closes in today) or any(
        opens <= minute + 24 * 60 < closes for opens, closes in yesterday
    )


@pytest.fixture
def machine(_shared_engine: Engine) -> type[Clocks]:
    return type("ClocksHere", (Clocks,), {"engine": _shared_engine})


def test_appointments_are_right_over_every_change_of_the_clocks(machine: type[Clocks]) -> None:
    run_state_machine_as_test(machine, settings=OFTEN)
