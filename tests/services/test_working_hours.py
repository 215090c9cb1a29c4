"""Working hours, as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_app.services import working_hours
from admin_app.services.working_hours import NotHours


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
        ("08:00-24:00", "the latest is 23:59"),
        ("08:60-09:00", "the latest is 23:59"),
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
    assert all(start < end for start, end in spans)


def test_a_day_in_minutes_and_the_week_in_words() -> None:
    kept = {"mon": [["08:00", "12:00"], ["13:00", "17:30"]]}
    assert working_hours.of_day(kept, 0) == [(480, 720), (780, 1050)]
    assert working_hours.of_day(kept, 6) == []
    assert working_hours.shown(kept)["Monday"] == "08:00–12:00, 13:00–17:30"
    assert working_hours.shown(kept)["Sunday"] == "off"
