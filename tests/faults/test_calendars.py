"""Cal.com and Calendly are told what becomes of a booking here, once, whatever goes wrong on the way."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.errors import DomainError, OutcomeUnknown, ProviderUnavailable
from admin_app.integrations.calcom import calcom_api
from admin_app.integrations.calcom.calcom_api import CalcomApi
from admin_app.integrations.http.guard import Guard
from admin_app.integrations.http.provider_http import ProviderHttp
from admin_app.integrations.http.transport import Patience
from admin_app.jobs import calendars
from admin_app.services import appointments, bookings
from admin_app.services.calendars import calendar_sync
from admin_app.services.calendars.calendar_sync import SomebodyIsAtIt
from admin_app.services.core import audit
from admin_app.simulator import control
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from models import Booking, BookingLink, BookingSource, BookingStatus, CallState, CanceledBecause, ProviderCall
from tests.house import CALCOM_API_KEY, House
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_booking, add_practitioner, add_session_type

NUMBERS = count(500_000)
TIMES = count()
LATE = timedelta(minutes=3)
HASTY = Patience(seconds=1, seconds_per_try=0.3)


@pytest.fixture
def house(house: House) -> Iterator[House]:
    """Nothing is told by events: what these tests hear, they hear by asking."""
    yield house
    for provider in ("calcom", "calendly"):
        control.fault(house.simulator, provider, "off")


@pytest.fixture
def event_type(house: House) -> str:
    """An event type at Cal.com whose host nobody else books."""
    number = next(NUMBERS)
    control_calcom.seed_event_types(house.simulator, [{"id": str(number), "minutes": 60, "host_id": number}])
    return str(number)


def a_time() -> datetime:
    """Coming, and no other test's."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=20, hours=next(TIMES))


@pytest.fixture
def booking(house: House, event_type: str) -> Booking:
    """Confirmed here, with a practitioner whom Cal.com knows."""
    practitioner = add_practitioner(house.db, calcom_event_type_id=event_type)
    kind = add_session_type(house.db, practitioner)
    return add_booking(house.db, kind, a_time(), client_email=f"client{next(NUMBERS)}@example.com")


def sync(house: House, booking: Booking) -> None:
    calendars.sync_calendar(house.bench, booking.id)


def until_done(house: House, booking: Booking) -> None:
    """As the queue does it: again and again, some time later."""
    for _ in range(6):
        try:
            sync(house, booking)
            return
        except DomainError:
            later(house)
    raise AssertionError("it is never done")


def later(house: House, wait: timedelta = LATE) -> None:
    now = house.db.clock() + wait
    house.db.clock = lambda: now


def now(house: House, booking: Booking) -> Booking:
    (found,) = house.rows(select(Booking).where(Booking.id == booking.id))
    return found


def there(house: House, booking: Booking) -> list[dict[str, Any]]:
    return control_calcom.bookings(house.simulator, our_id=booking.id)


def active(house: House, booking: Booking) -> list[dict[str, Any]]:
    return [one for one in there(house, booking) if one["status"] in ("accepted", "pending")]


def calls(house: House, booking: Booking) -> list[tuple[str, CallState]]:
    found = house.rows(select(ProviderCall).where(ProviderCall.subject == f"booking:{booking.id}"))
    return [(call.operation, call.state) for call in sorted(found, key=lambda call: call.id)]


def cancel(house: House, booking: Booking) -> None:
    with house.db.unit_of_work(OPERATOR) as ctx:
        bookings.cancel(ctx, appointments.locked(ctx, f"booking:{booking.id}"), CanceledBecause.BY_STAFF)


def move(house: House, booking: Booking) -> datetime:
    starts_at = booking.starts_at + timedelta(days=7)
    with house.db.unit_of_work(OPERATOR) as ctx:
        appointment = appointments.locked(ctx, f"booking:{booking.id}")
        bookings.move(ctx, appointment, starts_at, starts_at + timedelta(hours=1))
    return starts_at


