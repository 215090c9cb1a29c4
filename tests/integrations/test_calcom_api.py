"""Cal.com's API read and written, by scripted answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.calcom.calcom_api import CalcomApi, reason_of
from admin_app.integrations.calendar_ports import Slot
from admin_app.integrations.http.guard import Guard
from admin_app.integrations.http.memory import Memory
from admin_app.integrations.http.provider_http import ProviderHttp
from tests.integrations.conftest import ScriptedProvider

NINE = datetime(2027, 1, 12, 9, tzinfo=UTC)
HALF = timedelta(minutes=30)
BOOKED = {
    "id": 91,
    "uid": "uid_1",
    "status": "accepted",
    "start": "2027-01-12T09:00:00Z",
    "end": "2027-01-12T10:00:00.000Z",
    "eventTypeId": 7,
    "attendees": [{"name": "Bea Booker", "email": "bea@example.com", "timeZone": "UTC"}],
    "metadata": {"bookingId": "12"},
}
CREATE = {
    "event_type_id": "7",
    "starts_at": NINE,
    "name": "Bea Booker",
    "email": "bea@example.com",
    "time_zone": "Europe/Oslo",
    "booking_id": 12,
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calcom(provider: ScriptedProvider, clock: Clock) -> CalcomApi:
    http = ProviderHttp(Guard("calcom"), provider.url, "cal_1", reason_of=reason_of, sleep=lambda _: None)
    return CalcomApi(http, Memory(seconds=600, size=10, clock=clock))


def success(data: Any, **more: Any) -> tuple[int, Any]:
    return 200, {"status": "success", "data": data, **more}


def free(*starts: datetime) -> tuple[int, Any]:
    listed = [{"start": start.isoformat(), "end": (start + HALF).isoformat()} for start in starts]
    return success({"2027-01-12": listed})


def test_free_times_between_two_moments(calcom, provider):
    provider.answers["/v2/slots"] = free(NINE + HALF, NINE, NINE - HALF, NINE + timedelta(days=1))
    found = calcom.slots("7", NINE, NINE + timedelta(hours=1))
    assert found.slots == (Slot(NINE, NINE + HALF), Slot(NINE + HALF, NINE + HALF + HALF))
    path, headers = provider.requests[0]
    assert path == (
        "/v2/slots?eventTypeId=7&start=2027-01-12T00%3A00%3A00Z&end=2027-01-13T00%3A00%3A00Z&timeZone=UTC&format=range"
    )
    assert (headers["cal-api-version"], headers["Authorization"]) == ("2024-09-04", "Bearer cal_1")


def test_they_are_remembered_for_ten_minutes(calcom, provider, clock):
    provider.answers["/v2/slots"] = free(NINE)
    assert not calcom.slots("7", NINE, NINE + HALF).remembered
    clock.now += 599
    again = calcom.slots("7", NINE - HALF, NINE + timedelta(hours=2))
    assert (again.remembered, again.slots) == (True, (Slot(NINE, NINE + HALF),))
    assert not calcom.slots("8", NINE, NINE + HALF).remembered
    clock.now += 1
    assert not calcom.slots("7", NINE, NINE + HALF).remembered
    assert len(provider.requests) == 3


def test_that_nothing_is_free_is_remembered_too(calcom, provider):
    provider.answers["/v2/slots"] = success({})
    assert calcom.slots("7", NINE, NINE + HALF).slots == ()
    assert calcom.slots("7", NINE, NINE + HALF).remembered


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (200, b"<html>"),
        (200, []),
        (200, {"status": "success"}),
        success([]),
        success({"2027-01-12": ["2027-01-12T09:00:00Z"]}),
        success({"2027-01-12": [{"start": "2027-01-12T09:00:00Z"}]}),
        success({"2027-01-12": [{"start": "2027-01-12T09:00:00Z", "end": "2027-01-12T09:00:00Z"}]}),
        success({"2027-01-12": [{"start": "soon", "end": "later"}]}),
    ],
    ids=lambda answer: str(answer)[:80],
)
def test_an_answer_that_cannot_be_used_is_a_passing_trouble_and_not_remembered(calcom, provider, answer):
    provider.answers["/v2/slots"] = [answer] * 3 + [free(NINE)] if answer[0] == 500 else [answer, free(NINE)]
    with pytest.raises(ProviderUnavailable):
        calcom.slots("7", NINE, NINE + HALF)
    assert not calcom.slots("7", NINE, NINE + HALF).remembered


def test_a_booking_is_made_with_our_number(calcom, provider):
    provider.answers["/v2/bookings"] = (201, {"status": "success", "data": BOOKED})
    made = calcom.create_booking(**CREATE)
    assert (made.uid, made.status, made.our_id, made.event_type_id) == ("uid_1", "accepted", 12, "7")
    assert (made.starts_at, made.ends_at) == (NINE, NINE + timedelta(hours=1))
    assert (made.attendee_email, made.attendee_name) == ("bea@example.com", "Bea Booker")
    assert provider.requests[0][1]["cal-api-version"] == "2026-02-25"
    assert provider.posted == [
        (
            "/v2/bookings",
            {
                "eventTypeId": 7,
                "start": "2027-01-12T09:00:00Z",
                "attendee": {"name": "Bea Booker", "email": "bea@example.com", "timeZone": "Europe/Oslo"},
                "metadata": {"bookingId": "12"},
            },
        )
    ]


def test_a_recurring_answer_is_its_first(calcom, provider):
    provider.answers["/v2/bookings"] = (201, {"status": "success", "data": [BOOKED, BOOKED | {"uid": "uid_2"}]})
    assert calcom.create_booking(**CREATE).uid == "uid_1"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((500, {}), OutcomeUnknown),
        ((201, b"{"), OutcomeUnknown),
        ((201, {"status": "success", "data": {}}), OutcomeUnknown),
        ((429, {}), ProviderUnavailable),
    ],
    ids=str,
)
def test_a_booking_that_may_have_been_made(calcom, provider, answer, kind):
    provider.answers["/v2/bookings"] = answer
    with pytest.raises(ProviderUnavailable) as failed:
        calcom.create_booking(**CREATE)
    assert type(failed.value) is kind


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            {"code": "BadRequestException", "message": "no_available_users_found_error"},
            "no_available_users_found_error",
        ),
        ({"code": "BadRequestException", "message": "bea@example.com is not free"}, "BadRequestException"),
        ({}, "http_400"),
        (None, "http_400"),
    ],
    ids=str,
)
def test_a_refusal_names_its_code(calcom, provider, error, reason):
    provider.answers["/v2/bookings"] = (400, {"status": "error", "error": error})
    with pytest.raises(ProviderRefused) as refused:
        calcom.create_booking(**CREATE)
    assert refused.value.reason == reason


def test_an_event_type_that_is_no_number_is_never_sent(calcom, provider):
    with pytest.raises(ProviderRefused):
        calcom.create_booking(**(CREATE | {"event_type_id": "my-event"}))
    assert provider.requests == []


def test_a_booking_as_it_is_now(calcom, provider):
    moved = BOOKED | {"status": "cancelled", "rescheduledToUid": "uid_2", "rescheduledFromUid": "uid_0"}
    provider.answers["/v2/bookings/uid_1"] = success(moved)
    found = calcom.booking("uid_1")
    assert (found.active, found.rescheduled_from_uid, found.rescheduled_to_uid) == (False, "uid_0", "uid_2")
    assert calcom.booking("../me") is None
    assert provider.requests[-1][0] == "/v2/bookings/..%2Fme"


@pytest.mark.parametrize("data", [None, {}, [], BOOKED | {"start": "soon"}, BOOKED | {"uid": 7}], ids=str)
def test_a_booking_that_cannot_be_read_is_not_gone(calcom, provider, data):
    provider.answers["/v2/bookings/uid_1"] = success(data)
    with pytest.raises(ProviderUnavailable):
        calcom.booking("uid_1")


def test_what_an_unanswered_call_made_is_found_by_our_number(calcom, provider):
    others = [BOOKED | {"uid": "uid_9", "metadata": {"bookingId": "13"}}, BOOKED | {"uid": "uid_8", "metadata": None}]
    ended = BOOKED | {"uid": "uid_7", "status": "cancelled"}
    query = "/v2/bookings?attendeeEmail=bea%40example.com&sortCreated=desc&take=100&skip="
    provider.answers[f"{query}0"] = success([*others, ended], pagination={"hasNextPage": True})
    provider.answers[f"{query}100"] = success([BOOKED], pagination={"hasNextPage": False})
    asked = {"email": "bea@example.com", "booking_id": 12}
    assert calcom.find_booking(**asked).uid == "uid_1"
    provider.answers[f"{query}100"] = success([])
    assert calcom.find_booking(**asked).uid == "uid_7"
    assert calcom.find_booking(**(asked | {"booking_id": 99})) is None


def test_a_look_up_has_an_end(calcom, provider):
    provider.answers["/v2/bookings"] = success([], pagination={"hasNextPage": True})
    assert calcom.find_booking(email="bea@example.com", booking_id=12) is None
    assert len(provider.requests) == 5


def test_cancelling_what_is_cancelled_is_no_error(calcom, provider):
    provider.answers["/v2/bookings/uid_1/cancel"] = (400, {"status": "error", "error": {"code": "BadRequestException"}})
    provider.answers["/v2/bookings/uid_1"] = success(BOOKED | {"status": "cancelled"})
    calcom.cancel_booking("uid_1", "by the client")
    assert provider.posted == [("/v2/bookings/uid_1/cancel", {"cancellationReason": "by the client"})]
    calcom.cancel_booking("uid_gone", "by the client")
    provider.answers["/v2/bookings/uid_1"] = success(BOOKED)
    with pytest.raises(ProviderRefused):
        calcom.cancel_booking("uid_1", "by the client")


def test_a_moved_booking_has_a_new_uid(calcom, provider):
    provider.answers["/v2/bookings/uid_1/reschedule"] = success(BOOKED | {"uid": "uid_2"})
    assert calcom.reschedule_booking("uid_1", NINE, "moved").uid == "uid_2"
    assert provider.posted == [
        ("/v2/bookings/uid_1/reschedule", {"start": "2027-01-12T09:00:00Z", "reschedulingReason": "moved"})
    ]
