"""Calendly's and Cal.com's deliveries in every order, with every one twice: the end is the same."""

import json
from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import delete, select

from admin_app.db import Database
from admin_app.services import appointments, bookings, inbox, schedule
from admin_app.services.core import audit
from models import (
    AuditEntry,
    Booking,
    BookingAttendee,
    BookingLink,
    BookingSource,
    BookingStatus,
    CallState,
    CanceledBecause,
    EventState,
    Practitioner,
    ProviderCall,
    SessionType,
    WebhookEvent,
)
from tests.services.calendar_answers import (
    AT,
    CALCOM_EVENT_TYPE,
    EVENT_TYPE,
    HOUR,
    bookings_of,
    calcom_told,
    calendly_told,
    deliver,
    end_of,
    invitee_uri,
    receive,
    retold,
)
from tests.services.calendars.calendar_stories import CALENDLY_STORIES, DAY, STORIES
from tests.services.deliveries import next_job, work
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_booking, add_meeting, add_practitioner, add_session_type


@pytest.fixture
def kind(db: Database) -> SessionType:
    """What is booked, at Calendly and at Cal.com."""
    practitioner = add_practitioner(db, calcom_event_type_id=CALCOM_EVENT_TYPE)
    return add_session_type(db, practitioner, calendly_event_type_uri=EVENT_TYPE)


@pytest.mark.parametrize("name", STORIES)
def test_every_order_ends_in_one_state_however_often_it_is_told(db: Database, kind: SessionType, name: str) -> None:
    story = STORIES[name]
    expected = None
    for number, order in enumerate(permutations(story)):
        # Now and then the same delivery again, which the inbox knows, and the same news in another one.
        again = [*order, *map(retold, reversed(order))] if number % 10 == 0 else []
        events = deliver(db, *order, *again)
        (booking,) = bookings_of(db)
        assert {event.booking_id for event in events} == {booking.id}
        assert {event.state for event in events} <= {EventState.PROCESSED, EventState.SUPERSEDED}
        expected = expected or end_of(db)
        assert end_of(db) == expected, [one.name for one in order]
        _forget(db)


