"""The week calendar: whose week, in whose zone, what stands where, and how often it asks the database."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from bs4 import BeautifulSoup

from admin_app.db import Database
from admin_app.services.schedule import working_time
from admin_app.services.schedule.week_calendar import Entry
from models import Booking, BookingStatus, Meeting, Practitioner, Role, SessionType
from tests.console.conftest import SETUP, counted_queries
from tests.console.page_checks import CheckedClient
from views.console.schedule import week as weeks
from views.console.schedule.calendar import STATES

ClientFor = Callable[[Role], CheckedClient]
MONDAY = date(2026, 11, 23)
OSLO = ZoneInfo("Europe/Oslo")
STYLES = Path(__file__).resolve().parents[3] / "static/console/calendar.css"


def at(day: int, hour: int, minute: int = 0, zone: ZoneInfo = OSLO) -> datetime:
    """A moment of the week, as the practitioner's clock shows it."""
    there = datetime.combine(MONDAY + timedelta(days=day), datetime.min.time(), zone)
    return there.replace(hour=hour, minute=minute).astimezone(UTC)


def entry(starts_at: datetime, minutes: int = 60, number: int = 1) -> Entry:
    ends_at = starts_at + timedelta(minutes=minutes)
    return Entry("booking", number, starts_at, ends_at, BookingStatus.CONFIRMED, False, "Ann", "Talk")


@pytest.fixture
def ingrid(db: Database) -> int:
    with db.unit_of_work(SETUP) as ctx:
        person = Practitioner(
            name="Dr. Ingrid Solheim",
            email="ingrid@practice.example",
            time_zone="Europe/Oslo",
            working_hours={"mon": [["08:00", "12:00"], ["13:00", "17:00"]], "tue": [["10:00", "20:00"]]},
        )
        ctx.session.add(person)
        ctx.session.flush()
        kind = SessionType(practitioner_id=person.id, title="Follow-up", minutes=45)
        ctx.session.add(kind)
        ctx.session.flush()
        past = datetime(2026, 1, 1, tzinfo=UTC)
        for number, (status, hold) in enumerate(
            [
                (BookingStatus.CONFIRMED, None),
                (BookingStatus.COMPLETED, None),
                (BookingStatus.NO_SHOW, None),
                (BookingStatus.CANCELED, None),
                (BookingStatus.REFUNDED, None),
                (BookingStatus.PENDING, past),
                (BookingStatus.PENDING, datetime(2999, 1, 1, tzinfo=UTC)),
            ]
        ):
            starts_at = at(0, 8 + number)
            ctx.session.add(
                Booking(
                    practitioner_id=person.id,
                    session_type_id=kind.id,
                    client_name=f"Client {status.value} {number}",
                    client_email="client@example.com",
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(minutes=45),
                    status=status,
                    hold_expires_at=hold,
                )
            )
        ctx.session.add(
            Meeting(
                practitioner_id=person.id,
                guest_name="Guest",
                starts_at=at(2, 9, 10),
                ends_at=at(2, 9, 40),
                status=BookingStatus.CONFIRMED,
            )
        )
        return person.id


def blocks_of(html: str) -> dict[str, str]:
    """What each block says, by its address."""
    page = BeautifulSoup(html, "html5lib")
    return {str(link["href"]): " ".join(link.get_text(" ").split()) for link in page.select("a.block")}


def test_everything_that_takes_time_is_a_link_with_its_state_in_words(
    ingrid: int, client_for: ClientFor, db: Database
) -> None:
    html = client_for(Role.SUPPORT).get(f"/admin/calendar/?practitioner={ingrid}&week=2026-W48").text
    said = sorted(blocks_of(html).values())
    assert len(said) == 5
    assert said[0] == "08:00–08:45 Client confirmed 0 Follow-up , confirmed"
    assert any("held" in text for text in said)
    assert any("no-show" in text for text in said)
    assert "09:10–09:40 Guest Meeting , confirmed" in said
    assert "Show 3 canceled or refunded" in html
    assert "1 completed, 2 confirmed, 1 held, 1 no-show" in html
    everything = client_for(Role.SUPPORT).get(f"/admin/calendar/?practitioner={ingrid}&week=2026-W48&show=all").text
    assert len(blocks_of(everything)) == 8
    assert "hold lapsed" in everything


