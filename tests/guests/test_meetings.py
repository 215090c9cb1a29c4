"""A guest books a meeting: registered first, free or paid, never twice and never over somebody else's time."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from admin_app.db import Database
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from admin_app.simulator.workos import control_workos
from models import BookingStatus, Guest, Meeting, Payment, Practitioner, SessionType
from tests.guests.test_registration import counted
from tests.house import House, build
from tests.services import diary
from tests.services.diary import Clock
from tests.services.purchases.test_claim_races import at_once

_numbers = itertools.count(1)


@pytest.fixture
def email() -> str:
    return f"mona{next(_numbers)}@meetings.example.com"


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return diary.offered(db, working_hours=diary.ALWAYS)


def ask(house: House, kind: SessionType, starts: datetime, email: str, **changed: Any) -> TestResponse:
    wanted = {
        "practitioner_id": kind.practitioner_id,
        "starts_at": starts.isoformat(),
        "guest_name": "Mona Meier",
        "guest_email": email,
    }
    return house.post("/api/meetings", json=wanted | changed)


def meetings_of(house: House, email: str) -> list[Meeting]:
    return house.rows(select(Meeting).where(Meeting.guest_email == email).order_by(Meeting.id))


def test_a_meeting_of_no_session_type_is_half_an_hour_and_free(
    house: House, clock: Clock, kind: SessionType, email: str
) -> None:
    starts = diary.tomorrow(clock.now)
    answer = ask(house, kind, starts, email, timezone="Europe/Berlin")
    assert answer.status_code == 201, answer.json
    (row,) = meetings_of(house, email)
    (user,) = control_workos.users(house.simulator, email)
    assert answer.json == {
        "meeting": {
            "id": row.id,
            "status": "confirmed",
            "starts_at": starts.isoformat().replace("+00:00", "Z"),
            "ends_at": (starts + timedelta(minutes=30)).isoformat().replace("+00:00", "Z"),
            "hold_expires_at": None,
            "guest_workos_user_id": user["id"],
            "guest_org_id": row.guest_org_id,
        },
        "checkout_url": None,
    }
    assert (row.status, row.guest_time_zone, row.guest_name) == (BookingStatus.CONFIRMED, "Europe/Berlin", "Mona Meier")
    assert counted(house, email) == (1, 1, 1, 1)
    subject = f"meeting:{row.id}"
    assert diary.jobs(house.db, "send_appointment_mail") == [{"subject": subject, "kind": "confirmation", "once": "2"}]


OFFICE = {day: [["09:00", "12:00"]] for day in diary.ALWAYS}


@pytest.mark.parametrize("hours", [{}, OFFICE], ids=["no hours", "office hours"])
@pytest.mark.parametrize("sold", [False, True], ids=["free", "sold"])
def test_a_time_that_is_not_offered_is_refused_and_nobody_is_registered(
    house: House, clock: Clock, email: str, hours: dict[str, Any], sold: bool
) -> None:
    kind = diary.offered(house.db, minutes=30, working_hours=hours)
    night = diary.tomorrow(clock.now, hour=3) + timedelta(minutes=17)
    answer = ask(house, kind, night, email, **({"session_type_id": kind.id} if sold else {}))
    assert (answer.status_code, answer.json["code"]) == (422, "not_offered")
    assert "starts_at" in answer.json["errors"]
    assert counted(house, email) == (0, 0, 0, 0)
    assert meetings_of(house, email) == []


@pytest.mark.parametrize(
    ("minute", "status"),
    [(0, 201), (30, 201), (15, 422), (45, 422), (60, 201), (150, 201), (165, 422), (180, 422), (-30, 422)],
)
def test_a_free_meeting_begins_where_one_is_offered_and_ends_within_the_hours(
    house: House, clock: Clock, email: str, minute: int, status: int
) -> None:
    kind = diary.offered(house.db, minutes=60, working_hours=OFFICE)
    starts = diary.tomorrow(clock.now, hour=9) + timedelta(minutes=minute)
    assert ask(house, kind, starts, email).status_code == status


def test_whatever_is_offered_without_a_session_type_can_be_met(house: House, clock: Clock, email: str) -> None:
    """The slots are as long as the shortest session, which is another length than a meeting's."""
    kind = diary.offered(house.db, minutes=45, working_hours=OFFICE)
    day = diary.tomorrow(clock.now).date().isoformat()
    asked = house.get(f"/api/practitioners/{kind.practitioner_id}/availability", query_string={"from": day, "to": day})
    starts = [datetime.fromisoformat(slot["starts_at"]) for slot in asked.json["slots"]]
    assert len(starts) == 4
    assert {ask(house, kind, each, email).status_code for each in starts} == {201}