class TestCalcom:
    def test_a_confirmed_booking_is_made_there_once(self, house, booking):
        sync(house, booking)
        sync(house, booking)
        (made,) = there(house, booking)
        assert now(house, booking).calcom_booking_uid == made["id"]
        assert (made["start"][:16], made["attendee"]["email"]) == (
            f"{booking.starts_at:%Y-%m-%dT%H:%M}",
            booking.client_email,
        )
        assert made["attendee"]["timeZone"] == "Europe/Oslo"
        assert calls(house, booking) == [("booking.create", CallState.SUCCEEDED)]
        (link,) = house.rows(select(BookingLink).where(BookingLink.booking_id == booking.id))
        assert (link.provider, link.external_id) == ("calcom", made["id"])

    def test_it_moves_and_ends_with_the_booking(self, house, booking):
        sync(house, booking)
        starts_at = move(house, booking)
        sync(house, booking)
        (moved,) = active(house, booking)
        assert moved["start"][:16] == f"{starts_at:%Y-%m-%dT%H:%M}"
        assert now(house, booking).calcom_booking_uid == moved["id"]
        cancel(house, booking)
        sync(house, booking)
        sync(house, booking)
        assert active(house, booking) == []
        assert calls(house, booking) == [
            ("booking.create", CallState.SUCCEEDED),
            ("booking.move", CallState.SUCCEEDED),
            ("booking.cancel", CallState.SUCCEEDED),
        ]
        with house.db.read_only() as session:
            said = [item.sentence for item in audit.history(session, f"booking:{booking.id}", limit=20)]
        assert [sentence.split(" at ")[0] for sentence in said if "Cal.com" in sentence] == [
            f"Backdesk {done} booking {booking.id}" for done in ("canceled", "moved", "made")
        ]

    def test_the_echo_of_what_we_did_changes_nothing(self, house, booking):
        sync(house, booking)
        starts_at = move(house, booking)
        sync(house, booking)
        for one in there(house, booking):
            assert one["metadata"] == {"bookingId": str(booking.id)}
        found = now(house, booking)
        assert (found.starts_at, found.status) == (starts_at, BookingStatus.CONFIRMED)

    @pytest.mark.parametrize("status", [BookingStatus.PENDING, BookingStatus.CANCELED, BookingStatus.NO_SHOW])
    def test_what_is_not_confirmed_is_not_made(self, house, booking, status):
        with house.db.unit_of_work(OPERATOR) as ctx:
            ctx.session.get_one(Booking, booking.id).status = status
        sync(house, booking)
        assert there(house, booking) == []

    def test_nobody_who_is_not_mapped_and_nothing_of_the_past(self, house, booking):
        with house.db.unit_of_work(OPERATOR) as ctx:
            appointments.get(ctx.session, f"booking:{booking.id}").practitioner.calcom_event_type_id = None
        sync(house, booking)
        later(house, timedelta(days=400))
        sync(house, booking)
        assert there(house, booking) == calls(house, booking) == []

    def test_what_was_made_elsewhere_is_not_made_there_as_well(self, house, booking):
        with house.db.unit_of_work(OPERATOR) as ctx:
            ctx.session.get_one(Booking, booking.id).source = BookingSource.CALENDLY
        sync(house, booking)
        assert there(house, booking) == []

    def test_a_refusal_is_seen_and_not_repeated(self, house, booking, event_type):
        control_calcom.make_busy(
            house.simulator, event_type=event_type, starts_at=booking.starts_at, ends_at=booking.ends_at
        )
        sync(house, booking)
        (call,) = house.rows(select(ProviderCall).where(ProviderCall.subject == f"booking:{booking.id}"))
        assert (call.state, call.error_code) == (CallState.FAILED, "no_available_users_found_error")
        with house.db.read_only() as session:
            (item,) = audit.history(session, f"booking:{booking.id}", limit=5)
        assert "could not make (no_available_users_found_error)" in item.sentence

    @pytest.mark.parametrize("mode", ["429", "500", "apply-then-500", "apply-then-drop"])
    @pytest.mark.parametrize("act", ["make", "move", "cancel"])
    def test_whatever_goes_wrong_there_is_one_in_the_end(self, house, booking, mode, act):
        wanted = booking.starts_at
        if act != "make":
            sync(house, booking)
            wanted = move(house, booking) if act == "move" else wanted
            cancel(house, booking) if act == "cancel" else None
        # A change of something that is there looks first.
        control.fault(house.simulator, "calcom", mode, after=0 if act == "make" else 1)
        if mode in ("500", "apply-then-500", "apply-then-drop"):
            with pytest.raises(OutcomeUnknown):
                sync(house, booking)
            assert calls(house, booking)[-1][1] is CallState.UNKNOWN
        later(house)
        until_done(house, booking)
        found = active(house, booking)
        assert [one["start"][:16] for one in found] == ([] if act == "cancel" else [f"{wanted:%Y-%m-%dT%H:%M}"])
        if found:
            assert now(house, booking).calcom_booking_uid == found[0]["id"]
        assert CallState.UNKNOWN not in {state for _, state in calls(house, booking)}
        assert CallState.INTENDED not in {state for _, state in calls(house, booking)}

    @pytest.mark.parametrize("mode", ["429", "500"])
    def test_a_look_that_fails_changes_nothing(self, house, booking, mode):
        sync(house, booking)
        cancel(house, booking)
        control.fault(house.simulator, "calcom", mode, times=3)
        with pytest.raises(ProviderUnavailable):
            sync(house, booking)
        assert len(active(house, booking)) == 1
        control.fault(house.simulator, "calcom", "off")
        # As another worker, whose circuit is closed.
        calendar_sync.sync(lambda: house.db.unit_of_work(OPERATOR), self.hasty(house), booking_id=booking.id)
        assert active(house, booking) == []

    def hasty(self, house: House) -> Any:
        http = ProviderHttp(
            Guard("calcom"),
            f"{house.simulator}/calcom",
            CALCOM_API_KEY,
            reason_of=calcom_api.reason_of,
            reads=HASTY,
            writes=HASTY,
        )
        return replace(house.bench.providers, calcom=CalcomApi(http))

    def test_a_slow_one_is_left_and_looked_for(self, house, booking):
        bench = replace(house.bench, providers=self.hasty(house))
        control.fault(house.simulator, "calcom", "slow", seconds=1)
        with pytest.raises(OutcomeUnknown):
            calendars.sync_calendar(bench, booking.id)
        later(house)
        for _ in range(5):
            until_done(house, booking)
            if len(active(house, booking)) == 1 and now(house, booking).calcom_booking_uid:
                break
        (made,) = active(house, booking)
        assert now(house, booking).calcom_booking_uid == made["id"]

    @pytest.mark.parametrize("was_made", [True, False])
    def test_a_process_that_died_in_the_call(self, house, booking, was_made):
        """Its intent is left; while it is fresh nobody else goes on, and later it is looked for."""
        with house.db.unit_of_work(OPERATOR) as ctx:
            ctx.session.add(
                ProviderCall(
                    provider="calcom",
                    operation="booking.create",
                    subject=f"booking:{booking.id}",
                    idempotency_key=f"calcom-booking.create-{booking.id}",
                    created_at=ctx.now,
                )
            )
        if was_made:
            house.bench.providers.calcom.create_booking(
                event_type_id=appointments_event_type(house, booking),
                starts_at=booking.starts_at,
                name=booking.client_name,
                email=booking.client_email,
                time_zone="UTC",
                booking_id=booking.id,
            )
        with pytest.raises(SomebodyIsAtIt):
            sync(house, booking)
        later(house)
        until_done(house, booking)
        (made,) = there(house, booking)
        assert now(house, booking).calcom_booking_uid == made["id"]
        assert calls(house, booking) == [("booking.create", CallState.SUCCEEDED)]

    def test_canceled_here_while_the_making_was_unanswered(self, house, booking):
        control.fault(house.simulator, "calcom", "apply-then-drop")
        with pytest.raises(OutcomeUnknown):
            sync(house, booking)
        cancel(house, booking)
        later(house)
        until_done(house, booking)
        until_done(house, booking)
        assert active(house, booking) == []
        assert len(there(house, booking)) == 1

    def test_the_unsettled_are_queued_again(self, house, booking):
        control.fault(house.simulator, "calcom", "apply-then-drop")
        with pytest.raises(OutcomeUnknown):
            sync(house, booking)
        later(house, timedelta(minutes=6))
        assert calendars.settle_calendars(house.bench) == 1
        house.work()
        assert len(active(house, booking)) == 1
        assert now(house, booking).calcom_booking_uid
        assert calendars.settle_calendars(house.bench) == 0


