"""What is offered: Cal.com's times or the working hours, without what is taken here."""

from collections.abc import Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin_app.db import Database
from admin_app.errors import DomainError, InvalidInput, NotFound, ProviderRefused, ProviderUnavailable
from admin_app.integrations.calendar_ports import CalcomAccounts, FreeTimes, Slot
from admin_app.integrations.registry import Providers
from admin_app.services.calendars import calcom_mapping
from admin_app.services.schedule import availability
from models import BookingStatus, Practitioner, SessionType
from tests.services.schedule_rows import add_booking, add_meeting, add_practitioner, add_session_type

MONDAY = datetime(2027, 1, 11, tzinfo=UTC)
NINE = MONDAY + timedelta(hours=8)  # in Oslo
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class FakeCalcom:
    """Offers what it is told to, or fails."""

    def __init__(self, *slots: Slot, error: DomainError | None = None, remembered: bool = False) -> None:
        self.free, self.error, self.remembered, self.asked = slots, error, remembered, []

    def slots(self, event_type_id: str, start: datetime, end: datetime) -> FreeTimes:
        self.asked.append(event_type_id)
        if self.error:
            raise self.error
        return FreeTimes(tuple(slot for slot in self.free if start <= slot.starts_at < end), self.remembered)


def providers(calcom: Any = None, **accounts: Any) -> Providers:
    return Providers(None, None, None, calcom=calcom, calcom_accounts=CalcomAccounts(**accounts))


@pytest.fixture
def ingrid(db: Database) -> Practitioner:
    return add_practitioner(db)


@pytest.fixture
def hour_long(db: Database, ingrid: Practitioner) -> SessionType:
    return add_session_type(db, ingrid)


def offer(db: Database, practitioner: Practitioner, *, calcom: Providers | None = None, **asked: Any):
    given = {"session_type_id": None, "since": MONDAY, "until": MONDAY + DAY, "now": MONDAY - DAY}
    return availability.find(db.read_only, calcom or providers(), practitioner_id=practitioner.id, **(given | asked))


def starts(slots: Sequence[Slot]) -> list[str]:
    return [f"{slot.starts_at:%H:%M}" for slot in slots]


def test_the_working_hours_in_slots_of_the_session(db, ingrid, hour_long):
    found = offer(db, ingrid)
    assert (found.source, found.time_zone) == ("fallback", "Europe/Oslo")
    assert starts(found.slots) == ["07:00", "08:00", "09:00", "10:00", "12:00", "13:00", "14:00", "15:00"]
    assert {slot.ends_at - slot.starts_at for slot in found.slots} == {HOUR}


def test_the_length_is_of_the_wished_session_or_the_shortest_that_is_offered(db, ingrid, hour_long):
    add_session_type(db, ingrid, title="Gone", minutes=5, active=False)
    assert offer(db, ingrid).slots[0].ends_at == MONDAY + 8 * HOUR
    long = add_session_type(db, ingrid, title="Long", minutes=90)
    assert starts(offer(db, ingrid, session_type_id=long.id).slots) == ["07:00", "08:30", "12:00", "13:30"]


def test_half_an_hour_without_any_session_type(db, ingrid):
    assert len(offer(db, ingrid).slots) == 16


def test_what_is_taken_is_left_out(db, ingrid, hour_long):
    other = add_session_type(db, add_practitioner(db, "other@practice.example"))
    add_booking(db, hour_long, NINE)
    add_booking(db, hour_long, NINE + HOUR, status=BookingStatus.PENDING, hold_expires_at=MONDAY)
    add_booking(db, hour_long, NINE + 2 * HOUR, status=BookingStatus.PENDING, hold_expires_at=MONDAY - 2 * DAY)
    add_booking(db, hour_long, NINE + 4 * HOUR, status=BookingStatus.CANCELED)
    add_booking(db, other, NINE + 5 * HOUR)
    add_meeting(db, ingrid, NINE + 6 * HOUR + timedelta(minutes=45))
    assert starts(offer(db, ingrid).slots) == ["07:00", "10:00", "12:00", "13:00"]


def test_what_is_past_is_left_out(db, ingrid, hour_long):
    now = MONDAY + 12 * HOUR + timedelta(minutes=1)
    assert starts(offer(db, ingrid, now=now).slots) == ["13:00", "14:00", "15:00"]


def test_slots_do_not_depend_on_the_question(db, ingrid, hour_long):
    asked = offer(db, ingrid, since=MONDAY + timedelta(hours=7, minutes=30), until=MONDAY + 9 * HOUR)
    assert starts(asked.slots) == ["08:00"]