def _forget(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        for table in (BookingLink, WebhookEvent, Booking):
            ctx.session.execute(delete(table))


def test_a_calendly_booking_has_its_ids(db, kind):
    deliver(db, *CALENDLY_STORIES["moved"])
    (booking,) = bookings_of(db)
    assert booking.status is BookingStatus.CONFIRMED
    assert (booking.source, booking.practitioner_id, booking.session_type_id) == (
        BookingSource.CALENDLY,
        kind.practitioner_id,
        kind.id,
    )
    assert (booking.calendly_event_id, booking.calendly_invitee_uri) == ("Y", invitee_uri("Y"))
    assert booking.calendly_event_uri == "https://api.calendly.com/scheduled_events/Y"
    assert (booking.starts_at, booking.ends_at) == (AT + DAY, AT + DAY + HOUR)
    assert (booking.client_name, booking.client_email, booking.client_time_zone) == (
        "Ada Guest",
        "ada@example.com",
        "America/New_York",
    )
    assert (booking.price_amount, booking.price_currency) == (9500, "usd")


@pytest.mark.parametrize(
    ("by", "because"), [("host", CanceledBecause.BY_PRACTITIONER), ("invitee", CanceledBecause.BY_CLIENT)]
)
def test_who_called_it_off(db, kind, by, because):
    deliver(db, calendly_told("created", "X"), calendly_told("canceled", "X", by=by))
    (booking,) = bookings_of(db)
    assert (booking.status, booking.canceled_because) == (BookingStatus.CANCELED, because)


def waiting(db: Database) -> str | None:
    (event,) = deliver(db)
    assert (event.state, bookings_of(db)) == (EventState.PARKED, [])
    return event.parked_because


def release(db: Database, event_id: int) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        inbox.release(ctx, event_id=event_id, reason="the time is free now")
    work(db)


def test_an_event_type_that_nobody_knows_waits_and_goes_on_when_it_is_set(db, kind):
    deliver(db, calendly_told("created", "X", event_type="https://api.calendly.com/event_types/ET_other"))
    assert waiting(db) == "event_type_unknown"
    with db.unit_of_work(OPERATOR) as ctx:
        schedule.change_session_type(
            ctx,
            session_type_id=kind.id,
            values={"calendly_event_type_uri": "https://api.calendly.com/event_types/ET_other"},
            version=1,
        )
    work(db)
    (booking,) = bookings_of(db)
    assert booking.session_type_id == kind.id


def test_a_practitioner_whom_nobody_knows_waits_and_goes_on_when_they_are_mapped(db, kind):
    deliver(db, calcom_told("CREATED", "X", event_type=99))
    assert waiting(db) == "practitioner_unknown"
    with db.unit_of_work(OPERATOR) as ctx:
        schedule.change_practitioner(
            ctx, practitioner_id=kind.practitioner_id, values={"calcom_event_type_id": "99"}, version=1
        )
    work(db)
    assert len(bookings_of(db)) == 1


def test_a_length_that_fits_several_session_types_waits(db, kind):
    practitioner = Practitioner(id=kind.practitioner_id)
    add_session_type(db, practitioner, title="Short", minutes=20)
    deliver(db, calcom_told("CREATED", "X", minutes=45))
    assert waiting(db) == "session_type_unclear"


def test_an_only_session_type_is_taken_whatever_its_length(db, kind):
    deliver(db, calcom_told("CREATED", "X", minutes=45))
    (booking,) = bookings_of(db)
    assert booking.ends_at - booking.starts_at == timedelta(minutes=45)


@pytest.mark.parametrize("taken_by", ["booking", "meeting"])
def test_a_time_that_is_taken_here_waits_for_a_person_and_is_not_lost(db, kind, taken_by):
    if taken_by == "booking":
        other = add_booking(db, kind, AT)
    else:
        other = add_meeting(db, Practitioner(id=kind.practitioner_id), AT)
    (event,) = deliver(db, calendly_told("created", "X"))
    assert (event.state, event.parked_because) == (EventState.PARKED, "time_taken")
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(type(other), other.id).status = BookingStatus.CANCELED
    release(db, event.id)
    assert [booking.calendly_event_id for booking in bookings_of(db)][-1] == "X"


def test_a_move_to_a_taken_time_leaves_all_as_it_was(db, kind):
    other = add_booking(db, kind, AT + DAY)
    *_, event = deliver(db, *CALENDLY_STORIES["moved"])
    assert event.parked_because == "time_taken"
    booking = bookings_of(db)[-1]
    assert (booking.starts_at, booking.calendly_event_id) == (AT, "X")
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Booking, other.id).status = BookingStatus.CANCELED
    release(db, event.id)
    booking = bookings_of(db)[-1]
    assert (booking.starts_at, booking.calendly_event_id) == (AT + DAY, "Y")


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_time_that_one_gave_up_and_another_took_there(db, kind, order):
    """The second may be told before the end of the first: it goes on by itself once that is known."""
    story = [
        calendly_told("created", "X"),
        calendly_told("canceled", "X"),
        calendly_told("created", "Y", email="bea@example.com"),
    ]
    deliver(db, *(story[number] for number in order))
    assert EventState.PARKED not in {event.state for event in deliver(db)}
    assert {booking.calendly_event_id: booking.status for booking in bookings_of(db)} == {
        "X": BookingStatus.CANCELED,
        "Y": BookingStatus.CONFIRMED,
    }


def test_a_hold_that_has_lapsed_gives_way(db, kind):
    held = add_booking(db, kind, AT, status=BookingStatus.PENDING, hold_expires_at=AT - 300 * DAY)
    deliver(db, calendly_told("created", "X"))
    assert [booking.status for booking in bookings_of(db)] == [BookingStatus.CANCELED, BookingStatus.CONFIRMED]
    assert bookings_of(db)[0].id == held.id


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_two_guests_of_one_calendly_event_are_one_booking_that_stays_while_one_comes(db, kind, order):
    story = [
        calendly_told("created", "X", created_at="2026-12-01T09:00:00Z"),
        calendly_told("canceled", "X", created_at="2026-12-01T09:00:00Z"),
        calendly_told(
            "created", "X", uri=f"{invitee_uri('X')}2", email="bea@example.com", created_at="2026-12-02T09:00:00Z"
        ),
    ]
    for one in story:  # it has room for several, as Calendly says in each
        body = json.loads(one.body)
        body["payload"]["scheduled_event"] |= {"invitees_counter": {"limit": 2}}
        object.__setattr__(one, "body", json.dumps(body).encode())
    events = deliver(db, *(story[number] for number in order))
    assert EventState.PARKED not in {event.state for event in events}
    (booking,) = bookings_of(db)
    assert (booking.status, booking.client_email) == (BookingStatus.CONFIRMED, "bea@example.com")
    with db.read_only() as session:
        rows = session.scalars(select(BookingAttendee).order_by(BookingAttendee.email)).all()
    assert [(row.email, row.gone_at is None) for row in rows] == [
        ("ada@example.com", False),
        ("bea@example.com", True),
    ]