def test_who_gives_no_free_meetings_is_met_by_session_type_only(house: House, clock: Clock, email: str) -> None:
    kind = diary.offered(house.db, working_hours=diary.ALWAYS, free_meetings=False)
    starts = diary.tomorrow(clock.now)
    refused = ask(house, kind, starts, email)
    assert (refused.status_code, refused.json["code"]) == (422, "session_type_required")
    assert counted(house, email) == (0, 0, 0, 0)
    listed = {each["id"]: each["free_meetings"] for each in house.get("/api/practitioners").json["practitioners"]}
    assert listed[kind.practitioner_id] is False
    assert ask(house, kind, starts, email, session_type_id=kind.id).status_code == 201


def test_a_meeting_that_is_made_stays_the_answer_when_its_time_is_offered_no_more(
    house: House, clock: Clock, kind: SessionType, email: str
) -> None:
    starts = diary.tomorrow(clock.now)
    first = ask(house, kind, starts, email)
    with house.db.unit_of_work(diary.OPERATOR) as ctx:
        ctx.session.get_one(Practitioner, kind.practitioner_id).working_hours = {}
    assert ask(house, kind, starts, email).json == first.json


@pytest.mark.parametrize("field", ["free_meetings", "active"])
def test_a_meeting_that_is_made_stays_the_answer_when_no_more_are_given(
    house: House, clock: Clock, kind: SessionType, email: str, field: str
) -> None:
    starts = diary.tomorrow(clock.now)
    first = ask(house, kind, starts, email)
    with house.db.unit_of_work(diary.OPERATOR) as ctx:
        setattr(ctx.session.get_one(Practitioner, kind.practitioner_id), field, False)
    again = ask(house, kind, starts, email)
    assert (again.status_code, again.json) == (201, first.json)
    assert ask(house, kind, starts + timedelta(hours=2), email).status_code in (404, 422)
    assert len(meetings_of(house, email)) == 1


def test_a_paid_meeting_is_held_for_the_checkout(house: House, clock: Clock, kind: SessionType, email: str) -> None:
    answer = ask(house, kind, diary.tomorrow(clock.now), email, session_type_id=kind.id)
    assert answer.status_code == 201
    assert answer.json["meeting"]["status"] == "pending"
    assert answer.json["checkout_url"].startswith(f"{house.simulator}/stripe/")
    (row,) = meetings_of(house, email)
    assert row.ends_at - row.starts_at == timedelta(minutes=kind.minutes)
    (payment,) = house.rows(select(Payment).where(Payment.meeting_id == row.id))
    assert (payment.amount, payment.currency) == (diary.PRICE, "eur")


def test_a_free_session_type_needs_no_payment(house: House, clock: Clock, email: str) -> None:
    kind = diary.offered(house.db, price=0, minutes=20, working_hours=diary.ALWAYS)
    answer = ask(house, kind, diary.tomorrow(clock.now), email, session_type_id=kind.id)
    assert (answer.json["meeting"]["status"], answer.json["checkout_url"]) == ("confirmed", None)


@pytest.mark.parametrize("paid", [False, True])
def test_the_same_request_again_gets_the_same_meeting(
    house: House, clock: Clock, kind: SessionType, email: str, paid: bool
) -> None:
    more = {"session_type_id": kind.id} if paid else {}
    starts = diary.tomorrow(clock.now)
    first = ask(house, kind, starts, email, **more)
    again = ask(house, kind, starts, email.upper(), **more)
    assert first.json == again.json
    assert len(meetings_of(house, email)) == 1
    assert counted(house, email) == (1, 1, 1, 1)