def test_each_day_is_a_list_in_order_of_time(ingrid: int, client_for: ClientFor) -> None:
    html = client_for(Role.SUPPORT).get(f"/admin/calendar/?practitioner={ingrid}&week=2026-W48").text
    page = BeautifulSoup(html, "html5lib")
    days = page.select("section.week-day")
    headings = [heading.get_text(" ", strip=True) for heading in page.select("section.week-day h2")]
    assert [heading.removesuffix(" today") for heading in headings][:2] == ["Mon 23 Nov", "Tue 24 Nov"]
    assert len(days) == 7
    times = [link.get_text(" ", strip=True)[:5] for link in days[0].select("ol a")]
    assert times == sorted(times)
    assert len(times) == 4
    assert "Nothing booked" in days[1].get_text()
    assert "10:00–20:00" in days[1].get_text()


def test_the_zone_is_the_practitioners_and_ones_own_is_offered(ingrid: int, client_for: ClientFor) -> None:
    client = client_for(Role.SUPPORT)  # in Amsterdam, whose clock is Oslo's
    theirs = client.get(f"/admin/calendar/?practitioner={ingrid}&week=2026-W48").text
    assert "Times in Europe/Oslo" in theirs
    assert "Show in Europe/Amsterdam" in theirs
    own = client.get(f"/admin/calendar/?practitioner={ingrid}&week=2026-W48&zone=mine").text
    assert "Times in Europe/Amsterdam" in own
    assert "Show in Europe/Oslo" in own


def test_a_page_asks_twice_for_the_week_and_a_fixed_few_times_more(
    ingrid: int, client_for: ClientFor, db: Database
) -> None:
    client = client_for(Role.SUPPORT)
    for query in ("", f"?practitioner={ingrid}&week=2026-W48&show=all"):
        with counted_queries(db) as statements:
            client.get(f"/admin/calendar/{query}")
        # Who is asking, whose week it is, whom one may choose, the bookings, the meetings.
        assert len(statements) == 5, statements


@pytest.mark.parametrize("week", ["2026-W54", "2026-W00", "0000-W01", "9999-W52", "yesterday", "2026-W48x", "٢٠٢٦-W48"])
def test_a_week_that_is_none_is_the_current_one(ingrid: int, client_for: ClientFor, week: str) -> None:
    answer = client_for(Role.SUPPORT).get(f"/admin/calendar/?practitioner={ingrid}&week={week}")
    assert answer.status_code == 200
    assert "That is no week of the calendar" in answer.text


@pytest.mark.parametrize("who", ["0", "999999", "-1", "x", "99999999999999999999"])
def test_a_practitioner_who_is_not_there(ingrid: int, client_for: ClientFor, who: str) -> None:
    assert client_for(Role.SUPPORT).get(f"/admin/calendar/?practitioner={who}").status_code == 404


def test_without_practitioners_there_is_a_way_to_them(client_for: ClientFor) -> None:
    assert "No practitioner yet" in client_for(Role.OPS).get("/admin/calendar/").text


def test_the_previous_and_the_next_week_keep_what_is_chosen(ingrid: int, client_for: ClientFor) -> None:
    html = client_for(Role.OPS).get(f"/admin/calendar/?practitioner={ingrid}&week=2027-W01&zone=mine&show=all").text
    page = BeautifulSoup(html, "html5lib")
    kept = f"/admin/calendar/?practitioner={ingrid}&week={{}}&zone=mine&show=all"
    for rel, week in (("prev", "2026-W53"), ("next", "2027-W02")):
        link = page.select_one(f'main a[rel="{rel}"]')
        assert link
        assert link["href"] == kept.format(week)


# -- the layout ----------------------------------------------------------------------------------------------------