def test_an_event_without_its_time_waits_when_nobody_can_be_asked(db, kind):
    deliver(db, calendly_told("created", "X", scheduled_event=None))
    assert waiting(db) == "details_missing"


def test_a_calcom_booking_of_nobody_waits(db, kind):
    deliver(db, calcom_told("CREATED", "X", attendees=[]))
    assert waiting(db) == "attendee_missing"


def test_what_was_moved_before_it_was_seen_waits_for_the_new_one(db, kind):
    deliver(db, calendly_told("canceled", "X", new="Y"))
    assert waiting(db) == "reschedule_unseen"
    first, _ = deliver(db, calendly_told("created", "Y", at=AT + DAY, old="X"))
    assert (first.state, len(bookings_of(db))) == (EventState.SUPERSEDED, 1)


@pytest.mark.parametrize("told", [calendly_told("noshow", "X"), calcom_told("PAID", "X")], ids=lambda told: told.name)
def test_other_news_changes_nothing(db, kind, told):
    (event,) = deliver(db, told)
    assert (event.state, bookings_of(db)) == (EventState.IGNORED, [])


def test_what_was_called_off_here_stays_so_and_is_called_off_there(db, kind):
    deliver(db, calendly_told("created", "X"))
    with db.unit_of_work(OPERATOR) as ctx:
        (booking,) = ctx.session.scalars(select(Booking))
        bookings.cancel(ctx, appointments.of(ctx.session, booking), CanceledBecause.BY_STAFF)
    work(db)
    story = CALENDLY_STORIES["moved"][1:]
    for told in story:
        receive(db, told)
    assert "sync_calendar" in jobs_left(db)
    (booking,) = bookings_of(db)
    assert (booking.status, booking.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.BY_STAFF)
    assert (booking.starts_at, booking.calendly_event_id) == (AT, "Y")


def jobs_left(db: Database) -> list[str]:
    """The tasks that the waiting events lead to."""
    tasks = []
    while job := next_job(db):
        tasks.append(job.task_name)
        if job.task_name == "process_event":
            with db.unit_of_work(OPERATOR) as ctx:
                inbox.apply(ctx, event_id=job.args["event_id"])
    return tasks


