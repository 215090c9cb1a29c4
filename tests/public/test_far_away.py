"""Times and numbers from outside that are well formed and far away: refused where they are read, or harmless.

What else is asked for is there and right, because a request that is refused for another reason never gets as far.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import SessionType, WebhookEvent
from tests.house import House
from tests.integrations.signing import (
    calcom_headers,
    calendly_headers,
    clerk_headers,
    events,
    stripe_headers,
    whop_headers,
)
from tests.outside import FAR_DAYS, FAR_NUMBERS, FAR_TIMES, FAR_WHOLE_NUMBERS, MOMENTS
from tests.public.test_bookings import ALWAYS
from tests.services.diary import offered

FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PROVIDERS = ("stripe", "whop", "clerk", "calendly", "calcom")
WORDS_OF_TIME = ("_at", "start", "end", "time", "created", "date", "period")


@pytest.fixture
def kind(house: House) -> SessionType:
    return offered(house.db, price=0, minutes=60, working_hours=ALWAYS)


def wish(kind: SessionType, starts_at: object, door: str) -> dict[str, Any]:
    who = "client" if door == "bookings" else "guest"
    body: dict[str, Any] = {"practitioner_id": kind.practitioner_id, "starts_at": starts_at}
    if door == "bookings":
        body["session_type_id"] = kind.id
    return body | {f"{who}_name": "Cleo Client", f"{who}_email": "cleo@example.com"}


def refused(answer: Any) -> bool:
    detail = answer.json["errors"]["starts_at"] if "errors" in answer.json else answer.json["detail"]
    return bool(400 <= answer.status_code < 500 and detail.endswith("."))


@pytest.mark.parametrize("starts_at", FAR_TIMES)
@pytest.mark.parametrize("door", ["bookings", "meetings"])
def test_nobody_books_at_the_end_of_time(house: House, kind: SessionType, door: str, starts_at: str) -> None:
    assert refused(house.post(f"/api/{door}", json=wish(kind, starts_at, door)))


@FUZZ
@given(starts_at=MOMENTS, door=st.sampled_from(["bookings", "meetings"]))
def test_any_time(house: House, kind: SessionType, door: str, starts_at: str) -> None:
    answer = house.post(f"/api/{door}", json=wish(kind, starts_at, door))
    soon = answer.status_code == 201 and _is_within_a_year(answer.json[door.removesuffix("s")]["starts_at"], house)
    assert soon or refused(answer)


def _is_within_a_year(text: str, house: House) -> bool:
    return timedelta(0) < datetime.fromisoformat(text) - house.db.clock() <= timedelta(days=366)


@pytest.mark.parametrize("number", FAR_WHOLE_NUMBERS)
@pytest.mark.parametrize("door", ["bookings", "meetings"])
@pytest.mark.parametrize("field", ["practitioner_id", "session_type_id"])
def test_records_of_no_number(house: House, kind: SessionType, door: str, field: str, number: int) -> None:
    starts_at = house.db.clock().replace(minute=0, second=0, microsecond=0) + timedelta(days=3)
    answer = house.post(f"/api/{door}", json=wish(kind, starts_at.isoformat(), door) | {field: number})
    assert 400 <= answer.status_code < 500
    assert answer.json["detail"].endswith(".")


@pytest.mark.parametrize("far", [*FAR_TIMES, *FAR_DAYS, *FAR_NUMBERS])
@pytest.mark.parametrize("field", ["from", "to", "session_type_id", "timezone"])
def test_free_times(house: House, kind: SessionType, field: str, far: str) -> None:
    today = house.db.clock()
    near = {"from": f"{today:%Y-%m-%d}", "to": f"{today + timedelta(days=2):%Y-%m-%d}"}
    answer = house.get(f"/api/practitioners/{kind.practitioner_id}/availability", query_string=near | {field: far})
    assert answer.status_code in {404, 422}
    assert answer.json["detail"].endswith(".")


@pytest.mark.parametrize("far", [*FAR_NUMBERS, *map(str, FAR_WHOLE_NUMBERS)])
def test_addresses_of_no_number(house: House, far: str) -> None:
    for address in (f"/api/bookings/{far}", f"/api/practitioners/{far}/availability", f"/api/clients/{far}"):
        assert house.get(address).status_code in {401, 404}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_deliveries_with_a_far_value_anywhere(house: House, provider: str) -> None:
    """A provider's own clock or counter may be wrong: the delivery is stored and settled, parked or refused."""
    bodies = {path.name: json.loads(path.read_bytes()) for path in events(provider)}
    places = [(name, place) for name, body in bodies.items() for place in _places(body)]
    assert len(places) > 3

    @FUZZ
    @given(where=st.sampled_from(places), far=_far())
    def is_taken_or_refused(where: tuple[str, tuple[Any, ...]], far: object) -> None:
        name, place = where
        number = house.count(WebhookEvent)
        body = json.loads(json.dumps(bodies[name]))
        _put(body, place, far)
        if provider == "stripe" and place != ("id",):
            body["id"] = f"evt_far_{number}"
        raw = json.dumps(body).encode()
        answer = house.post(f"/api/webhooks/{provider}", data=raw, headers=_signed(provider, raw, f"msg_far_{number}"))
        assert answer.status_code in {200, 400}
        house.work(last_try=True)

    is_taken_or_refused()


def _far() -> st.SearchStrategy[object]:
    numbers = st.sampled_from(FAR_WHOLE_NUMBERS) | st.sampled_from([1e18, 1e300, -1.5])
    return st.sampled_from(FAR_TIMES) | MOMENTS | numbers


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a body a number or something of time stands."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*at, key))
    elif (isinstance(value, int | float) and not isinstance(value, bool)) or _is_time(at, value):
        yield at


def _is_time(at: tuple[Any, ...], value: object) -> bool:
    named = str(at[-1]).lower() if at else ""
    return isinstance(value, str | None) and any(word in named for word in WORDS_OF_TIME)


def _put(body: Any, place: tuple[Any, ...], value: object) -> None:
    for key in place[:-1]:
        body = body[key]
    body[place[-1]] = value


def _signed(provider: str, raw: bytes, delivery: str) -> dict[str, str]:
    now = time()
    match provider:
        case "stripe":
            return stripe_headers(raw, now)
        case "whop":
            return whop_headers(raw, now, delivery=delivery)
        case "clerk":
            return clerk_headers(raw, now, delivery=delivery)
        case "calendly":
            return calendly_headers(raw, now)
        case _:
            return calcom_headers(raw)


def test_the_bounds_leave_room_on_both_sides() -> None:
    """What is taken can be moved by a day and shown in any zone."""
    from admin_app.bounds import FIRST_YEAR, LAST_YEAR

    for year in (FIRST_YEAR, LAST_YEAR):
        for moment in (datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)):
            assert moment - timedelta(days=400) < moment < moment + timedelta(days=400)
