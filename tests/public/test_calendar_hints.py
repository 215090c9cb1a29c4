"""A delivery is a hint: Calendly and Cal.com are asked, so that any one of a chain tells the whole of it."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.simulator import control
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from models import Booking, BookingSource, BookingStatus, CanceledBecause, EventState, WebhookEvent
from tests.house import House, build
from tests.services.calendar_answers import end_of
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_booking, add_practitioner, add_session_type

NUMBERS = count(700_000)
TIMES = count()
DAY = timedelta(days=1)
WAYS = list(permutations(range(5)))[::9]


def a_time() -> datetime:
    """Coming, and no other test's."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=40, hours=next(TIMES))


class Calendly:
    """An appointment that was moved twice, and the five deliveries that tell of it."""

    source = BookingSource.CALENDLY

    def __init__(self, house: House) -> None:
        self.house, self.at = house, a_time()
        event_type = f"ET{next(NUMBERS)}"
        control_calendly.seed_event_types(house.simulator, [{"id": event_type, "minutes": 60}])
        uri = f"https://api.calendly.com/event_types/{event_type}"
        add_session_type(
            house.db, add_practitioner(house.db, f"{event_type}@practice.example"), calendly_event_type_uri=uri
        )
        first = control_calendly.book(
            house.simulator, event_type=event_type, starts_at=self.at, email="ada@example.com", deliver=False
        )
        second = control_calendly.reschedule(house.simulator, first["id"], self.at + DAY, deliver=False)
        third = control_calendly.reschedule(house.simulator, second["id"], self.at + 2 * DAY, deliver=False)
        self.last = third
        self.told = [
            *(("invitee.created", first), ("invitee.canceled", first), ("invitee.created", second)),
            *(("invitee.canceled", second), ("invitee.created", third)),
        ]

    def tell(self, number: int) -> None:
        event, invitee = self.told[number]
        body = {"event": event, "created_at": "2027-01-02T09:00:00Z", "payload": {"uri": invitee["uri"]}}
        assert self.house.calendly(json.dumps(body).encode()).status_code == 200
        self.house.work(last_try=True)

    def is_last(self, booking: Booking) -> bool:
        return booking.calendly_invitee_uri == self.last["uri"]

    def cancel(self) -> None:
        control_calendly.cancel(self.house.simulator, self.last["id"], deliver=False)


class Calcom:
    """The same at Cal.com: three deliveries, each told with the booking as it was."""

    source = BookingSource.CALCOM

    def __init__(self, house: House) -> None:
        self.house, self.at = house, a_time()
        event_type, simulator = str(next(NUMBERS)), house.simulator
        control_calcom.seed_event_types(simulator, [{"id": event_type, "minutes": 60, "host_id": int(event_type)}])
        self.practitioner = add_practitioner(house.db, calcom_event_type_id=event_type)
        self.kind = add_session_type(house.db, self.practitioner)
        email = f"ada{event_type}@example.com"
        first = control_calcom.book(simulator, event_type=event_type, starts_at=self.at, email=email, deliver=False)
        second = self._move(first, self.at + DAY)
        self.last = self._move(second, self.at + 2 * DAY)
        self.event_type = event_type
        self.told = [
            ("BOOKING_CREATED", first, None),
            ("BOOKING_RESCHEDULED", second, first),
            ("BOOKING_RESCHEDULED", self.last, second),
        ]

    def _move(self, booking: dict[str, Any], to: datetime) -> dict[str, Any]:
        return control_calcom.act(self.house.simulator, booking["id"], "reschedule", starts_at=to, deliver=False)

    def tell(self, number: int) -> None:
        trigger, booking, old = self.told[number]
        payload = {
            "uid": booking["id"],
            "eventTypeId": int(self.event_type),
            "startTime": booking["start"],
            "endTime": booking["end"],
            "attendees": [booking["attendee"]],
            "rescheduleUid": old and old["id"],
        }
        body = {"triggerEvent": trigger, "createdAt": "2027-01-02T09:00:00Z", "payload": payload}
        assert self.house.calcom(json.dumps(body).encode()).status_code == 200
        self.house.work(last_try=True)

    def is_last(self, booking: Booking) -> bool:
        return booking.calcom_booking_uid == self.last["id"]

    def cancel(self) -> None:
        control_calcom.act(self.house.simulator, self.last["id"], "cancel", deliver=False)


