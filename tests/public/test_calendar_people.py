"""Seats, group events and hosts: who comes to a booking and in whose calendar it is, as the calendar answers."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.services import inbox, schedule
from admin_app.services.bookings import attendance
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from models import (
    BookingAttendee,
    BookingHost,
    BookingStatus,
    CanceledBecause,
    EventState,
    Practitioner,
)
from tests.house import House
from tests.public.calendar_people import (
    DAY,
    HOUR,
    NUMBERS,
    AtCalcom,
    AtCalendly,
    booked,
    bookings,
    coming,
    hosts,
    last_event,
)
from tests.services.calendar_answers import calcom_told
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_booking, add_practitioner, add_session_type


class TestSeats:
    def test_one_seat_is_given_up_and_the_booking_stays(self, house: House) -> None:
        calcom = AtCalcom(house, seats=3)
        made = calcom.book("ada@example.com")
        calcom.book("bea@example.com")
        calcom.tell("CREATED", made)
        assert coming(house) == {"ada@example.com": True, "bea@example.com": True}
        calcom.act(made, "leave", email="ada@example.com")
        calcom.tell("CANCELLED", made, by="ada@example.com")
        booking = booked(house)
        assert (booking.status, booking.client_email) == (BookingStatus.CONFIRMED, "bea@example.com")
        assert coming(house) == {"ada@example.com": False, "bea@example.com": True}

    def test_the_last_seat_ends_it(self, house: House) -> None:
        calcom = AtCalcom(house, seats=3)
        made = calcom.book("ada@example.com")
        calcom.book("bea@example.com")
        calcom.tell("CREATED", made)
        for email in ("ada@example.com", "bea@example.com"):
            calcom.act(made, "leave", email=email)
        calcom.tell("CANCELLED", made)
        assert booked(house).status is BookingStatus.CANCELED
        assert coming(house) == {"ada@example.com": False, "bea@example.com": False}

    def test_an_earlier_answer_takes_nothing_back(self, house: House) -> None:
        calcom = AtCalcom(house, seats=3)
        made = calcom.book("ada@example.com")
        calcom.tell("CREATED", made)
        receive_late = calcom_told("CREATED", made["id"], at=calcom.at, event_type=calcom.event_type)
        house.calcom(receive_late.body)
        event = last_event(house)
        with house.db.unit_of_work(OPERATOR) as ctx:
            opened = inbox.open_event(ctx, event_id=event.id)
        assert opened is not None
        assert opened.reading.needed is not None
        early = opened.handler.fetch(house.bench.providers, opened.reading.needed)
        calcom.book("bea@example.com")
        calcom.tell("CREATED", made, told=datetime.now(UTC) + HOUR)
        with house.db.unit_of_work(OPERATOR) as ctx:
            inbox.apply(ctx, event_id=event.id, looked_up=early)
        assert coming(house) == {"ada@example.com": True, "bea@example.com": True}

    def test_without_an_answer_the_delivery_says_whose_seat_it_was(self, house: House) -> None:
        calcom = AtCalcom(house, seats=3)
        unknown = {"id": "uid_of_nobody", "start": calcom.at.isoformat(), "attendee": {}}
        ada, bea = ({"name": name, "email": f"{name}@example.com", "timeZone": "UTC"} for name in ("ada", "bea"))
        now = datetime.now(UTC)
        calcom.tell("CREATED", unknown, seatsPerTimeSlot=3, attendees=[ada, bea], told=now)
        calcom.tell("CANCELLED", unknown, seatsPerTimeSlot=3, attendees=[ada], told=now + HOUR)
        assert (booked(house).status, booked(house).client_email) == (BookingStatus.CONFIRMED, "bea@example.com")
        calcom.tell("CREATED", unknown, seatsPerTimeSlot=3, attendees=[ada], told=now + HOUR / 2)
        assert coming(house) == {"ada@example.com": False, "bea@example.com": True}
        calcom.tell("CANCELLED", unknown, seatsPerTimeSlot=3, attendees=[bea], told=now + 2 * HOUR)
        assert booked(house).status is BookingStatus.CANCELED

    def test_what_is_told_canceled_and_answered_accepted_is_on(self, house: House) -> None:
        calcom = AtCalcom(house)
        made = calcom.book("ada@example.com")
        calcom.tell("CREATED", made)
        calcom.tell("CANCELLED", made)
        assert booked(house).status is BookingStatus.CONFIRMED

    def test_a_telephone_number_is_no_address(self, house: House) -> None:
        calcom = AtCalcom(house)
        made = calcom.book("4712345678@sms.cal.com", name="Ada by phone")
        calcom.tell("CREATED", made)
        booking = booked(house)
        assert (booking.client_name, booking.client_email, booking.status) == (
            "Ada by phone",
            None,
            BookingStatus.CONFIRMED,
        )
        assert coming(house) == {"Ada by phone": True}


class TestGroupEvents:
    def test_several_invitees_are_one_booking(self, house: House) -> None:
        calendly = AtCalendly(house, places=5)
        ada, bea = calendly.book("ada@example.com"), calendly.book("bea@example.com")
        calendly.tell("invitee.created", bea)
        calendly.tell("invitee.created", ada)
        assert last_event(house).state is EventState.SUPERSEDED
        booking = booked(house)
        assert (booking.client_email, booking.calendly_invitee_uri) == ("ada@example.com", ada["uri"])
        assert coming(house) == {"ada@example.com": True, "bea@example.com": True}

    def test_it_stays_while_one_comes(self, house: House) -> None:
        calendly = AtCalendly(house, places=5)
        ada, bea = calendly.book("ada@example.com"), calendly.book("bea@example.com")
        calendly.tell("invitee.created", ada)
        control_calendly.cancel(house.simulator, ada["id"], deliver=False)
        calendly.tell("invitee.canceled", ada)
        booking = booked(house)
        assert (booking.status, booking.client_email, booking.calendly_invitee_uri) == (
            BookingStatus.CONFIRMED,
            "bea@example.com",
            bea["uri"],
        )
        control_calendly.cancel(house.simulator, bea["id"], deliver=False)
        calendly.tell("invitee.canceled", bea)
        booking = booked(house)
        assert (booking.status, booking.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.BY_CLIENT)

    def test_one_of_them_moves_to_another_event(self, house: House) -> None:
        calendly = AtCalendly(house, places=5)
        ada, _ = calendly.book("ada@example.com"), calendly.book("bea@example.com")
        calendly.tell("invitee.created", ada)
        moved = control_calendly.reschedule(house.simulator, ada["id"], calendly.at + DAY, deliver=False)
        calendly.tell("invitee.canceled", ada)
        calendly.tell("invitee.created", moved)
        assert [(one.client_email, one.starts_at, one.status) for one in bookings(house)] == [
            ("bea@example.com", calendly.at, BookingStatus.CONFIRMED),
            ("ada@example.com", calendly.at + DAY, BookingStatus.CONFIRMED),
        ]

    def test_what_was_paid_in_calendly_is_kept(self, house: House) -> None:
        calendly = AtCalendly(house)
        paid = {"external_id": "ch_1", "provider": "stripe", "amount": 1234.56, "currency": "EUR", "successful": True}
        ada = calendly.book("ada@example.com", payment=paid | {"terms": "none"})
        calendly.tell("invitee.created", ada)
        (row,) = house.rows(select(BookingAttendee))
        assert (row.paid_amount, row.paid_currency, row.paid_through) == (123_456, "eur", "stripe")

    def test_the_host_of_a_teams_event_has_it(self, house: House) -> None:
        calendly = AtCalendly(house)
        other = add_practitioner(house.db, f"round{next(NUMBERS)}@practice.example")
        theirs = add_session_type(house.db, other)
        calendly.tell("invitee.created", calendly.book("ada@example.com", host_email=other.email))
        booking = booked(house)
        assert (booking.practitioner_id, booking.session_type_id) == (other.id, theirs.id)


class TestHosts:
    def other(self, house: House, **values: Any) -> tuple[Practitioner, dict[str, Any]]:
        number = next(NUMBERS)
        practitioner = add_practitioner(house.db, f"other{number}@practice.example", **values)
        add_session_type(house.db, practitioner)
        return practitioner, {"host_id": number, "host_email": practitioner.email}

    def test_a_reschedule_picks_another_host(self, house: House) -> None:
        calcom = AtCalcom(house)
        other, host = self.other(house)
        made = calcom.book("ada@example.com")
        calcom.tell("CREATED", made)
        moved = calcom.act(made, "reschedule", starts_at=calcom.at + DAY, **host)
        calcom.tell("RESCHEDULED", moved, old=made["id"])
        booking = booked(house)
        assert (booking.practitioner_id, booking.starts_at) == (other.id, calcom.at + DAY)
        assert hosts(house) == [(calcom.practitioner.id, False), (other.id, True)]

    def test_a_reassignment_under_the_same_id_frees_and_takes_time(self, house: House) -> None:
        calcom = AtCalcom(house)
        other, host = self.other(house)
        made = calcom.book("ada@example.com")
        calcom.tell("CREATED", made)
        calcom.act(made, "reassign", **host)
        calcom.tell("CREATED", made, told=datetime.now(UTC) + HOUR)
        assert booked(house).practitioner_id == other.id
        add_booking(house.db, calcom.kind, calcom.at)  # the first practitioner's time is free again

    def test_a_host_whom_nobody_knows_parks_and_goes_on_when_they_are_known(self, house: House) -> None:
        calcom = AtCalcom(house)
        made = calcom.book("ada@example.com")
        calcom.tell("CREATED", made)
        calcom.act(made, "reassign", host_id=next(NUMBERS), host_email="stranger@example.com")
        calcom.tell("CREATED", made, told=datetime.now(UTC) + HOUR)
        assert (last_event(house).state, last_event(house).parked_because) == (EventState.PARKED, "host_unknown")
        assert "host_unknown" in inbox.PARKED_SENTENCES
        assert booked(house).practitioner_id == calcom.practitioner.id
        other, _ = self.other(house)
        with house.db.unit_of_work(OPERATOR) as ctx:
            schedule.change_practitioner(
                ctx, practitioner_id=other.id, values={"email": "stranger@example.com"}, version=1
            )
        house.work()
        assert (last_event(house).state, booked(house).practitioner_id) == (EventState.PROCESSED, other.id)

    def test_where_the_new_host_is_busy_it_waits_until_they_are_not(self, house: House) -> None:
        calcom = AtCalcom(house)
        other, host = self.other(house)
        (kind,) = [kind for kind in house.rows(select(type(calcom.kind))) if kind.practitioner_id == other.id]
        add_booking(house.db, kind, calcom.at, status=BookingStatus.CONFIRMED)
        made = calcom.book("ada@example.com")
        calcom.tell("CREATED", made)
        calcom.act(made, "reassign", **host)
        calcom.tell("CREATED", made, told=datetime.now(UTC) + HOUR)
        assert last_event(house).parked_because == "time_taken"
        assert last_event(house).waits_for == f"practitioner:{other.id}"

    def test_an_event_type_of_a_team_is_whose_host_it_is(self, house: House) -> None:
        calcom = AtCalcom(house)
        other, host = self.other(house)
        made = calcom.book("ada@example.com")
        calcom.act(made, "reassign", **host)
        calcom.tell("CREATED", made)
        assert booked(house).practitioner_id == other.id


class TestSeries:
    def test_canceling_all_that_remain_is_one_event(self, house: House) -> None:
        calcom = AtCalcom(house)
        first = calcom.book("ada@example.com", recurrences=3)
        calcom.tell("CREATED", first)
        assert [one.status for one in bookings(house)] == [BookingStatus.CONFIRMED] * 3
        second = sorted(control_calcom.bookings(house.simulator), key=lambda one: one["number"])[-2]
        calcom.act(second, "cancel_remaining")
        calcom.tell("CANCELLED", second)
        assert [one.status for one in sorted(bookings(house), key=lambda one: one.starts_at)] == [
            BookingStatus.CONFIRMED,
            BookingStatus.CANCELED,
            BookingStatus.CANCELED,
        ]


class TestNoShows:
    def later(self, house: House, at: datetime) -> None:
        house.db.clock = lambda: at

    def test_one_at_calcom_comes_over_and_is_taken_back(self, house: House) -> None:
        calcom = AtCalcom(house)
        made = calcom.book("ada@example.com")
        calcom.tell("CREATED", made)
        self.later(house, calcom.at + HOUR)
        calcom.act(made, "absent")
        calcom.tell("NO_SHOW_UPDATED", made, bookingUid=made["id"])
        assert booked(house).status is BookingStatus.NO_SHOW
        calcom.act(made, "came")
        calcom.tell("NO_SHOW_UPDATED", made, bookingUid=made["id"], told=datetime.now(UTC) + HOUR)
        assert booked(house).status is BookingStatus.COMPLETED

    def test_what_staff_said_is_not_overruled(self, house: House) -> None:
        calcom = AtCalcom(house)
        made = calcom.book("ada@example.com")
        calcom.tell("CREATED", made)
        self.later(house, calcom.at + HOUR)
        subject = f"booking:{booked(house).id}"
        with house.db.unit_of_work(OPERATOR) as ctx:
            shown = attendance.plan_complete(ctx, subject=subject).fingerprint
            attendance.complete(ctx, subject=subject, reason="she was late", shown=shown)
        calcom.act(made, "absent")
        calcom.tell("NO_SHOW_UPDATED", made, bookingUid=made["id"])
        assert booked(house).status is BookingStatus.COMPLETED

    def test_one_at_calendly_comes_over(self, house: House) -> None:
        calendly = AtCalendly(house)
        ada = calendly.book("ada@example.com")
        calendly.tell("invitee.created", ada)
        self.later(house, calendly.at + HOUR)
        control_calendly.mark_no_show(house.simulator, ada["id"], deliver=False)
        calendly.tell("invitee_no_show.created", ada)
        assert booked(house).status is BookingStatus.NO_SHOW

    @pytest.mark.parametrize("absent", [("ada@example.com",), ("ada@example.com", "bea@example.com")], ids=len)
    def test_a_booking_is_one_when_nobody_came(self, house: House, absent: tuple[str, ...]) -> None:
        calcom = AtCalcom(house, seats=2)
        made = calcom.book("ada@example.com")
        calcom.book("bea@example.com")
        calcom.tell("CREATED", made)
        self.later(house, calcom.at + HOUR)
        for email in absent:
            calcom.act(made, "absent", email=email)
        calcom.tell("NO_SHOW_UPDATED", made, bookingUid=made["id"])
        nobody = len(absent) == 2
        assert booked(house).status is (BookingStatus.NO_SHOW if nobody else BookingStatus.CONFIRMED)


class TestASharedAccount:
    """One account hosts for somebody who has none: the event type says whose it is, before and after the migration."""

    def test_it_stays_with_whom_the_event_type_names(self, house: House) -> None:
        calendly = AtCalendly(house)
        owner = add_practitioner(house.db, f"owner{next(NUMBERS)}@practice.example")
        add_session_type(house.db, owner)
        ada = calendly.book("ada@example.com", host_email=owner.email)
        booking = add_booking(
            house.db,
            calendly.kind,
            calendly.at,
            client_email="ada@example.com",
            source="calendly",
            calendly_invitee_uri=ada["uri"],
            calendly_event_uri=ada["event_uri"],
        )
        with house.db.unit_of_work(OPERATOR) as ctx:  # as the migration fills it
            given = {"booking_id": booking.id, "practitioner_id": calendly.practitioner.id, "provider": "calendly"}
            ctx.session.add(BookingHost(**given, since=ctx.now))
        calendly.tell("invitee.created", ada)
        bea = calendly.book("bea@example.com", calendly.at + DAY, host_email=owner.email)
        calendly.tell("invitee.created", bea)
        assert [one.practitioner_id for one in bookings(house)] == [calendly.practitioner.id] * 2