def test_cal_com_says_what_is_free_and_here_is_known_what_is_taken(db, ingrid, hour_long):
    add_booking(db, hour_long, NINE)
    calcom = FakeCalcom(*(Slot(NINE + n * HOUR / 2, NINE + (n + 1) * HOUR / 2) for n in range(6)))
    mapped = add_practitioner(db, "mapped@practice.example", calcom_event_type_id="88")
    assert offer(db, mapped, calcom=providers(calcom)).source == "calcom"
    found = offer(db, ingrid, calcom=providers(calcom, event_types={ingrid.id: "77"}))
    assert (found.source, starts(found.slots)) == ("calcom", ["09:00", "09:30", "10:00"])
    assert calcom.asked == ["88", "77"]


def test_what_cal_com_said_some_minutes_ago(db, ingrid):
    calcom = FakeCalcom(Slot(NINE, NINE + HOUR / 2), remembered=True)
    found = offer(db, ingrid, calcom=providers(calcom, event_types={ingrid.id: "77"}))
    assert (found.source, starts(found.slots)) == ("cache", ["08:00"])


@pytest.mark.parametrize("error", [ProviderUnavailable("calcom"), ProviderRefused("calcom", "http_401")], ids=repr)
def test_whatever_cal_coms_trouble_is_the_working_hours_are_offered(db, ingrid, error):
    calcom = FakeCalcom(error=error)
    found = offer(db, ingrid, calcom=providers(calcom, event_types={ingrid.id: "77"}))
    assert (found.source, len(found.slots)) == ("fallback", 16)


def test_one_who_is_not_mapped_is_not_asked_about(db, ingrid):
    calcom = FakeCalcom()
    assert offer(db, ingrid, calcom=providers(calcom)).source == "fallback"
    assert calcom.asked == []


def test_cal_com_is_asked_outside_of_the_transaction(db, ingrid):
    opened: list[str] = []

    @contextmanager
    def read():
        with db.read_only() as session:
            opened.append("open")
            yield session
        opened.append("closed")

    class Watching(FakeCalcom):
        def slots(self, *asked: Any) -> FreeTimes:
            assert opened == ["open", "closed"]
            return super().slots(*asked)

    availability.find(
        read,
        providers(Watching(), event_types={ingrid.id: "77"}),
        practitioner_id=ingrid.id,
        session_type_id=None,
        since=MONDAY,
        until=MONDAY + DAY,
        now=MONDAY,
    )


def test_offered(db, ingrid, hour_long):
    def offered(starts_at: datetime, **asked: Any) -> bool:
        given = {"practitioner_id": ingrid.id, "session_type_id": hour_long.id, "now": MONDAY - DAY}
        return availability.offered(db.read_only, providers(), starts_at=starts_at, **(given | asked))

    assert offered(NINE)
    assert not offered(NINE + HOUR / 2)
    assert not offered(NINE, now=NINE + timedelta(seconds=1))
    add_booking(db, hour_long, NINE)
    assert not offered(NINE)
    assert offered(NINE + HOUR)


def test_a_question_must_make_sense(db, ingrid):
    others = add_session_type(db, add_practitioner(db, "other@practice.example"))
    for asked in (
        {"until": MONDAY},
        {"until": MONDAY - DAY},
        {"until": MONDAY + 32 * DAY},
        {"session_type_id": others.id},
        {"session_type_id": 999_999},
    ):
        with pytest.raises(InvalidInput) as refused:
            offer(db, ingrid, **asked)
        assert all(sentence.endswith(".") for sentence in refused.value.fields.values())
    with pytest.raises(NotFound):
        offer(db, add_practitioner(db, "gone@practice.example", active=False))


def test_who_is_listed(db, ingrid, hour_long):
    add_session_type(db, ingrid, title="Gone", active=False)
    short = add_session_type(db, ingrid, title="Short", minutes=15)
    add_practitioner(db, "gone@practice.example", active=False)
    with db.read_only() as session:
        ((person, kinds),) = availability.list_practitioners(session)
    assert person.id == ingrid.id
    assert [kind.id for kind in kinds] == [short.id, hour_long.id]


def test_whose_cal_com_booking_it_is(db, ingrid):
    other = add_practitioner(db, "other@practice.example", calcom_event_type_id="88", calcom_user_id="5")
    accounts = CalcomAccounts(user_ids={ingrid.id: "6"}, event_types={ingrid.id: "77", other.id: "77"})

    def whose(event_type: str | None = None, organizer: str | None = None, email: str | None = None) -> int | None:
        with db.read_only() as session:
            found = calcom_mapping.practitioner_of(
                session, accounts, event_type_id=event_type, organizer_id=organizer, organizer_email=email
            )
            return found and found.id

    assert whose("88") == whose("88", "6") == whose(None, "5") == other.id
    assert whose("77") == whose("1", "6") == whose(email="Ingrid@practice.example") == ingrid.id
    assert whose() is whose("1", "1", "x@example.com") is None
    add_practitioner(db, "twin@practice.example", calcom_event_type_id="88")
    assert whose("88", "5") is None