def booked(house: House) -> Booking:
    (booking,) = house.rows(select(Booking))
    return booking


@pytest.mark.parametrize(
    ("story", "number"), [*((Calendly, number) for number in range(5)), *((Calcom, number) for number in range(3))]
)
def test_one_delivery_tells_all(house: House, story: type[Calendly] | type[Calcom], number: int) -> None:
    told = story(house)
    told.tell(number)
    booking = booked(house)
    assert told.is_last(booking)
    assert (booking.starts_at, booking.status, booking.source) == (
        told.at + 2 * DAY,
        BookingStatus.CONFIRMED,
        told.source,
    )


@pytest.mark.parametrize("order", WAYS, ids=str)
def test_the_others_change_nothing(house: House, order: tuple[int, ...]) -> None:
    told = Calendly(house)
    told.tell(order[0])
    end = end_of(house.db)
    for number in order[1:]:
        told.tell(number)
        assert end_of(house.db) == end
    assert {event.state for event in house.rows(select(WebhookEvent))} <= {EventState.PROCESSED, EventState.SUPERSEDED}


@pytest.mark.parametrize("story", [Calendly, Calcom])
def test_a_cancellation_that_was_never_told(house: House, story: type[Calendly] | type[Calcom]) -> None:
    told = story(house)
    told.cancel()
    told.tell(0)
    booking = booked(house)
    assert told.is_last(booking)
    assert (booking.status, booking.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.BY_CLIENT)


@pytest.mark.parametrize("mode", ["429", "500"])
@pytest.mark.parametrize("story", [Calendly, Calcom])
def test_when_nobody_answers_the_delivery_itself_is_taken(house: House, mode: str, story: type[Calcom]) -> None:
    told = story(house)
    provider = told.source.value
    control.fault(house.simulator, provider, mode, times=3)
    told.tell(len(told.told) - 1)
    control.fault(house.simulator, provider, "off")
    events = house.rows(select(WebhookEvent))
    if story is Calcom:
        assert told.is_last(booked(house))
    else:
        assert [event.parked_because for event in events] == ["details_missing"]
    assert [event.last_error for event in events] == ["lookup_failed"]


def test_a_booking_of_ours_is_followed_through_moves_at_cal_com(house: House) -> None:
    told = Calcom(house)
    ours = add_booking(house.db, told.kind, told.at + 30 * DAY)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Booking, ours.id).calcom_booking_uid = told.told[0][1]["id"]
    told.tell(1)
    booking = booked(house)
    assert told.is_last(booking)
    assert (booking.id, booking.starts_at, booking.source) == (ours.id, told.at + 2 * DAY, BookingSource.WEBSITE)


def test_what_was_not_answered_goes_on_when_anything_is(house: House) -> None:
    """Whatever was parked because nobody could be asked is asked about once the provider answers."""
    silent, answered = Calendly(house), Calendly(house)
    control.fault(house.simulator, "calendly", "500", times=9)
    silent.tell(4)
    control.fault(house.simulator, "calendly", "off")
    assert [event.parked_because for event in house.rows(select(WebhookEvent))] == ["details_missing"]
    again = build(house.simulator, house.db)  # another worker, whose circuit is closed
    answered.house = again
    answered.tell(4)
    assert {event.state for event in house.rows(select(WebhookEvent))} == {EventState.PROCESSED}
    assert len(house.rows(select(Booking))) == 2
