"""Working hours as instants, on the days when clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin_app.integrations.calendar_ports import Slot
from admin_app.services.schedule.availability import within_hours, within_offers, without
from admin_app.services.schedule.working_hours import WEEKDAYS, of_day
from admin_app.services.schedule.working_time import Span, spans, united

OSLO, NEW_YORK, LORD_HOWE = map(ZoneInfo, ("Europe/Oslo", "America/New_York", "Australia/Lord_Howe"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def worked(zone: ZoneInfo, day: str, *hours: tuple[str, str]) -> list[str]:
    """The spans of this day in UTC, as text."""
    on = date.fromisoformat(day)
    start = datetime.combine(on, time(), zone).astimezone(UTC)
    listed = {WEEKDAYS[on.weekday()]: [list(pair) for pair in hours]}
    return [f"{a:%dT%H:%M}-{b:%dT%H:%M}" for a, b in spans(listed, zone, start, start + timedelta(hours=28))]


@pytest.mark.parametrize(
    ("zone", "day", "hours", "expected"),
    [
        # An ordinary day, in winter and in summer time.
        (OSLO, "2027-01-12", ("08:00", "12:00"), ["12T07:00-12T11:00"]),
        (OSLO, "2027-07-13", ("08:00", "12:00"), ["13T06:00-13T10:00"]),
        # The clocks go from 02:00 to 03:00 at 01:00 UTC.
        (OSLO, "2027-03-28", ("00:00", "06:00"), ["27T23:00-28T04:00"]),
        (OSLO, "2027-03-28", ("02:30", "06:00"), ["28T01:00-28T04:00"]),
        (OSLO, "2027-03-28", ("01:00", "02:30"), ["28T00:00-28T01:00"]),
        (OSLO, "2027-03-28", ("02:10", "02:50"), []),
        # The clocks go from 03:00 back to 02:00 at 01:00 UTC: two o'clock comes twice.
        (OSLO, "2027-10-31", ("00:00", "06:00"), ["30T22:00-31T05:00"]),
        (OSLO, "2027-10-31", ("01:00", "02:30"), ["30T23:00-31T00:30", "31T01:00-31T01:30"]),
        (OSLO, "2027-10-31", ("02:30", "05:00"), ["31T00:30-31T01:00", "31T01:30-31T04:00"]),
        (OSLO, "2027-10-31", ("02:15", "02:45"), ["31T00:15-31T00:45", "31T01:15-31T01:45"]),
        (OSLO, "2027-10-31", ("08:00", "12:00"), ["31T07:00-31T11:00"]),
        # Elsewhere on another date, and in the other direction first.
        (NEW_YORK, "2027-03-14", ("01:00", "05:00"), ["14T06:00-14T09:00"]),
        (NEW_YORK, "2027-11-07", ("00:30", "03:00"), ["07T04:30-07T08:00"]),
        # Half an hour only.
        (LORD_HOWE, "2027-10-03", ("01:00", "03:00"), ["02T14:30-02T16:00"]),
        (LORD_HOWE, "2027-04-04", ("01:00", "03:00"), ["03T14:00-03T16:30"]),
        # To the end of the day.
        (OSLO, "2027-01-12", ("22:00", "24:00"), ["12T21:00-12T23:00"]),
        # Past midnight, over the change of both nights: four hours of the clock are three and five.
        (OSLO, "2027-01-12", ("22:00", "02:00"), ["12T21:00-13T01:00"]),
        (OSLO, "2027-03-27", ("23:00", "03:00"), ["27T22:00-28T01:00"]),
        (OSLO, "2027-10-30", ("23:00", "03:00"), ["30T21:00-31T02:00"]),
        (OSLO, "2027-10-30", ("23:00", "02:30"), ["30T21:00-31T00:30", "31T01:00-31T01:30"]),
    ],
)
def test_days_on_which_clocks_change(zone: ZoneInfo, day: str, hours: tuple[str, str], expected: list[str]) -> None:
    assert worked(zone, day, hours) == expected


def test_intervals_that_overlap_are_one_and_those_that_touch_are_two() -> None:
    assert worked(OSLO, "2027-01-12", ("10:00", "12:00"), ("08:00", "11:00")) == ["12T07:00-12T11:00"]
    assert worked(OSLO, "2027-01-12", ("08:00", "10:00"), ("10:00", "12:00")) == [
        "12T07:00-12T09:00",
        "12T09:00-12T11:00",
    ]


@pytest.mark.parametrize(
    "listed",
    [
        *(None, {}, "08:00", 7, [None], ["08:00"], [["08:00"]], [["08:00", "12:00", "13:00"]], [[8, 12]]),
        *([["12:00", "08:00"]], [["08:00", "08:00"]], [["8:00", "12:00"]], [["08:00", "24:01"]], [["08:60", "12:00"]]),
        *([["-1:00", "12:00"]], [["08:00", "٢٣:00"]], [["08.00", "12:00"]]),
    ],
    ids=repr,
)
def test_what_cannot_be_read_is_no_working_time(listed: Any) -> None:
    assert spans({"tue": listed}, OSLO, utc("2027-01-12"), utc("2027-01-13")) == []


def test_spans_come_whole_so_that_slots_do_not_depend_on_the_question() -> None:
    hours = {"tue": [["08:00", "12:00"]]}
    assert spans(hours, OSLO, utc("2027-01-12T08:10"), utc("2027-01-12T08:20")) == [
        (utc("2027-01-12T07:00"), utc("2027-01-12T11:00"))
    ]
    assert spans(hours, OSLO, utc("2027-01-12T11:00"), utc("2027-01-12T12:00")) == []


ZONES = st.sampled_from(
    [
        *("Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Chatham"),
        *("Africa/Casablanca", "America/St_Johns", "America/Havana", "Pacific/Apia", "UTC"),
    ]
).map(ZoneInfo)
CLOCKS = st.integers(0, 48).map(lambda half: f"{half // 2:02}:{half % 2 * 30:02}")
HOURS = st.dictionaries(st.sampled_from(WEEKDAYS), st.lists(st.lists(CLOCKS, min_size=2, max_size=2), max_size=3))
INSTANTS = st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: utc("2026-01-01") + timedelta(minutes=minutes))
LENGTHS = st.sampled_from([10, 25, 30, 45, 60, 90]).map(lambda minutes: timedelta(minutes=minutes))
BUSY = st.lists(st.tuples(st.integers(0, 8 * 24 * 12), st.integers(1, 40)), max_size=15)


def shown_within(hours: dict[str, list[list[str]]], wall: datetime) -> bool:
    """The rule itself: what the practitioner's clock shows lies in one of the day's intervals."""
    minute = wall.hour * 60 + wall.minute
    since_the_day_before = minute + 24 * 60
    return any(opens <= minute < closes for opens, closes in of_day(hours, wall.weekday())) or any(
        opens <= since_the_day_before < closes for opens, closes in of_day(hours, (wall.weekday() - 1) % 7)
    )


@settings(max_examples=300, deadline=None)
@given(zone=ZONES, hours=HOURS, since=INSTANTS, days=st.integers(1, 7), length=LENGTHS, taken=BUSY)
def test_every_slot_is_working_time_free_and_of_the_right_length(
    zone: ZoneInfo,
    hours: dict[str, list[list[str]]],
    since: datetime,
    days: int,
    length: timedelta,
    taken: list[tuple[int, int]],
) -> None:
    busy: list[Span] = [
        (since + timedelta(minutes=5 * start), since + timedelta(minutes=5 * (start + lasts))) for start, lasts in taken
    ]
    working = spans(hours, zone, since, since + timedelta(days=days))
    slots = list(without(within_hours(working, length), busy))
    assert slots == sorted(slots, key=lambda slot: slot.starts_at)
    for before, after in pairwise(slots):
        assert before.ends_at <= after.starts_at
    for slot in slots:
        assert slot.ends_at - slot.starts_at == length
        assert not any(start < slot.ends_at and slot.starts_at < end for start, end in busy)
        for minute in range(int(length.total_seconds()) // 60):
            assert shown_within(hours, (slot.starts_at + timedelta(minutes=minute)).astimezone(zone))


@settings(max_examples=200, deadline=None)
@given(zone=ZONES, hours=HOURS, since=INSTANTS)
def test_every_working_minute_is_in_a_span(zone: ZoneInfo, hours: dict[str, list[list[str]]], since: datetime) -> None:
    since = since.replace(minute=0)
    working = spans(hours, zone, since, since + timedelta(days=2))
    for quarter in range(2 * 24 * 4):
        moment = since + timedelta(minutes=15 * quarter)
        inside = any(start <= moment < end for start, end in working)
        assert inside == shown_within(hours, moment.astimezone(zone)), moment


def test_an_offer_of_cal_com_is_taken_where_time_enough_is_offered_in_a_row() -> None:
    def slot(start: str) -> Slot:
        return Slot(utc(f"2027-01-12T{start}"), utc(f"2027-01-12T{start}") + timedelta(minutes=30))

    offers = [slot(start) for start in ("09:00", "09:30", "10:30", "11:00", "11:30")]
    starts = {
        minutes: [f"{s.starts_at:%H:%M}" for s in within_offers(offers, timedelta(minutes=minutes))]
        for minutes in (20, 30, 60, 90, 120)
    }
    assert starts == {
        20: ["09:00", "09:30", "10:30", "11:00", "11:30"],
        30: ["09:00", "09:30", "10:30", "11:00", "11:30"],
        60: ["09:00", "10:30", "11:00"],
        90: ["10:30"],
        120: [],
    }
    assert list(within_offers([], timedelta(minutes=30))) == []


def test_united() -> None:
    a, b, c, d = (utc(f"2027-01-12T{hour:02}:00") for hour in (8, 9, 10, 11))
    assert united([(b, d), (a, c)]) == [(a, d)]
    assert united([(a, d), (b, c)]) == [(a, d)]
    assert united([(b, c), (a, b)]) == [(a, b), (b, c)]
    assert united([(b, c), (a, b)], touching=True) == [(a, c)]
