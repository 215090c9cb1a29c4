"""Deliveries and jobs about one booking at the same time, on real connections."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.errors import DomainError
from admin_app.jobs import calendars, events
from admin_app.simulator.calcom import control_calcom
from models import Booking, BookingLink, BookingStatus, EventState, ProviderCall, WebhookEvent
from tests.house import House, build
from tests.services.calendar_answers import EVENT_TYPE, Told, bookings_of, calendly_told, invitee_uri, receive
from tests.services.calendars.calendar_stories import CALENDLY_STORIES
from tests.services.schedule_rows import add_booking, add_practitioner, add_session_type

ROUNDS = 4


@pytest.fixture
def untold(simulator: str, real_db: Any) -> House:
    """Nobody can be asked: the deliveries alone must do."""
    return build(simulator, real_db, calendly_token="", calcom_api_key="")


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(act) for act in acts]]


def process(house: House, told: list[Told]) -> None:
    """Store all, then let as many workers take one each."""
    numbers = [number for one in told if (number := receive(house.db, one)) is not None]

    def work(number: int) -> Callable[[], None]:
        return lambda: events.process(house.bench, number, last_try=True)

    at_once([work(number) for number in numbers])
    house.work(last_try=True)


def test_a_chain_told_at_once_is_one_booking(untold: House) -> None:
    kind = add_session_type(untold.db, add_practitioner(untold.db), calendly_event_type_uri=EVENT_TYPE)
    for number in range(ROUNDS):
        shift = timedelta(days=10 * number)
        names = {name: f"{name}{number}" for name in "XYZ"}
        story = [_renamed(told, names, shift) for told in CALENDLY_STORIES["moved twice"]]
        process(untold, story)
        (booking,) = [one for one in bookings_of(untold.db) if one.calendly_event_id in names.values()]
        assert (booking.calendly_event_id, booking.status) == (names["Z"], BookingStatus.CONFIRMED)
        assert booking.session_type_id == kind.id
    assert len(bookings_of(untold.db)) == ROUNDS
    links = untold.rows(select(BookingLink))
    assert Counter(link.booking_id for link in links) == {one.id: 3 for one in bookings_of(untold.db)}
    states = {event.state for event in untold.rows(select(WebhookEvent))}
    assert states <= {EventState.PROCESSED, EventState.SUPERSEDED}


def _renamed(told: Told, names: dict[str, str], shift: timedelta) -> Told:
    """The same story of another appointment, some days later."""
    body = told.body.decode()
    for name, other in names.items():
        body = body.replace(f'scheduled_events/{name}"', f'scheduled_events/{other}"')
        body = body.replace(invitee_uri(name), invitee_uri(other))
    for day in (12, 13, 14):
        at = datetime(2027, 1, day, tzinfo=UTC)
        body = body.replace(f"{at:%Y-%m-%d}T", f"{at + shift:%Y-%m-%d}T")
    return Told(told.name, told.provider, body.encode())


def test_one_time_has_one_of_many_who_booked_it(untold: House) -> None:
    add_session_type(untold.db, add_practitioner(untold.db), calendly_event_type_uri=EVENT_TYPE)
    process(untold, [calendly_told("created", f"E{number}") for number in range(8)])
    (booking,) = bookings_of(untold.db)
    waiting = [event.parked_because for event in untold.rows(select(WebhookEvent)) if event.state is EventState.PARKED]
    assert waiting == ["time_taken"] * 7
    assert booking.status is BookingStatus.CONFIRMED


def test_many_jobs_make_one_booking_at_cal_com(real_house: House) -> None:
    control_calcom.seed_event_types(real_house.simulator, [{"id": "990001", "minutes": 60, "host_id": 990001}])
    practitioner = add_practitioner(real_house.db, calcom_event_type_id="990001")
    kind = add_session_type(real_house.db, practitioner)
    starts_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=90)
    booking = add_booking(real_house.db, kind, starts_at, client_email="raced@example.com")

    def sync() -> str:
        try:
            calendars.sync_calendar(real_house.bench, booking.id)
        except DomainError as refused:
            return refused.code
        return "done"

    outcomes = Counter(at_once([sync] * 8))
    assert outcomes.keys() <= {"done", "calendar_call_runs"}
    assert outcomes["done"] >= 1
    made = [
        one for one in control_calcom.bookings(real_house.simulator) if one["attendee"]["email"] == "raced@example.com"
    ]
    assert len(made) == 1
    assert real_house.rows(select(Booking.calcom_booking_uid)) == [made[0]["id"]]
    assert len(real_house.rows(select(ProviderCall))) == 1
