"""The public doors to who can be booked and when."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.simulator import control
from admin_app.simulator.calcom import control_calcom
from models import Practitioner, SessionType
from tests.console.conftest import counted_queries
from tests.house import House, build
from tests.public.test_any_input import NASTY
from tests.services.diary import ALWAYS
from tests.services.schedule_rows import add_booking, add_practitioner, add_session_type

EVENT_TYPES = count(300_000)
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def house(house: House) -> House:
    house.db.clock = lambda: NOW
    return house


@pytest.fixture
def ingrid(db: Database) -> Practitioner:
    return add_practitioner(db)


@pytest.fixture
def hour_long(db: Database, ingrid: Practitioner) -> SessionType:
    return add_session_type(db, ingrid)


def ask(house: House, practitioner: Practitioner, **query: Any) -> Any:
    given = {name.rstrip("_"): value for name, value in query.items()}
    return house.get(f"/api/practitioners/{practitioner.id}/availability", query_string=given)


def test_who_can_be_booked(house, ingrid, hour_long):
    assert house.get("/api/practitioners").json == {
        "practitioners": [
            {
                "id": ingrid.id,
                "name": "Dr. Ingrid Solheim",
                "time_zone": "Europe/Oslo",
                "free_meetings": True,
                "session_types": [
                    {
                        "id": hour_long.id,
                        "title": "First consultation",
                        "minutes": 60,
                        "price": {"amount": 9500, "currency": "usd"},
                    }
                ],
            }
        ]
    }


def test_a_day_by_the_practitioners_clock(house, ingrid, hour_long):
    answer = ask(house, ingrid, from_="2027-03-02", to="2027-03-02").json
    assert (answer["source"], answer["timezone"]) == ("fallback", "Europe/Oslo")
    assert len(answer["slots"]) == 8
    assert answer["slots"][0] == {"starts_at": "2027-03-02T08:00:00+01:00", "ends_at": "2027-03-02T09:00:00+01:00"}


def test_a_day_by_the_callers_clock(house, ingrid, hour_long):
    # In Auckland the Oslo office is open from 20:00 to 05:00 of the next day.
    answer = ask(house, ingrid, from_="2027-03-03", to="2027-03-03", timezone="Pacific/Auckland").json
    assert answer["timezone"] == "Pacific/Auckland"
    assert [slot["starts_at"][:16] for slot in answer["slots"]] == [
        *("2027-03-03T01:00", "2027-03-03T02:00", "2027-03-03T03:00", "2027-03-03T04:00"),
        *("2027-03-03T20:00", "2027-03-03T21:00", "2027-03-03T22:00", "2027-03-03T23:00"),
    ]
    assert answer["slots"][0]["starts_at"].endswith("+13:00")


def test_the_week_in_which_oslo_has_summer_time_and_new_york_does_already(house, ingrid, hour_long):
    def first(day: str) -> str:
        return ask(house, ingrid, from_=day, to=day, timezone="America/New_York").json["slots"][0]["starts_at"]

    assert first("2027-03-12") == "2027-03-12T02:00:00-05:00"
    assert first("2027-03-15") == "2027-03-15T03:00:00-04:00"
    assert first("2027-03-29") == "2027-03-29T02:00:00-04:00"


def test_a_slot_in_the_hour_that_comes_twice_names_its_offset(house, db, hour_long):
    night = add_practitioner(db, "night@practice.example", working_hours={"sun": [["01:00", "04:00"]]})
    add_session_type(db, night)
    answer = ask(house, night, from_="2027-10-31", to="2027-10-31").json
    assert [slot["starts_at"] for slot in answer["slots"]] == [
        "2027-10-31T01:00:00+02:00",
        "2027-10-31T02:00:00+02:00",
        "2027-10-31T02:00:00+01:00",
        "2027-10-31T03:00:00+01:00",
    ]


@pytest.mark.parametrize(
    ("month", "zone"),
    [
        ("2027-10", "Europe/Oslo"),
        ("2027-03", "Europe/Oslo"),
        ("2027-03", "America/New_York"),
        ("2027-10", "Australia/Lord_Howe"),
        ("2028-07", "UTC"),
    ],
)
def test_a_whole_month_may_be_asked_for_whatever_the_clocks_do_in_it(house, ingrid, hour_long, month, zone):
    house.db.clock = lambda: datetime.fromisoformat(f"{month}-01T00:00+00:00") - timedelta(days=9)
    asked = {"from_": f"{month}-01", "to": f"{month}-31", "timezone": zone}
    answer = ask(house, ingrid, **asked)
    assert answer.status_code == 200, answer.text
    days = {slot["starts_at"][:10] for slot in answer.json["slots"]}
    assert min(days) <= f"{month}-04"
    assert max(days) >= f"{month}-29"
    too_long = ask(house, ingrid, **asked | {"from_": f"{month}-01T00:00", "to": f"{month}-31T23:59:59"})
    assert too_long.status_code == 200
    following = (datetime.fromisoformat(f"{month}-01") + timedelta(days=31)).date()
    assert ask(house, ingrid, **asked | {"to": f"{following}T01:00:01"}).json["errors"]["to"] == (
        "Ask for at most 31 days at once."
    )


@pytest.mark.parametrize("first", ["2027-10-27", "2027-03-24"])
def test_a_week_that_is_not_asked_for_to_its_end_ends_with_a_day(house, db, first):
    around = add_practitioner(db, "around@practice.example", working_hours=ALWAYS)
    add_session_type(db, around)
    house.db.clock = lambda: datetime.fromisoformat(first).replace(tzinfo=UTC) - timedelta(days=2)
    slots = [slot["starts_at"][:13] for slot in ask(house, around, from_=first).json["slots"]]
    last = (datetime.fromisoformat(first) + timedelta(days=6)).date()
    assert (slots[0], slots[-1]) == (f"{first}T00", f"{last}T23")


def test_hours_past_midnight_give_slots_over_it(house, db):
    night = add_practitioner(db, "night@practice.example", working_hours={"fri": [["22:30", "02:30"]]})
    add_session_type(db, night)

    def starts(day: str) -> list[str]:
        return [slot["starts_at"][:16] for slot in ask(house, night, from_=day, to=day).json["slots"]]

    assert starts("2027-03-05") == ["2027-03-05T22:30", "2027-03-05T23:30"]
    assert starts("2027-03-06") == ["2027-03-06T00:30", "2027-03-06T01:30"]
    # The nights in which the clocks change are as long as they take.
    night_of_change = add_practitioner(db, "change@practice.example", working_hours={"sat": [["22:00", "04:00"]]})
    add_session_type(db, night_of_change)
    for friday, hours in (("2027-03-26", 5), ("2027-10-29", 7), ("2027-05-07", 6)):
        begins = datetime.fromisoformat(friday) + timedelta(days=1)
        house.db.clock = lambda at=begins: at.replace(tzinfo=UTC) - timedelta(days=2)
        answer = ask(house, night_of_change, from_=begins.date(), to=begins.date() + timedelta(days=1))
        assert len(answer.json["slots"]) == hours


def test_hours_to_the_end_of_the_day_are_offered_to_the_end(house, db):
    late = add_practitioner(db, "late@practice.example", working_hours={"fri": [["22:00", "24:00"]]})
    add_session_type(db, late)
    (first, last) = ask(house, late, from_="2027-03-05", to="2027-03-06").json["slots"]
    assert (first["starts_at"][:16], last["ends_at"][:16]) == ("2027-03-05T22:00", "2027-03-06T00:00")


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({"from_": "2027-03-02T10:00:00Z", "to": "2027-03-02T15:00:00Z"}, "2027-03-02T11:00:00+01:00"),
        ({"from_": "2027-03-02T10:00:00+01:00", "to": "2027-03-02T15:00:00+01:00"}, "2027-03-02T10:00:00+01:00"),
        ({"from_": "2027-03-02T10:00", "to": "2027-03-02T15:00"}, "2027-03-02T10:00:00+01:00"),
        ({"to": "2027-03-04"}, "2027-03-01T14:00:00+01:00"),
        ({"from_": "2027-03-05"}, "2027-03-05T08:00:00+01:00"),
        ({}, "2027-03-01T14:00:00+01:00"),
    ],
    ids=str,
)
def test_times_and_what_is_left_out(house, ingrid, hour_long, asked, first):
    assert ask(house, ingrid, **asked).json["slots"][0]["starts_at"] == first


def test_a_plus_sign_that_was_not_escaped(house, ingrid, hour_long):
    query = "from=2027-03-02T10:00:00+01:00&to=2027-03-02T12:00:00+01:00"
    answer = house.get(f"/api/practitioners/{ingrid.id}/availability?{query}")
    assert len(answer.json["slots"]) == 2


def test_what_is_booked_is_not_offered(house, db, ingrid, hour_long):
    add_booking(db, hour_long, datetime(2027, 3, 2, 7, tzinfo=UTC))
    answer = ask(house, ingrid, from_="2027-03-02", to="2027-03-02", session_type_id=hour_long.id).json
    assert answer["slots"][0]["starts_at"] == "2027-03-02T09:00:00+01:00"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"from_": "2027-03-02", "to": "2027-03-01"}, "to"),
        ({"from_": "2027-03-02", "to": "2027-05-02"}, "to"),
        ({"from_": "soon"}, "from"),
        ({"from_": "2027-02-30"}, "from"),
        ({"from_": "0001-01-01"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "Europe"}, "timezone"),
        ({"session_type_id": "x"}, "session_type_id"),
        ({"session_type_id": "0"}, "session_type_id"),
        ({"session_type_id": "9" * 18}, "session_type_id"),
        ({"session_type_id": "9" * 40}, "session_type_id"),
    ],
    ids=str,
)
def test_what_is_not_right_is_named(house, ingrid, asked, field):
    answer = ask(house, ingrid, **asked)
    assert answer.status_code == 422
    assert answer.json["errors"][field].endswith(".")


@pytest.mark.parametrize("number", ["0", "999999", str(2**63 - 1), str(2**63), "9" * 60])
def test_a_practitioner_who_is_none(house, number):
    assert house.get(f"/api/practitioners/{number}/availability").status_code == 404


def test_the_longest_question_and_the_last_day_of_it(house, ingrid, hour_long):
    answer = ask(house, ingrid, from_="2027-03-02", to="2027-04-01")
    assert answer.status_code == 200
    assert answer.json["slots"][-1]["starts_at"] == "2027-04-01T16:00:00+02:00"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    query=st.dictionaries(
        st.sampled_from(["from", "to", "timezone", "session_type_id"]),
        st.one_of(st.text(), NASTY, st.datetimes().map(str), st.dates().map(str), st.timezone_keys()),
    )
)
def test_any_query_gets_slots_or_a_sentence(house, ingrid, query):
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    answer = house.get(f"/api/practitioners/{ingrid.id}/availability", query_string=query)
    assert answer.status_code in (200, 422)


def test_it_costs_the_same_few_queries_however_much_is_booked(house, db, ingrid, hour_long):
    asked = {"from_": "2027-03-02", "to": "2027-03-02", "timezone": "UTC"}
    with counted_queries(db) as empty:
        ask(house, ingrid, **asked)
    for number in range(9):
        add_booking(db, hour_long, datetime(2027, 3, 2, 7, tzinfo=UTC) + timedelta(hours=number))
    with counted_queries(db) as full:
        assert ask(house, ingrid, **asked).json["slots"] == []
    assert len(empty) == len(full) <= 5


class TestCalcom:
    """Over HTTP, with a Cal.com that works and one that does not."""

    @pytest.fixture
    def house(self, simulator: str, db: Database) -> House:
        return build(simulator, db)

    @pytest.fixture
    def mapped(self, house: House, db: Database) -> Practitioner:
        number = next(EVENT_TYPES)
        control_calcom.seed_event_types(house.simulator, [{"id": str(number), "minutes": 30, "host_id": number}])
        person = add_practitioner(db, time_zone="UTC", calcom_event_type_id=str(number))
        add_session_type(db, person)
        yield person
        control.fault(house.simulator, "calcom", "off")

    def day(self) -> str:
        """A Monday to come."""
        today = datetime.now(UTC).date()
        return str(today + timedelta(days=14 - today.weekday()))

    def test_its_times_and_then_from_memory(self, house, mapped):
        first, again = (ask(house, mapped, from_=self.day(), to=self.day()).json for _ in range(2))
        assert (first["source"], again["source"]) == ("calcom", "cache")
        assert first["slots"] == again["slots"]
        # Half an hour is offered at a time, and the session lasts an hour.
        assert [slot["starts_at"][11:16] for slot in first["slots"]][:4] == ["08:00", "08:30", "09:00", "09:30"]
        assert "11:30" not in [slot["starts_at"][11:16] for slot in first["slots"]]

    def test_what_is_busy_there_is_not_offered(self, house, mapped):
        at = datetime.fromisoformat(f"{self.day()}T08:00:00+00:00")
        control_calcom.make_busy(
            house.simulator,
            event_type=str(mapped.calcom_event_type_id),
            starts_at=at,
            ends_at=at + timedelta(hours=4),
        )
        answer = ask(house, mapped, from_=self.day(), to=self.day()).json
        assert (answer["source"], answer["slots"][0]["starts_at"][11:16]) == ("calcom", "13:00")

    @pytest.mark.parametrize("mode", ["429", "500", "apply-then-drop", "apply-then-500"])
    def test_a_passing_trouble_is_not_seen(self, house, mapped, mode):
        control.fault(house.simulator, "calcom", mode)
        assert ask(house, mapped, from_=self.day(), to=self.day()).json["source"] == "calcom"

    def test_while_it_is_down_the_working_hours_are_offered_and_it_is_left_alone(self, house, mapped):
        control.fault(house.simulator, "calcom", "500", times=12)
        answers = [ask(house, mapped, from_=self.day(), to=self.day()).json for _ in range(6)]
        assert {answer["source"] for answer in answers} == {"fallback"}
        assert answers[0]["slots"][0]["starts_at"][11:16] == "08:00"
        # Four calls with three tries each used the fault up; the circuit keeps the others away.
        control.fault(house.simulator, "calcom", "off")
        assert ask(house, mapped, from_=self.day(), to=self.day()).json["source"] == "fallback"

    def test_a_wrong_key_and_an_unknown_event_type_fall_back(self, simulator, db, house, mapped):
        wrong = build(simulator, db, calcom_api_key="cal_another")
        assert ask(wrong, mapped, from_=self.day(), to=self.day()).json["source"] == "fallback"
        lost = add_practitioner(db, "lost@practice.example", calcom_event_type_id="404404")
        assert ask(house, lost, from_=self.day(), to=self.day()).json["source"] == "fallback"

    def test_the_settings_map_a_practitioner_too(self, simulator, db, house, mapped):
        other = add_practitioner(db, "other@practice.example")
        by_setting = build(simulator, db, calcom_event_type={other.id: mapped.calcom_event_type_id})
        assert ask(by_setting, other, from_=self.day(), to=self.day()).json["source"] == "calcom"


def test_the_mapping_is_read_from_the_environment(monkeypatch):
    for name, value in {"CALCOM_USER_ID_3": "41", "CALCOM_EVENT_TYPE_3": "88", "CALCOM_EVENT_TYPE_4": ""}.items():
        monkeypatch.setenv(name, value)
    read = Settings(_env_file=None, database_url="postgresql://nowhere/none", secret_key="s" * 32)
    assert (read.calcom_user_id, read.calcom_event_type) == ({3: "41"}, {3: "88"})
    monkeypatch.setenv("CALCOM_EVENT_TYPE_x", "88")
    with pytest.raises(ValueError, match="calcom_event_type"):
        Settings(_env_file=None, database_url="postgresql://nowhere/none", secret_key="s" * 32)