def appointments_event_type(house: House, booking: Booking) -> str:
    with house.db.read_only() as session:
        return str(appointments.get(session, f"booking:{booking.id}").practitioner.calcom_event_type_id)


class TestCalendly:
    @pytest.fixture
    def invitee(self, house: House) -> dict[str, Any]:
        """Booked there, and known here."""
        event_type = f"ET{next(NUMBERS)}"
        control_calendly.seed_event_types(house.simulator, [{"id": event_type, "minutes": 60}])
        uri = f"https://api.calendly.com/event_types/{event_type}"
        add_session_type(house.db, add_practitioner(house.db), calendly_event_type_uri=uri)
        return control_calendly.book(
            house.simulator, event_type=event_type, starts_at=a_time(), email="ada@example.com", deliver=False
        )

    @pytest.fixture
    def booking(self, house: House, invitee: dict[str, Any]) -> Booking:
        told(house, "invitee.created", invitee)
        (booking,) = house.rows(select(Booking))
        assert booking.calendly_event_uri == invitee["event_uri"]
        return booking

    def is_off(self, house: House, invitee: dict[str, Any]) -> bool:
        (found,) = [one for one in control_calendly.invitees(house.simulator) if one["id"] == invitee["id"]]
        return found["canceled"] is not None

    def test_what_is_canceled_here_is_canceled_there(self, house, booking, invitee):
        sync(house, booking)
        assert not self.is_off(house, invitee)
        cancel(house, booking)
        sync(house, booking)
        sync(house, booking)
        assert self.is_off(house, invitee)
        assert calls(house, booking) == [("booking.cancel", CallState.SUCCEEDED)]
        told(house, "invitee.canceled", invitee)
        assert now(house, booking).canceled_because is CanceledBecause.BY_STAFF

    def test_what_was_canceled_there_is_no_error(self, house, booking, invitee):
        control_calendly.cancel(house.simulator, invitee["id"], deliver=False)
        cancel(house, booking)
        sync(house, booking)
        assert calls(house, booking) == [("booking.cancel", CallState.SUCCEEDED)]

    @pytest.mark.parametrize("mode", ["429", "500", "apply-then-500", "apply-then-drop"])
    def test_whatever_goes_wrong_it_is_canceled_in_the_end(self, house, booking, invitee, mode):
        cancel(house, booking)
        control.fault(house.simulator, "calendly", mode)
        until_done(house, booking)
        assert self.is_off(house, invitee)
        assert {state for _, state in calls(house, booking)} == {CallState.SUCCEEDED}


def told(house: House, event: str, invitee: dict[str, Any]) -> None:
    """Calendly's delivery about this invitee, who is asked for then."""
    body = {"event": event, "created_at": "2027-01-02T09:00:00Z", "payload": {"uri": invitee["uri"]}}
    assert house.calendly(json.dumps(body).encode()).status_code == 200
    house.work()