class TestABookingThatWasSoldHere:
    """Cal.com tells of what we made there, and of what its client does with it there."""

    @pytest.fixture
    def ours(self, db: Database, kind: SessionType) -> Booking:
        booking = add_booking(db, kind, AT, client_email="own@example.com", client_time_zone="Europe/Oslo")
        self.told_to_cal_com(db, booking)
        return booking

    def told_to_cal_com(self, db: Database, booking: Booking) -> None:
        """Our call to make it there has left and was answered."""
        with db.unit_of_work(OPERATOR) as ctx:
            ctx.session.add(
                ProviderCall(
                    provider="calcom",
                    operation="booking.create",
                    subject=f"booking:{booking.id}",
                    idempotency_key=f"calcom-booking.create-{booking.id}",
                    state=CallState.SUCCEEDED,
                )
            )

    def made_there(self, db: Database, ours: Booking) -> None:
        deliver(db, calcom_told("CREATED", "X", our_id=ours.id))

    def test_it_is_known_by_its_number_and_no_second_one_is_made(self, db, ours):
        self.made_there(db, ours)
        (booking,) = bookings_of(db)
        assert (booking.calcom_booking_uid, booking.source, booking.client_email) == (
            "X",
            BookingSource.WEBSITE,
            "own@example.com",
        )

    def test_a_number_that_was_never_told_to_cal_com_is_a_strangers_claim(self, db, ours, kind):
        """Whoever books at Cal.com may write what they like into the metadata of their booking."""
        with db.unit_of_work(OPERATOR) as ctx:
            ctx.session.execute(delete(ProviderCall))
        deliver(db, calcom_told("CREATED", "X", at=AT + DAY, our_id=ours.id))
        deliver(db, calcom_told("CANCELLED", "X", at=AT + DAY, our_id=ours.id))
        mine, theirs = bookings_of(db)
        assert (mine.status, mine.calcom_booking_uid) == (BookingStatus.CONFIRMED, None)
        assert (theirs.status, theirs.source) == (BookingStatus.CANCELED, BookingSource.CALCOM)

    def test_it_is_not_confirmed_by_cal_com(self, db, kind):
        held = add_booking(db, kind, AT, status=BookingStatus.PENDING, hold_expires_at=AT)
        self.told_to_cal_com(db, held)
        self.made_there(db, held)
        assert bookings_of(db)[0].status is BookingStatus.PENDING

    def test_a_number_that_is_not_ours_makes_a_booking_of_its_own(self, db, ours, kind):
        deliver(db, calcom_told("CREATED", "X", at=AT + DAY, our_id=999_999))
        assert [booking.source for booking in bookings_of(db)] == [BookingSource.WEBSITE, BookingSource.CALCOM]

    @pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
    def test_its_client_moves_it_there_and_then_calls_it_off(self, db, ours, order):
        with db.unit_of_work(OPERATOR) as ctx:
            ctx.session.get_one(Booking, ours.id).calcom_booking_uid = "X"
        story = [
            calcom_told("CREATED", "X", our_id=ours.id),
            calcom_told("RESCHEDULED", "Y", at=AT + DAY, old="X", our_id=ours.id),
            calcom_told("RESCHEDULED", "Z", at=AT + 2 * DAY, old="Y", our_id=ours.id),
        ]
        deliver(db, *(story[number] for number in order))
        (booking,) = bookings_of(db)
        assert (booking.calcom_booking_uid, booking.starts_at, booking.ends_at) == (
            "Z",
            AT + 2 * DAY,
            AT + 2 * DAY + HOUR,
        )
        assert (booking.status, booking.client_email) == (BookingStatus.CONFIRMED, "own@example.com")
        deliver(db, calcom_told("CANCELLED", "Z", at=AT + 2 * DAY, our_id=ours.id))
        (booking,) = bookings_of(db)
        assert (booking.status, booking.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.BY_CLIENT)

    def test_a_late_echo_of_ours_does_not_move_it_back(self, db, ours):
        with db.unit_of_work(OPERATOR) as ctx:
            ctx.session.get_one(Booking, ours.id).starts_at = AT + timedelta(minutes=10)
            ctx.session.add(
                ProviderCall(
                    provider="calcom", operation="booking.create", subject=f"booking:{ours.id}", idempotency_key="k"
                )
            )
        receive(db, calcom_told("CREATED", "X", our_id=ours.id))
        receive(db, calcom_told("RESCHEDULED", "Y", at=AT + DAY, old="X", our_id=ours.id))
        assert jobs_left(db).count("sync_calendar") >= 1
        (booking,) = bookings_of(db)
        assert (booking.calcom_booking_uid, booking.starts_at) == ("Y", AT + timedelta(minutes=10))

    def test_called_off_there_and_moved_after_all(self, db, ours):
        self.made_there(db, ours)
        deliver(db, calcom_told("CANCELLED", "X", our_id=ours.id, by="host@example.com", requestReschedule=True))
        assert bookings_of(db)[0].status is BookingStatus.CANCELED
        deliver(db, calcom_told("RESCHEDULED", "Y", at=AT + DAY, old="X", our_id=ours.id))
        (booking,) = bookings_of(db)
        assert (booking.status, booking.canceled_at, booking.starts_at) == (BookingStatus.CONFIRMED, None, AT + DAY)


def test_it_is_told_in_the_history(db, kind):
    deliver(db, calendly_told("created", "X"), calendly_told("created", "Z", at=AT + 2 * DAY, old="Y"))
    kept, other = bookings_of(db)
    deliver(db, calendly_told("created", "Y", at=AT + DAY, old="X"))
    assert [booking.id for booking in bookings_of(db)] == [kept.id]
    with db.read_only() as session:
        said = [item.sentence for item in audit.history(session, f"booking:{kept.id}", limit=10)]
        assert f"found that booking {other.id} is booking {kept.id}, moved in Calendly" in said[0]
        assert f"brought in booking {kept.id} of ada@example.com from Calendly" in said[-1]
        assert session.scalars(select(AuditEntry).where(AuditEntry.event == "booking.joined")).one()
