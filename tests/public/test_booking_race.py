"""Many people want the same time at the same moment, over a real server and separate connections: one gets it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import httpx
import pytest
from sqlalchemy import func, select

from admin_app.db import Database, utc_now
from models import Booking, BookingStatus, Payment, SessionType
from tests.house import House, build, free_port, served, settings_for
from tests.public.test_bookings import ALWAYS, sessions_of, wish
from tests.public.test_claim_race import Answer, all_at_once
from tests.services.diary import offered, tomorrow
from tests.services.factories import OPERATOR

CROWD = 100


@pytest.fixture
def site(simulator: str, fresh_database_url: str) -> Iterator[tuple[House, str]]:
    """The product on a real port with the connection pool that it has in production."""
    db = Database.from_settings(settings_for(simulator, database_url=fresh_database_url))
    # As many at once as the shipped server lets through.
    house, port = build(simulator, db, web_requests_at_once=12), free_port()
    with served(house.app, port):
        yield house, f"http://127.0.0.1:{port}"
    db.dispose()


def booker(url: str, kind: SessionType, starts_at: datetime, who: int) -> Callable[[], Answer]:
    def post() -> Answer:
        wanted = wish(kind, starts_at, client_email=f"client{who}@example.com")
        answer = httpx.post(f"{url}/api/bookings", json=wanted, timeout=120, trust_env=False)
        told = answer.json()
        return answer.status_code, told.get("code") or told["booking"]["status"]

    return post


def test_one_of_a_hundred_gets_the_time(site: tuple[House, str]) -> None:
    house, url = site
    kind = offered(house.db, minutes=60, working_hours=ALWAYS)
    starts = tomorrow(utc_now())
    answers = all_at_once([booker(url, kind, starts, who) for who in range(CROWD)])
    assert answers == {(201, "pending"): 1, (409, "slot_taken"): CROWD - 1}
    (booking,) = house.rows(select(Booking))
    assert [session["id"] for session in sessions_of(house, booking)] == [booking.stripe_checkout_session_id]
    assert house.rows(select(func.count()).select_from(Payment)) == [1]


def test_times_that_overlap_are_one_time(site: tuple[House, str]) -> None:
    """Two session types of one practitioner, one twice as long: no two of the bookings touch."""
    house, url = site
    short = offered(house.db, minutes=30, price=0, working_hours=ALWAYS)
    with house.db.unit_of_work(OPERATOR) as ctx:
        long = SessionType(practitioner_id=short.practitioner_id, title="Long", minutes=60, price_amount=0)
        ctx.session.add(long)
        ctx.session.flush()
        ctx.session.refresh(long)
    starts = tomorrow(utc_now())
    wanted = [(short, starts), (short, starts + timedelta(minutes=30)), (long, starts)] * 12
    answers = all_at_once([booker(url, kind, at, who) for who, (kind, at) in enumerate(wanted)])
    assert set(answers) <= {(201, "confirmed"), (409, "slot_taken")}
    rows = house.rows(select(Booking).where(Booking.status == BookingStatus.CONFIRMED).order_by(Booking.starts_at))
    assert len(rows) == answers[(201, "confirmed")] in (1, 2)
    assert all(earlier.ends_at <= later.starts_at for earlier, later in pairwise(rows))
