"""What a delivery says counts where nobody can be asked: who did not come, and who hosts it."""

import json

import pytest

from admin_app.db import Database
from models import (
    BookingStatus,
    EventState,
    Practitioner,
    ProviderCall,
    SessionType,
)
from tests.services.calendar_answers import (
    AT,
    CALCOM_EVENT_TYPE,
    EVENT_TYPE,
    HOUR,
    Told,
    bookings_of,
    calcom_told,
    calendly_told,
    deliver,
    invitee_uri,
)
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_booking, add_practitioner, add_session_type


@pytest.fixture
def kind(db: Database) -> SessionType:
    """What is booked, at Calendly and at Cal.com."""
    practitioner = add_practitioner(db, calcom_event_type_id=CALCOM_EVENT_TYPE)
    return add_session_type(db, practitioner, calendly_event_type_uri=EVENT_TYPE)


@pytest.mark.parametrize("provider", ["calcom", "calendly"])
def test_who_did_not_come_is_noted_when_nobody_can_be_asked(db, kind, provider):
    made = calcom_told("CREATED", "X") if provider == "calcom" else calendly_told("created", "X")
    deliver(db, made)
    db.clock = lambda: AT + HOUR
    payload = {"uri": "https://api.calendly.com/invitee_no_shows/N", "invitee": invitee_uri("X")}
    absent = {
        "calcom": {
            "triggerEvent": "BOOKING_NO_SHOW_UPDATED",
            "payload": {"bookingUid": "X", "attendees": [{"email": "ada@example.com", "noShow": True}]},
        },
        "calendly": {"event": "invitee_no_show.created", "payload": payload},
    }[provider]
    *_, event = deliver(db, Told("absent", provider, json.dumps(absent).encode()))
    assert (event.state, event.outcome) == (EventState.PROCESSED, "nobody came")
    (booking,) = bookings_of(db)
    assert booking.status is BookingStatus.NO_SHOW


def test_a_booking_of_ours_that_a_team_gave_to_another_is_theirs(db, kind):
    """Cal.com's round robin chose the host of what we made there."""
    other = add_practitioner(db, "other@practice.example", calcom_user_id="6")
    ours = add_booking(db, kind, AT)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Practitioner, kind.practitioner_id).calcom_user_id = "5"
        call = ProviderCall(provider="calcom", operation="booking.create", subject=f"booking:{ours.id}")
        call.idempotency_key = "k"
        ctx.session.add(call)
    host = {"id": 6, "email": other.email, "timeZone": "UTC"}
    deliver(db, calcom_told("CREATED", "X", our_id=ours.id, organizer=host))
    (booking,) = bookings_of(db)
    assert (booking.practitioner_id, booking.starts_at, booking.session_type_id) == (other.id, AT, kind.id)
