"""What a calendar has and what is here: on here and unknown there, other hosts, and group events."""

import pytest
from sqlalchemy import select

from admin_app.context import Staff
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from models import (
    Booking,
    BookingStatus,
    DriftFinding,
    DriftState,
)
from models.bookings import CanceledBecause
from tests.faults.drifting import (
    ET,
    a_time,
    booked_there,
    decide,
    finance,
    house,
    now,
    run,
    simulator,
    the_booking,
    the_finding,
    write,
)
from tests.house import House
from tests.services.schedule_rows import add_booking, add_practitioner, add_session_type

__all__ = ["finance", "house", "simulator"]


class TestOnHereAndUnknownThere:
    """A booking that Cal.com should have and has not is a difference, with an act."""

    @pytest.fixture
    def booking(self, house: House) -> Booking:
        kind = add_session_type(house.db, add_practitioner(house.db, calcom_event_type_id="77"))
        return add_booking(house.db, kind, a_time())

    def test_it_is_found_and_pushed(self, house: House, finance: Staff, booking: Booking) -> None:
        assert run(house, "calcom") == (1, 0, 1)
        finding = the_finding(house)
        assert (finding.subject, finding.field, finding.theirs, finding.because) == (
            f"booking:{booking.id}",
            "record",
            None,
            "not_made",
        )
        assert run(house, "calcom") == (1, 0, 1)
        decide(house, finance, "push", the_finding(house))
        assert now(house, finding).state is DriftState.PUSHED
        assert len(control_calcom.bookings(house.simulator, our_id=booking.id)) == 1
        assert run(house, "calcom")[1:] == (0, 0)

    def test_a_push_that_is_refused_leaves_it_open(self, house: House, finance: Staff, booking: Booking) -> None:
        control_calcom.make_busy(house.simulator, event_type="77", starts_at=booking.starts_at, ends_at=booking.ends_at)
        run(house, "calcom")
        finding = the_finding(house)
        decide(house, finance, "push", finding)
        assert (now(house, finding).state, now(house, finding).because) == (DriftState.OPEN, "not_pushed")

    def test_it_is_gone_once_it_is_off_here(self, house: House, booking: Booking) -> None:
        run(house, "calcom")
        write(house, status=BookingStatus.CANCELED, canceled_because=CanceledBecause.BY_STAFF)
        run(house, "calcom")
        assert [finding.state for finding in house.rows(select(DriftFinding))] == [DriftState.GONE]

    def test_nobody_who_is_not_booked_there_is_looked_for(self, house: House) -> None:
        add_booking(house.db, add_session_type(house.db, add_practitioner(house.db)), a_time())
        assert run(house, "calcom") == (0, 0, 0)


def test_a_host_whom_nobody_knows_is_a_difference(house: House) -> None:
    made = booked_there(house, "calcom")
    control_calcom.act(
        house.simulator, made["id"], "reassign", host_id=9, host_email="stranger@example.com", deliver=False
    )
    assert run(house, "calcom") == (1, 0, 1)
    finding = the_finding(house)
    assert (finding.field, finding.theirs, finding.because) == ("host", "stranger@example.com", "host_unknown")


def test_another_host_is_taken_over(house: House) -> None:
    made = booked_there(house, "calcom")
    other = add_practitioner(house.db, "other@practice.example")
    control_calcom.act(house.simulator, made["id"], "reassign", host_id=9, host_email=other.email, deliver=False)
    _, repaired, found = run(house, "calcom")
    assert (found, the_booking(house).practitioner_id) == (0, other.id)
    assert repaired > 0


def test_a_group_event_is_compared_as_one(house: House) -> None:
    control_calendly.seed_event_types(house.simulator, [{"id": "ETD", "minutes": 60, "places": 4}])
    add_session_type(house.db, add_practitioner(house.db), calendly_event_type_uri=ET)
    at = a_time()
    for name in ("ada", "bea"):
        email = f"{name}@example.com"
        control_calendly.book(house.simulator, event_type="ETD", starts_at=at, email=email, deliver=False)
    assert run(house, "calendly")[1:] == (1, 0)
    assert run(house, "calendly")[1:] == (0, 0)
    assert the_booking(house).client_email == "ada@example.com"
