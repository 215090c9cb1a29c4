"""The simulated Calendly and Cal.com, as the product's adapters and doors see them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from admin_app.errors import ProviderRefused, ProviderUnavailable
from admin_app.integrations import calcom, calendly
from admin_app.integrations.calendar_ports import CalcomPort, CalendlyPort
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from tests.integrations.signing import CALCOM_SECRET, CALENDLY_KEY
from tests.simulator.test_contracts import SHARED_CONTRACTS, check

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
MONDAY = TODAY + timedelta(days=7 - TODAY.weekday() + 7)
NINE = MONDAY + timedelta(hours=9)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CALENDLY = {"Authorization": "Bearer calendly_sim"}
CALCOM = {"Authorization": "Bearer cal_sim", "cal-api-version": "2026-02-25"}


@pytest.fixture
def calendly_port(providers, simulator) -> CalendlyPort:
    control_calendly.seed_event_types(simulator, [{"id": "ET1", "name": "Consultation", "minutes": 60}])
    return providers.calendly


@pytest.fixture
def calcom_port(providers, simulator) -> CalcomPort:
    control_calcom.seed_event_types(
        simulator,
        [
            {"id": "77", "minutes": 60, "host_id": 7, "host_email": "host@example.com"},
            {"id": "88", "minutes": 30, "host_id": 8, "time_zone": "America/New_York", "requires_confirmation": True},
        ],
    )
    return providers.calcom


def invitee(simulator: str, **more: Any) -> dict[str, Any]:
    return control_calendly.book(simulator, event_type="ET1", starts_at=NINE, email="ada@example.com", **more)


def make(port: CalcomPort, *, starts_at: datetime = NINE, event_type: str = "77", number: int = 12):
    return port.create_booking(
        event_type_id=event_type,
        starts_at=starts_at,
        name="Bea Booker",
        email="bea@example.com",
        time_zone="Europe/Oslo",
        booking_id=number,
    )


class TestCalendly:
    def test_somebody_books_moves_and_cancels(self, simulator, receiver, calendly_port):
        first = invitee(simulator)
        second = control_calendly.reschedule(simulator, first["id"], NINE + DAY)
        control_calendly.cancel(simulator, second["id"])
        told = []
        for path, headers, body in receiver.wait_for(4):
            assert path == "/api/webhooks/calendly"
            calendly.verify(body, headers, CALENDLY_KEY, datetime.now(UTC))
            event = calendly.parse_event(body, datetime.now(UTC))
            told.append((event.type, event.invitee_uri, event.invitee.rescheduled))
        assert told == [
            ("invitee.created", first["uri"], False),
            ("invitee.canceled", first["uri"], True),
            ("invitee.created", second["uri"], False),
            ("invitee.canceled", second["uri"], False),
        ]
        then, now = calendly_port.invitee(first["uri"]), calendly_port.invitee(second["uri"])
        assert (then.canceled, then.new_invitee_uri) == (True, second["uri"])
        assert (now.canceled, now.canceler, now.old_invitee_uri) == (True, "invitee", first["uri"])
        assert (now.starts_at, now.ends_at) == (NINE + DAY, NINE + DAY + HOUR)

    def test_the_product_cancels(self, simulator, calendly_port):
        made = invitee(simulator, deliver=False)
        calendly_port.cancel_event(made["event_uri"], "Changed in Backdesk")
        calendly_port.cancel_event(made["event_uri"], "Changed in Backdesk")
        now = calendly_port.invitee(made["uri"])
        assert (now.canceled, now.canceler) == (True, "host")

    def test_event_types(self, calendly_port):
        (found,) = calendly_port.event_types()
        assert (found.id, found.name, found.minutes, found.owner_name) == ("ET1", "Consultation", 60, "Hanna Host")

    def test_what_makes_no_sense_is_refused(self, simulator, calendly_port):
        with pytest.raises(ValueError, match="event_type"):
            control_calendly.book(simulator, event_type="nobody", starts_at=NINE, email="ada@example.com")
        with pytest.raises(ValueError, match="no such"):
            control_calendly.cancel(simulator, "nobody")
        made = invitee(simulator, deliver=False)
        control_calendly.cancel(simulator, made["id"], deliver=False)
        with pytest.raises(ValueError, match="already"):
            control_calendly.reschedule(simulator, made["id"], NINE + DAY)
        with pytest.raises(ValueError, match="already"):
            control_calendly.cancel(simulator, made["id"])

    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            ("/users/me", {}, 401),
            ("/event_types", CALENDLY, 400),
            ("/event_types?user=https://api.calendly.com/users/another", CALENDLY, 400),
            ("/scheduled_events/nobody", CALENDLY, 404),
            ("/scheduled_events/nobody/invitees/nobody", CALENDLY, 404),
        ],
    )
    @pytest.mark.calls_providers_itself
    def test_errors(self, simulator, path, headers, status):
        answer = httpx.get(f"{simulator}/calendly{path}", headers=headers)
        assert answer.status_code == status
        assert {"title", "message"} <= answer.json().keys()


class TestCalcom:
    def test_free_times_without_what_is_taken(self, simulator, calcom_port):
        make(calcom_port)
        control_calcom.make_busy(
            simulator, event_type="77", starts_at=MONDAY + 14 * HOUR, ends_at=MONDAY + 15 * HOUR + HOUR / 2
        )
        found = calcom_port.slots("77", MONDAY, MONDAY + DAY)
        assert [f"{slot.starts_at:%H}" for slot in found.slots] == ["08", "10", "11", "13", "16"]
        assert {slot.ends_at - slot.starts_at for slot in found.slots} == {HOUR}

    def test_hours_are_the_hosts(self, calcom_port):
        first = calcom_port.slots("88", MONDAY, MONDAY + DAY).slots[0]
        assert first.starts_at.astimezone(ZoneInfo("America/New_York")).hour == 8

    @pytest.mark.calls_providers_itself
    def test_a_wrong_version_silently_gets_the_older_form(self, simulator, calcom_port):
        query = {"eventTypeId": "77", "start": NINE.isoformat(), "end": (NINE + HOUR).isoformat()}
        for version in ({}, {"cal-api-version": "2024-08-13"}):
            answer = httpx.get(
                f"{simulator}/calcom/v2/slots",
                params=query,
                headers={"Authorization": "Bearer cal_sim", **version},
            )
            assert list(answer.json()["data"]) == ["slots"]

    def test_made_moved_and_cancelled_with_what_is_told(self, receiver, calcom_port):
        made = make(calcom_port)
        moved = calcom_port.reschedule_booking(made.uid, NINE + DAY, "moved")
        calcom_port.cancel_booking(moved.uid, "off")
        calcom_port.cancel_booking(moved.uid, "off")
        told = []
        for path, headers, body in receiver.wait_for(3):
            assert path == "/api/webhooks/calcom"
            calcom.verify(body, headers, CALCOM_SECRET)
            event = calcom.parse_event(body, datetime.now(UTC))
            told.append((event.type, event.uid, event.previous_uid, event.our_id))
        assert told == [
            ("BOOKING_CREATED", made.uid, None, 12),
            ("BOOKING_RESCHEDULED", moved.uid, made.uid, 12),
            ("BOOKING_CANCELLED", moved.uid, None, 12),
        ]
        before, after = calcom_port.booking(made.uid), calcom_port.booking(moved.uid)
        assert (before.active, before.rescheduled_to_uid) == (False, moved.uid)
        assert (after.status, after.rescheduled_from_uid, after.canceled_by) == (
            "cancelled",
            made.uid,
            "host@example.com",
        )
        assert calcom_port.find_booking(email="BEA@example.com", booking_id=12).uid == moved.uid

    def test_a_taken_time_and_an_unknown_event_type_are_refused(self, calcom_port):
        make(calcom_port)
        with pytest.raises(ProviderRefused) as refused:
            make(calcom_port, number=13)
        assert refused.value.reason == "no_available_users_found_error"
        with pytest.raises(ProviderRefused) as refused:
            make(calcom_port, event_type="99")
        assert refused.value.reason == "NotFoundException"
        with pytest.raises(ProviderUnavailable):
            calcom_port.slots("99", MONDAY, MONDAY + DAY)

    def test_one_that_waits_for_its_host(self, simulator, receiver, calcom_port):
        asked = control_calcom.book(simulator, event_type="88", starts_at=NINE, email="ada@example.com")
        control_calcom.act(simulator, asked["id"], "accept")
        other = control_calcom.book(simulator, event_type="88", starts_at=NINE + HOUR, email="ada@example.com")
        control_calcom.act(simulator, other["id"], "reject")
        triggers = [json.loads(body)["triggerEvent"] for _, _, body in receiver.wait_for(4)]
        assert triggers == ["BOOKING_REQUESTED", "BOOKING_CREATED", "BOOKING_REQUESTED", "BOOKING_REJECTED"]
        assert calcom_port.booking(other["id"]).status == "rejected"

    def test_what_makes_no_sense_is_refused(self, simulator, calcom_port):
        made = make(calcom_port)
        make(calcom_port, starts_at=NINE + DAY, number=13)
        with pytest.raises(ValueError, match="not free"):
            control_calcom.act(simulator, made.uid, "reschedule", starts_at=NINE + DAY)
        with pytest.raises(ValueError, match="act must be"):
            control_calcom.act(simulator, made.uid, "dance")
        control_calcom.act(simulator, made.uid, "cancel")
        with pytest.raises(ValueError, match="already"):
            control_calcom.act(simulator, made.uid, "cancel")

    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            ("/bookings", {"cal-api-version": "2026-02-25"}, 401),
            ("/bookings", {"Authorization": "Bearer cal_sim"}, 404),
            ("/bookings?take=x", CALCOM, 400),
            ("/bookings/nobody", CALCOM, 404),
            ("/slots?eventTypeId=77&start=soon&end=later", CALCOM, 400),
        ],
    )
    @pytest.mark.calls_providers_itself
    def test_errors(self, simulator, calcom_port, path, headers, status):
        answer = httpx.get(f"{simulator}/calcom/v2{path}", headers=headers)
        assert answer.status_code == status
        assert answer.json()["status"] == "error"
        assert answer.json()["error"]["code"].endswith("Exception")


@pytest.mark.skipif(not SHARED_CONTRACTS.exists(), reason="the collected contracts are not beside the project")
@pytest.mark.calls_providers_itself
class TestContracts:
    def test_calendly(self, simulator, receiver, calendly_port):
        made = invitee(simulator)
        control_calendly.cancel(simulator, made["id"])

        def get(path: str) -> Any:
            return httpx.get(f"{simulator}/calendly{path}", headers=CALENDLY).json()

        event_path = f"/scheduled_events/{made['event']}"
        check("calendly", "Event", get(event_path)["resource"])
        check("calendly", "Invitee", get(f"{event_path}/invitees/{made['id']}")["resource"])
        check("calendly", "User", get("/users/me")["resource"])
        page = get(f"/event_types?user={get('/users/me')['resource']['uri']}")
        check("calendly", "EventType", page["collection"][0])
        check("calendly", "Pagination", page["pagination"])
        check("calendly", "ErrorResponse", get("/scheduled_events/nobody"))
        for _, _, body in receiver.wait_for(2):
            check("calendly", "WebhookPayload", json.loads(body))

    def test_calcom(self, simulator, calcom_port):
        made = make(calcom_port)
        answer = httpx.get(f"{simulator}/calcom/v2/bookings/{made.uid}", headers=CALCOM).json()
        check("calcom-v2", "BookingOutput_2024_08_13", answer["data"])
        listed = httpx.get(f"{simulator}/calcom/v2/bookings", headers=CALCOM).json()
        check("calcom-v2", "GetBookingsOutput_2024_08_13", listed)

    def test_seats_and_series_at_calcom(self, simulator, calcom_port):
        control_calcom.seed_event_types(
            simulator,
            [{"id": "91", "minutes": 60, "host_id": 91, "seats": 3}, {"id": "92", "minutes": 60, "host_id": 92}],
        )

        def get(uid: str) -> Any:
            return httpx.get(f"{simulator}/calcom/v2/bookings/{uid}", headers=CALCOM).json()

        book = {"starts_at": NINE, "deliver": False}
        seated = control_calcom.book(simulator, event_type="91", email="ada@example.com", **book)
        control_calcom.book(simulator, event_type="91", email="bea@example.com", **book)
        check("calcom-v2", "GetSeatedBookingOutput_2024_08_13", get(seated["id"])["data"])
        assert [one.email for one in calcom_port.booking(seated["id"]).attendees] == [
            "ada@example.com",
            "bea@example.com",
        ]
        first = control_calcom.book(simulator, event_type="92", email="ada@example.com", recurrences=2, **book)
        check("calcom-v2", "RecurringBookingOutput_2024_08_13", get(first["id"])["data"])
        check("calcom-v2", "GetBookingOutput_2024_08_13", get(first["series"]))
        assert len(calcom_port.series(first["series"])) == 2

    def test_a_group_a_payment_and_a_no_show_at_calendly(self, simulator, receiver, calendly_port):
        control_calendly.seed_event_types(simulator, [{"id": "ET5", "minutes": 60, "places": 3}])
        paid = {"external_id": "ch_1", "provider": "stripe", "amount": 12.5, "currency": "EUR", "successful": True}
        book = {"event_type": "ET5", "starts_at": NINE, "deliver": False}
        ada = control_calendly.book(simulator, email="ada@example.com", payment=paid | {"terms": ""}, **book)
        bea = control_calendly.book(simulator, email="bea@example.com", **book)
        assert ada["event_uri"] == bea["event_uri"]
        control_calendly.mark_no_show(simulator, bea["id"])
        for one in (ada, bea):
            path = f"{simulator}/calendly/scheduled_events/{one['event']}/invitees/{one['id']}"
            check("calendly", "Invitee", httpx.get(path, headers=CALENDLY).json()["resource"])
        path = f"{simulator}/calendly/scheduled_events/{ada['event']}"
        check("calendly", "Event", httpx.get(path, headers=CALENDLY).json()["resource"])
        first, second = calendly_port.invitees_of(ada["event_uri"])
        assert (first.paid.amount, first.has_company, first.absent, second.absent) == (1250, True, False, True)
        ((_, headers, body),) = receiver.wait_for(1)
        calendly.verify(body, headers, CALENDLY_KEY, datetime.now(UTC))
        event = calendly.parse_event(body, datetime.now(UTC))
        assert (event.kind, event.invitee_uri) == ("no_show", bea["uri"])


class TestHomePage:
    """A person without programs books, moves and cancels by the forms of the home page."""

    def test_calendly(self, simulator, receiver, calendly_port):
        form = {"what": "calendly:ET1", "starts_at": f"{NINE:%Y-%m-%dT%H:%M}", "name": "", "email": "ada@example.com"}
        assert httpx.post(f"{simulator}/_sim/pages/calendars/book", data=form).status_code == 303
        (made,) = control_calendly.invitees(simulator)
        page = httpx.get(f"{simulator}/_sim/").text
        assert "Calendly: Consultation, Hanna Host" in page
        assert f"Move a day: ada@example.com, {NINE:%Y-%m-%d %H:%M}" in page
        httpx.post(f"{simulator}/_sim/pages/calendars/calendly/{made['id']}/reschedule")
        moved = control_calendly.invitees(simulator)[1]
        httpx.post(f"{simulator}/_sim/pages/calendars/calendly/{moved['id']}/cancel")
        assert [json.loads(body)["event"] for _, _, body in receiver.wait_for(4)][-1] == "invitee.canceled"
        assert calendly_port.invitee(moved["uri"]).starts_at == NINE + DAY

    def test_calcom(self, simulator, receiver, calcom_port):
        form = {"what": "calcom:88", "starts_at": f"{NINE:%Y-%m-%dT%H:%M}", "name": "Ada", "email": "ada@example.com"}
        assert httpx.post(f"{simulator}/_sim/pages/calendars/book", data=form).status_code == 303
        assert httpx.post(f"{simulator}/_sim/pages/calendars/book", data=form).status_code == 422
        (made,) = control_calcom.bookings(simulator)
        assert "Accept: ada@example.com" in httpx.get(f"{simulator}/_sim/").text
        for act in ("accept", "reschedule"):
            assert httpx.post(f"{simulator}/_sim/pages/calendars/calcom/{made['id']}/{act}").status_code == 303
        triggers = [json.loads(body)["triggerEvent"] for _, _, body in receiver.wait_for(3)]
        assert triggers == ["BOOKING_REQUESTED", "BOOKING_CREATED", "BOOKING_RESCHEDULED"]

    def test_something_else_is_refused(self, simulator):
        assert httpx.post(f"{simulator}/_sim/pages/calendars/book", data={"what": "x"}).status_code == 422
