"""Working hours, as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_app.services.schedule import working_hours
from admin_app.services.schedule.working_hours import NotHours


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("", ""),
        ("  ", ""),
        ("08:00-12:00, 13:00-17:00", "08:00-12:00, 13:00-17:00"),
        ("13:00-17:00,8-12", "08:00-12:00, 13:00-17:00"),
        ("8.30 – 12 and 13 to 17:15", "08:30-12:00, 13:00-17:15"),
        ("08:00-12:00; 12:00-13:00", "08:00-12:00, 12:00-13:00"),
        ("0:00-23:59", "00:00-23:59"),
        ("00:00-24:00", "00:00-24:00"),
        ("8-24", "08:00-24:00"),
        ("08:00-00:00", "08:00-24:00"),
        ("22:00-02:00", "22:00-02:00"),
        ("20-8, 9 to 12", "09:00-12:00, 20:00-08:00"),
    ],
)
def test_hours_are_read_as_people_write_them(written: str, kept: str) -> None:
    assert working_hours.write(working_hours.read(written)) == kept


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("morning", "write hours like"),
        ("08:00", "write hours like"),
        ("12:00-08:00", "ends before it begins"),
        ("09:00-09:00", "ends before it begins"),
        ("00:00-00:00", "ends before it begins"),
        ("08:00-24:01", "goes from 00:00 to 24:00"),
        ("24:00-02:00", "goes from 00:00 to 24:00"),
        ("08:60-09:00", "goes from 00:00 to 24:00"),
        ("17:00-09:00", "past midnight it may be at most 12 hours"),
        ("20:00-02:00, 22:00-23:00", "20:00-02:00 and 22:00-23:00 overlap"),
        ("08:00-12:00, 11:59-13:00", "08:00-12:00 and 11:59-13:00 overlap"),
        ("٠٨:٠٠-١٢:٠٠", "write hours like"),
        (", ".join(f"{hour}:00-{hour}:30" for hour in range(1, 8)), "at most 6"),
    ],
)
def test_what_cannot_be_hours_says_why(written: str, why: str) -> None:
    with pytest.raises(NotHours, match=why):
        working_hours.read(written)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_reading_again_changes_nothing(text: str) -> None:
    try:
        spans = working_hours.read(text)
    except NotHours:
        return
    assert working_hours.read(working_hours.write(spans)) == spans
    assert all(opens < closes for opens, closes in working_hours.of_day({"mon": spans}, 0))
    assert len(working_hours.of_day({"mon": spans}, 0)) == len(spans)


def test_a_day_in_minutes_and_the_week_in_words() -> None:
    kept = {"mon": [["08:00", "12:00"], ["13:00", "17:30"]]}
    assert working_hours.of_day(kept, 0) == [(480, 720), (780, 1050)]
    assert working_hours.of_day(kept, 6) == []
    assert working_hours.shown(kept)["Monday"] == "08:00–12:00, 13:00–17:30"
    assert working_hours.shown(kept)["Sunday"] == "off"


def test_what_goes_past_midnight_ends_after_more_than_a_day() -> None:
    kept = {"sat": [["22:00", "02:00"], ["08:00", "24:00"]]}
    assert working_hours.of_day(kept, 5) == [(1320, 1560), (480, 1440)]
    assert working_hours.shown(kept)["Saturday"] == "22:00–02:00, 08:00–24:00"


@pytest.mark.parametrize(
    "by_hand", [7, "08:00", [None], [["12:00", "08:00"]], [["08:00", "25:00"]], [[8, 12]]], ids=repr
)
def test_what_came_in_by_hand_and_cannot_be_read_is_shown_as_what_it_is_a_day_off(by_hand: object) -> None:
    assert working_hours.shown({"mon": by_hand})["Monday"] == "off"


def test_hours_that_go_on_into_those_of_the_next_day_clash_on_both() -> None:
    assert working_hours.clashes({"sun": [["22:00", "06:00"]], "mon": [["06:00", "12:00"]]}) == {}
    assert working_hours.clashes({"mon": [["22:00", "24:00"]], "tue": [["00:00", "12:00"]]}) == {}
    assert working_hours.clashes({"sun": [["22:00", "06:00"]], "mon": [["05:59", "12:00"]]}) == {
        "sun": "the hours past midnight go on into those of Monday",
        "mon": "the hours of Sunday go on into these past midnight",
    }
