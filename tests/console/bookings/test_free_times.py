"""Another time for an appointment, by the page: a free one chosen by its link, or one that is typed."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from bs4 import BeautifulSoup

import models as m
from admin_app.db import Database
from models import BookingStatus, Role
from tests.console.conftest import SETUP
from tests.console.diary import Diary, soon, story_of
from tests.console.forms import plan_of
from tests.console.page_checks import CheckedClient

ClientFor = Callable[[Role], CheckedClient]


@pytest.fixture
def diary(db: Database) -> Diary:
    with db.unit_of_work(SETUP) as ctx:
        return Diary(db, ctx.session)


def test_a_free_time_is_chosen_by_its_link(diary: Diary, db: Database, client_for: ClientFor) -> None:
    starts_at = soon(db)
    key = diary.book(starts_at, BookingStatus.CONFIRMED)
    other = diary.book(starts_at.replace(hour=11), BookingStatus.CONFIRMED)
    client = client_for(Role.OPS)
    address = f"/admin/bookings/{key}/reschedule"
    page = BeautifulSoup(client.get(address).text, "html5lib")
    links = {str(link["href"]) for link in page.select(".free a")}
    day = starts_at.date().isoformat()
    assert any(f"starts_at={day}T10%3A00%3A00Z" in link for link in links)
    taken = {f"starts_at={day}T{hour:02}%3A00%3A00Z" for hour in (9, 11)}
    assert not any(mark in link for link in links for mark in taken), "its own time and the other's are not free"
    chosen = next(link for link in links if f"{day}T10" in link)
    form = plan_of(client, address + chosen)
    answer = client.post(address, data=form | {"reason": "She asked"})
    assert answer.status_code == 303
    told = story_of(client.get(answer.location).text)
    assert any(item.startswith("Moved to another time by ops@example.com") and "Starts" in item for item in told)
    with db.read_only() as session:
        assert session.get_one(m.Booking, key).starts_at == starts_at.replace(hour=10)
        assert session.get_one(m.Booking, other).starts_at == starts_at.replace(hour=11)


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("starts_at=tomorrow", 422, "This is no time."),
        ("day=2026-13-01&time=10:00", 422, "Write the day like"),
        ("day=2027-01-04&time=25:00", 422, "Write the time like 14:30."),
        ("day=2027-01-04", 422, "Write the time like 14:30."),
        ("starts_at=2020-01-01T10:00:00Z", 422, "Choose a time that is still to come"),
        ("since=nonsense", 200, "Free times"),
    ],
)
def test_a_time_that_is_none_is_refused_at_its_field(
    diary: Diary, db: Database, client_for: ClientFor, query: str, status: int, sentence: str
) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    answer = client_for(Role.OPS).get(f"/admin/bookings/{key}/reschedule?{query}")
    assert answer.status_code == status
    assert sentence in answer.text


def test_a_time_that_the_clocks_skip_is_refused(diary: Diary, db: Database, client_for: ClientFor) -> None:
    with db.unit_of_work(SETUP) as ctx:
        ctx.session.get_one(m.Practitioner, diary.person).time_zone = "Europe/Oslo"
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    answer = client_for(Role.OPS).get(f"/admin/bookings/{key}/reschedule?day=2027-03-28&time=02:30")
    assert answer.status_code == 422
    assert "the clocks of Europe/Oslo skip this time" in answer.text


def test_a_time_that_the_clocks_show_twice_is_asked_for_as_other_forms_ask(
    diary: Diary, db: Database, client_for: ClientFor
) -> None:
    db.clock = lambda: datetime(2027, 10, 20, 12, tzinfo=UTC)
    with db.unit_of_work(SETUP) as ctx:
        ctx.session.get_one(m.Practitioner, diary.person).time_zone = "Europe/Oslo"
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    client = client_for(Role.OPS)
    address = f"/admin/bookings/{key}/reschedule"
    asked = client.get(f"{address}?day=2027-10-31&time=02:30")
    assert asked.status_code == 422
    assert "the clocks of Europe/Oslo show this time twice" in asked.text
    assert 'name="time_which"' in asked.text
    form = plan_of(client, f"{address}?day=2027-10-31&time=02:30&time_which=second")
    assert client.post(address, data=form | {"reason": "She asked"}).status_code == 303
    with db.read_only() as session:
        assert session.get_one(m.Booking, key).starts_at == datetime(2027, 10, 31, 1, 30, tzinfo=UTC)


def test_free_times_that_the_clocks_show_twice_are_told_apart(
    diary: Diary, db: Database, client_for: ClientFor
) -> None:
    db.clock = lambda: datetime(2027, 10, 20, 12, tzinfo=UTC)
    with db.unit_of_work(SETUP) as ctx:
        person = ctx.session.get_one(m.Practitioner, diary.person)
        person.time_zone, person.working_hours = "Europe/Oslo", {"sun": [["01:00", "04:00"]]}
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    page = BeautifulSoup(
        client_for(Role.OPS).get(f"/admin/bookings/{key}/reschedule?since=2027-10-31").text, "html5lib"
    )
    offered = [link.get_text().split(" ", 3)[-1] for link in page.select(".free a")]
    assert offered == ["01:00", "02:00 CEST", "02:00 CET", "03:00"]


def test_a_time_that_somebody_took_is_refused_and_others_are_offered(
    diary: Diary, db: Database, client_for: ClientFor
) -> None:
    starts_at = soon(db)
    key = diary.book(starts_at, BookingStatus.CONFIRMED)
    client = client_for(Role.OPS)
    wanted = starts_at.replace(hour=14)
    address = f"/admin/bookings/{key}/reschedule"
    form = plan_of(client, f"{address}?day={wanted:%Y-%m-%d}&time=14:00")
    diary.book(wanted, BookingStatus.CONFIRMED)
    answer = client.post(address, data=form | {"reason": "She asked"})
    assert answer.status_code == 409
    assert "This time is not free any more" in answer.text
    assert "Free times" in answer.text