def test_what_is_with_the_bank_is_the_same_meeting_without_a_second_page(
    house: House, clock: Clock, kind: SessionType, email: str
) -> None:
    starts = diary.tomorrow(clock.now)
    assert ask(house, kind, starts, email, session_type_id=kind.id).status_code == 201
    (payment,) = house.rows(select(Payment))
    session_id = payment.stripe_checkout_session_id or ""
    control_stripe.pay_later(house.simulator, session_id, deliver=False)
    for event in control_stripe.events(house.simulator, session_id):
        assert house.stripe(event).status_code == 200
    house.work()
    control.fault(house.simulator, "stripe", "429", times=5)
    again = ask(house, kind, starts, email, session_type_id=kind.id)
    control.fault(house.simulator, "stripe", "off")
    assert (again.status_code, again.json["checkout_url"]) == (201, None)
    (row,) = meetings_of(house, email)
    assert (row.status, row.hold_expires_at) == (BookingStatus.PENDING, starts)
    assert len(house.rows(select(Payment))) == 1


def test_the_same_guest_at_another_time_has_the_same_ids(
    house: House, clock: Clock, kind: SessionType, email: str
) -> None:
    one = ask(house, kind, diary.tomorrow(clock.now), email).json["meeting"]
    other = ask(house, kind, diary.tomorrow(clock.now, hour=14), email).json["meeting"]
    ids = ("guest_workos_user_id", "guest_org_id")
    assert [one[name] for name in ids] == [other[name] for name in ids]
    assert counted(house, email) == (1, 1, 1, 1)


