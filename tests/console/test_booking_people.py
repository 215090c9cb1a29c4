"""The page of a booking shows who comes, who gave their place up, whose it is, and what was paid in the calendar."""

from datetime import timedelta

from admin_app.db import Database
from models import BookingAttendee, BookingHost, Role
from tests.console.conftest import SETUP
from tests.services.schedule_rows import add_booking, add_practitioner, add_session_type


def test_people_and_what_they_paid_in_calendly(db: Database, client_for) -> None:
    practitioner = add_practitioner(db)
    now = db.clock()
    booking = add_booking(
        db, add_session_type(db, practitioner), now + timedelta(days=2), calendly_invitee_uri="https://x/invitees/1"
    )
    with db.unit_of_work(SETUP) as ctx:
        given = {"booking_id": booking.id, "provider": "calendly", "since": now}
        ctx.session.add(BookingHost(practitioner_id=practitioner.id, **given))
        paid = {"paid_amount": 123_456, "paid_currency": "eur", "paid_through": "stripe"}
        ctx.session.add(BookingAttendee(external_id="1", name="Ada", email="ada@example.com", **given, **paid))
        ctx.session.add(BookingAttendee(external_id="2", name="Bea", email=None, gone_at=now, **given))
    page = client_for(Role.SUPPORT).get(f"/admin/bookings/{booking.id}").text
    assert "Paid in Calendly: 1,234.56 EUR by Ada." in page
    assert "Ada (ada@example.com) has a place, as Calendly says since" in page
    assert "Bea has no place any more" in page
    assert f"In the calendar of {practitioner.name}, as Calendly says since" in page


def test_a_booking_that_no_calendar_keeps_has_no_such_card(db: Database, client_for) -> None:
    booking = add_booking(db, add_session_type(db, add_practitioner(db)), db.clock() + timedelta(days=2))
    assert "Who comes" not in client_for(Role.SUPPORT).get(f"/admin/bookings/{booking.id}").text