def test_what_overlaps_stands_side_by_side_and_only_that() -> None:
    found = [entry(at(0, 9)), entry(at(0, 9, 30)), entry(at(0, 10)), entry(at(0, 11))]
    week = weeks.lay_out(MONDAY, OSLO, found, [], at(0, 0))
    assert [(block.lane, block.lanes) for block in week.days[0].blocks] == [(1, 2), (2, 2), (1, 2), (1, 1)]


def test_only_the_hours_in_which_something_is_are_shown() -> None:
    assert weeks.lay_out(MONDAY, OSLO, [], [], at(0, 0)).first_hour == 8
    week = weeks.lay_out(MONDAY, OSLO, [entry(at(3, 5, 20))], [(at(1, 10), at(1, 20))], at(0, 0))
    assert (week.first_hour, week.last_hour) == (5, 20)
    assert (week.days[3].blocks[0].place.row, week.days[3].blocks[0].place.rows) == (4, 12)


def test_what_goes_past_midnight_goes_on_the_next_day() -> None:
    week = weeks.lay_out(MONDAY, OSLO, [entry(at(0, 23, 30))], [], at(0, 0))
    first, second = week.days[0].blocks[0], week.days[1].blocks[0]
    assert (first.place.rows, first.continued) == (6, False)
    assert (second.place.row, second.place.rows, second.continued) == (0, 6, True)
    assert (week.first_hour, week.last_hour) == (0, 24)


def test_working_hours_past_midnight_are_shown_in_both_days() -> None:
    hours = {"mon": [["22:00", "02:00"]], "sun": [["20:00", "24:00"]]}
    works = working_time.spans(hours, OSLO, at(0, 0), at(7, 0))
    week = weeks.lay_out(MONDAY, OSLO, [], works, at(0, 0))
    assert [day.hours for day in week.days] == [("22:00–24:00",), ("00:00–02:00",), *[()] * 4, ("20:00–24:00",)]
    # The night in which the clocks are set back: what is worked twice stands where the clock shows it.
    october = date(2026, 10, 19)
    begins = datetime.combine(october, datetime.min.time(), OSLO).astimezone(UTC)
    works = working_time.spans({"sat": [["23:00", "04:00"]]}, OSLO, begins, begins + timedelta(days=8))
    week = weeks.lay_out(october, OSLO, [], works, begins)
    assert [day.hours for day in week.days][5:] == [("23:00–24:00",), ("00:00–04:00",)]


def test_midnight_itself_belongs_to_one_day() -> None:
    week = weeks.lay_out(MONDAY, OSLO, [entry(at(0, 23))], [], at(0, 0))
    assert len(week.days[0].blocks) == 1
    assert week.days[1].blocks == ()


@pytest.mark.parametrize(("monday", "at_utc"), [(date(2026, 10, 19), 0), (date(2026, 3, 23), 0)])
def test_on_days_when_the_clock_changes_nothing_is_lost(monday: date, at_utc: int) -> None:
    sunday = datetime.combine(monday + timedelta(days=6), datetime.min.time(), UTC)
    found = [entry(sunday + timedelta(minutes=30 * number), 30, number) for number in range(48)]
    week = weeks.lay_out(monday, OSLO, found, [], sunday)
    shown = {block.entry.number for day in week.days for block in day.blocks}
    # The last two half hours of the UTC day are Monday's in Oslo.
    assert set(range(44)) <= shown
    assert all(block.place.rows >= 1 for day in week.days for block in day.blocks)


def test_no_class_of_the_grid_is_missing() -> None:
    css = STYLES.read_text()
    fives = set(range(60 // weeks.STEP))
    for name, numbers in {"hour": set(range(24)), "hours": set(range(25)), "five": fives, "fives": fives}.items():
        assert {*map(int, re.findall(rf"\.{name}-(\d+) {{ --{name}: \1; }}", css))} == numbers
    assert {f"lane-{lane}" for lane in range(2, weeks.MOST_LANES + 1)} <= set(re.findall(r"lane-\d", css))
    assert all(f".block-{state}" in css for state in STATES)