@pytest.mark.parametrize("by", ["booking", "meeting"])
def test_somebody_elses_time_is_taken_and_nobody_is_registered(
    house: House, clock: Clock, kind: SessionType, email: str, by: str
) -> None:
    starts = diary.tomorrow(clock.now)
    diary.held(house.db, kind, starts) if by == "booking" else diary.meeting(house.db, kind, starts)
    answer = ask(house, kind, starts + timedelta(minutes=20), email)
    assert (answer.status_code, answer.json["code"]) == (409, "slot_taken")
    assert counted(house, email) == (0, 0, 0, 0)
    assert ask(house, kind, starts + timedelta(minutes=50), email).status_code == 201


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"practitioner_id": 999_999}, 404, "practitioner_not_found"),
        ({"practitioner_id": 2**63}, 422, "invalid_input"),
        ({"session_type_id": 999_999}, 404, "session_type_not_found"),
        ({"starts_at": "yesterday"}, 422, "invalid_input"),
        ({"starts_at": "2020-01-01T10:00:00Z"}, 422, "not_offered"),
        ({"starts_at": "2027-01-01T10:00:00"}, 422, "invalid_input"),
        ({"guest_name": "  "}, 422, "invalid_input"),
        ({"guest_email": "no address"}, 422, "invalid_input"),
        ({"guest_email": "a@b"}, 422, "invalid_input"),
        ({"timezone": "Mars/Olympus"}, 422, "invalid_input"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_before_anybody_is_registered(
    house: House, clock: Clock, kind: SessionType, email: str, changed: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(house, kind, diary.tomorrow(clock.now), email, **changed)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert house.rows(select(func.count(Guest.id)).where(Guest.email == email)) == [0]
    assert meetings_of(house, email) == []


def test_who_is_no_longer_offered_is_not_found(house: House, clock: Clock, kind: SessionType, email: str) -> None:
    with house.db.unit_of_work(diary.OPERATOR) as ctx:
        ctx.session.get_one(SessionType, kind.id).active = False
    assert ask(house, kind, diary.tomorrow(clock.now), email, session_type_id=kind.id).status_code == 404


@pytest.mark.parametrize("call", range(6))
@pytest.mark.parametrize("mode", ["500", "429", "apply-then-drop", "apply-then-500"])
def test_when_workos_fails_nothing_is_booked_and_later_it_goes_on(
    house: House, clock: Clock, kind: SessionType, email: str, call: int, mode: str
) -> None:
    starts = diary.tomorrow(clock.now)
    control.fault(house.simulator, "workos", mode, times=20, after=call)
    failed = ask(house, kind, starts, email)
    control.fault(house.simulator, "workos", "off")
    if failed.status_code == 201:
        assert call == 5, "only a code whose fate is unknown lets the booking go on"
        assert mode != "429"
    else:
        assert (failed.status_code, failed.json["code"]) == (502, "GUEST_USER_CREATION_ERROR")
        assert email not in failed.text
        assert meetings_of(house, email) == []
    assert ask(house, kind, starts, email).status_code == 201
    assert len(meetings_of(house, email)) == 1
    assert counted(house, email)[:3] == (1, 1, 1)


def test_when_stripe_fails_the_time_is_free_again(house: House, clock: Clock, kind: SessionType, email: str) -> None:
    starts = diary.tomorrow(clock.now)
    control.fault(house.simulator, "stripe", "500", times=10)
    assert ask(house, kind, starts, email, session_type_id=kind.id).status_code == 503
    control.fault(house.simulator, "stripe", "off")
    again = ask(house, kind, starts, email, session_type_id=kind.id)
    assert (again.status_code, again.json["meeting"]["status"]) == (201, "pending")
    assert [row.status for row in meetings_of(house, email)] == ["canceled", "pending"]
    assert counted(house, email) == (1, 1, 1, 1)


def test_asked_again_while_stripe_is_down_the_page_from_before_is_answered(
    house: House, clock: Clock, kind: SessionType, email: str
) -> None:
    """The guest may be paying on it right now, so what they hold must not be given up."""
    starts = diary.tomorrow(clock.now)
    first = ask(house, kind, starts, email, session_type_id=kind.id)
    control.fault(house.simulator, "stripe", "500", times=10)
    again = ask(house, kind, starts, email, session_type_id=kind.id)
    control.fault(house.simulator, "stripe", "off")
    assert (again.status_code, again.json) == (201, first.json)
    assert [row.status for row in meetings_of(house, email)] == ["pending"]
    assert house.rows(select(Payment.state).where(Payment.meeting_id == first.json["meeting"]["id"])) == ["open"]


def test_another_session_at_the_same_time_is_not_the_same_request(
    house: House, clock: Clock, kind: SessionType, email: str
) -> None:
    starts = diary.tomorrow(clock.now)
    assert ask(house, kind, starts, email).status_code == 201
    refused = ask(house, kind, starts, email, session_type_id=kind.id)
    assert (refused.status_code, refused.json["code"]) == (409, "slot_taken")
    assert len(meetings_of(house, email)) == 1


def test_without_workos_no_meeting(simulator: str, db: Database, clock: Clock, kind: SessionType, email: str) -> None:
    answer = ask(build(simulator, db, workos_api_key=""), kind, diary.tomorrow(clock.now), email)
    assert (answer.status_code, answer.json["code"]) == (502, "GUEST_USER_CREATION_ERROR")


def test_many_meetings_from_one_network_are_slowed_down_before_anybody_is_registered(
    house: House, clock: Clock, kind: SessionType, email: str
) -> None:
    client = house.app.test_client()
    wanted = {"practitioner_id": kind.practitioner_id, "guest_name": "Mona", "guest_email": email}
    statuses = []
    for number in range(34):
        starts = (diary.tomorrow(clock.now) + timedelta(hours=number)).isoformat()
        answer = client.post(
            "/api/meetings", json=wanted | {"starts_at": starts}, environ_base={"REMOTE_ADDR": "203.0.113.8"}
        )
        statuses.append(answer.status_code)
    assert statuses == [201] * 31 + [429] * 3
    assert len(meetings_of(house, email)) == 31


def booking(house: House, kind: SessionType, starts: datetime, email: str) -> Callable[[], str]:
    def call() -> str:
        answer = ask(house, kind, starts, email)
        return str(answer.json.get("code", answer.status_code))

    return call


def test_one_guest_asks_many_times_at_once(real_house: House, email: str) -> None:
    kind = diary.offered(real_house.db, working_hours=diary.ALWAYS)
    starts = diary.tomorrow(real_house.db.clock())
    assert at_once([booking(real_house, kind, starts, email)] * 10) == {"201": 10}
    assert len(meetings_of(real_house, email)) == 1
    assert counted(real_house, email) == (1, 1, 1, 1)


def test_many_guests_want_one_time(real_house: House, email: str) -> None:
    kind = diary.offered(real_house.db, working_hours=diary.ALWAYS)
    starts = diary.tomorrow(real_house.db.clock())
    outcomes = at_once([booking(real_house, kind, starts, f"{number}{email}") for number in range(10)])
    assert outcomes == {"201": 1, "slot_taken": 9}
    assert len(real_house.rows(select(Meeting))) == 1
