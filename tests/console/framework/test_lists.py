"""Lists: pages by position in both directions, search, filters, sizes, and that nothing of it scans a table."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bs4 import BeautifulSoup
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from admin_app.context import Staff
from admin_app.db import Database
from models import Booking, BookingStatus, Practitioner, Role, SessionType, User, WebhookEvent
from tests.console.conftest import SETUP, counted_queries
from tests.console.page_checks import CheckedClient
from views.console.bookings.bookings import BookingsView
from views.console.framework import estimates, listing
from views.console.framework.columns import Column, time_text
from views.console.framework.current_staff import Viewer
from views.console.framework.keyset import BadCursor, Cursor, pack, unpack
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.listing import ListQuery, Page, fetch_page, read_query
from views.console.framework.searching import escaped
from views.console.pages import SECTIONS

ClientFor = Callable[[Role], CheckedClient]
VIEWER = Viewer(Staff(1, "kim@example.com", Role.ADMIN), "Kim", ZoneInfo("Europe/Amsterdam"))
BOOKINGS = BookingsView.listing
# Tens of rows for good: reading them whole is the cheapest that can be done.
SMALL = {"practitioners", "session-types", "staff"}
START = datetime(2026, 1, 5, 9, tzinfo=UTC)

USERS_BY_NAME = ListSpec(
    section="users",
    title="Users",
    one="user",
    model=User,
    columns=(Column("Id", User.id), Column("Name", User.name)),
    sorts={"name": Sort("Name", User.name), "id": Sort("Id", User.id)},
)


@pytest.fixture
def session(db: Database) -> Iterator[Session]:
    estimates.forget()
    with db.unit_of_work(SETUP) as ctx:
        yield ctx.session


def add_bookings(session: Session, count: int, *, email: str = "client.{}@example.com") -> None:
    """Bookings of two practitioners, so that two and two begin at the same time."""
    people = [Practitioner(name=f"Dr. {name}", email=f"{name}@clinic.example") for name in ("Ada", "Bo")]
    session.add_all(people)
    session.flush()
    kinds = [SessionType(practitioner_id=person.id, title="Intake", minutes=50) for person in people]
    session.add_all(kinds)
    session.flush()
    session.add_all(
        Booking(
            practitioner_id=people[number % 2].id,
            session_type_id=kinds[number % 2].id,
            client_name=f"Client {number}",
            client_email=email.format(number),
            starts_at=START + timedelta(hours=number // 2),
            ends_at=START + timedelta(hours=number // 2, minutes=50),
            status=list(BookingStatus)[number % 3],
        )
        for number in range(count)
    )
    session.flush()


def page_of(session: Session, spec: ListSpec, address: str) -> tuple[ListQuery, Page]:
    query = address.partition("?")[2]
    args: MultiDict[str, str] = MultiDict(re.findall(r"([^&=]+)=([^&]*)", query))
    query = read_query(spec, args, VIEWER)
    return query, fetch_page(session, query, VIEWER)


def walk(session: Session, spec: ListSpec, address: str, step: str) -> list[list[str]]:
    """The first cells of each page, following one kind of link to its end."""
    pages = []
    following: str | None = address
    while following is not None:
        _list_query, page = page_of(session, spec, following)
        pages.append([row[0].text for row in page.rows])
        following = getattr(page, step)
        assert len(pages) < 50
    return pages


# -- positions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["", "sort=starts", "sort=id", "sort=-id"])
def test_following_next_shows_every_row_once_and_previous_leads_back(session: Session, sort: str) -> None:
    add_bookings(session, 113)
    first = f"/admin/bookings/?size=25&{sort}"
    forth = walk(session, BOOKINGS, first, "next")
    assert [len(rows) for rows in forth] == [25, 25, 25, 25, 13]
    everything = [name for rows in forth for name in rows]
    assert len(set(everything)) == 113
    back = walk(session, BOOKINGS, f"{first}&last=1", "previous")
    # From the end, the pages lie differently; the order is the same and the first page is whole.
    assert back[-1] == forth[0]
    assert back[0] == everything[-25:]


def test_the_neighbours_of_a_page_are_linked_only_where_there_are_rows(session: Session) -> None:
    add_bookings(session, 60)
    _list_query, page = page_of(session, BOOKINGS, "?size=25")
    assert (page.first, page.previous) == (None, None)
    assert page.next
    assert page.last
    _list_query, last = page_of(session, BOOKINGS, page.last)
    assert (last.next, last.last) == (None, None)
    assert last.previous
    assert last.first == "/admin/bookings/?size=25"


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("step", ["next", "previous"])
def test_rows_without_a_value_come_last_in_both_directions(session: Session, sign: str, step: str) -> None:
    names = [None if number % 3 == 0 else f"name {number % 7}" for number in range(90)]
    session.add_all(User(open_id=f"user_{number}", name=name) for number, name in enumerate(names))
    session.flush()
    start = f"?size=25&sort={sign}name" + ("&last=1" if step == "previous" else "")
    pages = walk(session, USERS_BY_NAME, start, step)
    rows = [row for page in (pages if step == "next" else reversed(pages)) for row in page]
    kept = dict.fromkeys(rows)
    assert len(kept) == 90
    if step == "next":
        assert len(rows) == 90
        found = {user.id: user.name for user in session.query(User)}
        shown = [found[int(key.replace(",", ""))] for key in rows]
        assert shown[60:] == [None] * 30
        assert [name for name in shown if name] == sorted((name for name in names if name), reverse=sign == "-")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.text(max_size=80), st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_a_position_that_was_not_made_here_is_never_believed(text: str) -> None:
    with pytest.raises(BadCursor):
        unpack(text, "starts", datetime, int, nullable=False)


@pytest.mark.parametrize(
    "parts",
    [
        ["id", "2026-01-01T00:00:00+00:00", 1],
        ["starts", "2026-01-01T00:00:00", 1],
        ["starts", "2026-01-01T00:00:00+00:00", "1"],
        ["starts", "2026-01-01T00:00:00+00:00", True],
        ["starts", "2026-01-01T00:00:00+00:00", 2**63],
        ["starts", None, 1],
        ["starts", 5, 1],
        {"starts": 1},
        [],
    ],
)
def test_a_position_is_checked_value_by_value(parts: Any) -> None:
    packed = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
    with pytest.raises(BadCursor):
        unpack(packed, "starts", datetime, int, nullable=False)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_position_survives_its_address(moment: datetime, key: int) -> None:
    assert unpack(pack("starts", Cursor(moment, key)), "starts", datetime, int, nullable=False) == Cursor(moment, key)


def test_a_position_of_nowhere_is_the_first_page_and_says_so(client_for: ClientFor) -> None:
    response = client_for(Role.SUPPORT).get("/admin/bookings/?after=nonsense")
    assert listing.UNKNOWN_POSITION in response.text


# -- what is asked for -------------------------------------------------------------------------------------------------


def test_a_whole_address_finds_its_owner_whatever_the_case(session: Session) -> None:
    add_bookings(session, 30)
    query, page = page_of(session, BOOKINGS, "?q=CLIENT.7@Example.COM")
    assert [row[0].text for row in page.rows] == ["Client 7"]
    assert query.notices == ()


def test_an_address_that_nobody_has_is_looked_for_as_a_part(session: Session) -> None:
    add_bookings(session, 12, email="x{}.client@example.com")
    _list_query, page = page_of(session, BOOKINGS, "?q=1.client@example.com")
    assert {row[0].text for row in page.rows} == {"Client 1", "Client 11"}


def test_a_part_is_found_anywhere_and_the_signs_of_like_mean_themselves(session: Session) -> None:
    add_bookings(session, 4, email="50%_off{}@example.com")
    assert len(page_of(session, BOOKINGS, "?q=0%_O")[1].rows) == 4
    assert page_of(session, BOOKINGS, "?q=0__off")[1].rows == []
    assert page_of(session, BOOKINGS, "?q=5%%f")[1].rows == []
    assert escaped("a\\b%c_d") == "a\\\\b\\%c\\_d"


def test_a_number_is_a_key(session: Session) -> None:
    add_bookings(session, 3)
    key = session.query(Booking.id).order_by(Booking.id).first()
    assert key
    assert [row[0].text for row in page_of(session, BOOKINGS, f"?q={key[0]}")[1].rows] == ["Client 0"]


def test_two_letters_are_too_few(session: Session) -> None:
    query, page = page_of(session, BOOKINGS, "?q=ab")
    assert (query.notices, page.rows) == ((listing.TOO_SHORT,), [])


def test_filters_combine_and_days_are_days_of_the_viewer(session: Session) -> None:
    add_bookings(session, 60)
    _list_query, page = page_of(session, BOOKINGS, "?status=pending&status=canceled&size=100")
    assert {row[5].text for row in page.rows} == {"pending", "canceled"}
    _list_query, day = page_of(session, BOOKINGS, "?starts_from=2026-01-05&starts_to=2026-01-05&size=100")
    # 9 to 23 o'clock in UTC begins at ten and ends at midnight in Amsterdam.
    assert next(row[2].text for row in day.rows) == "05 Jan 2026 23:00"
    assert [row[2].text for row in day.rows][-1] == "05 Jan 2026 10:00"
    _list_query, both = page_of(session, BOOKINGS, "?starts_to=2026-01-05&status=pending&size=100")
    assert 0 < len(both.rows) < len(day.rows)


def test_the_address_keeps_filter_sort_and_size_and_drops_the_position(session: Session) -> None:
    add_bookings(session, 60)
    address = "?status=pending&status=confirmed&sort=starts&size=25"
    query, page = page_of(session, BOOKINGS, address)
    assert query.url() == "/admin/bookings/?status=pending&status=confirmed&sort=starts&size=25"
    assert page.next
    assert page.next.startswith(f"{query.url()}&after=")
    follower, _page = page_of(session, BOOKINGS, page.next)
    assert follower.url() == query.url()
    assert query.without("status", "pending") == "/admin/bookings/?status=confirmed&sort=starts&size=25"


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_nothing_yet_and_nothing_found_are_told_apart(client_for: ClientFor, db: Database) -> None:
    client = client_for(Role.SUPPORT)
    assert "No bookings yet" in client.get("/admin/bookings/").text
    with db.unit_of_work(SETUP) as ctx:
        add_bookings(ctx.session, 2)
    assert "Nothing matches" in client.get("/admin/bookings/?status=refunded").text
    assert "Nothing matches" in client.get("/admin/bookings/?q=nobody").text


def test_a_full_page_is_small_and_names_its_zone_and_its_order(client_for: ClientFor, db: Database) -> None:
    with db.unit_of_work(SETUP) as ctx:
        add_bookings(ctx.session, 120)
    client = client_for(Role.SUPPORT)
    client.get("/admin/bookings/")
    with counted_queries(db) as statements:
        response = client.get("/admin/bookings/")
    # Who is asking, the rows, and how many there are.
    assert len(statements) <= 3, statements
    assert len(response.data) < 60 * 1024
    page = BeautifulSoup(response.text, "html5lib")
    assert len(page.select("tbody tr")) == 50
    assert "Times in Europe/Amsterdam" in response.text
    assert "120 bookings" in response.text
    sorted_heads = page.select("th[aria-sort]")
    assert [(head.get_text(strip=True), head["aria-sort"]) for head in sorted_heads] == [("Starts", "descending")]
    assert sorted_heads[0].a
    assert sorted_heads[0].a["href"] == "/admin/bookings/?sort=starts"


def test_the_size_of_a_large_list_is_an_estimate_and_says_so(session: Session) -> None:
    add_bookings(session, 120)
    # As if each row took as long to read as ten thousand do.
    session.execute(text("SET LOCAL cpu_tuple_cost = 100"))
    _list_query, page = page_of(session, BOOKINGS, "")
    assert re.fullmatch(r"about [\d,]+", page.total)
    assert estimates.rounded(1_234_567) == 1_200_000
    assert estimates.rounded(87) == 87


# -- nothing scans -----------------------------------------------------------------------------------------------------


def plan_of(session: Session, query: ListQuery, mode: Any) -> str:
    statement, parameters = listing.statement_of(query, mode)
    session.execute(text("SET LOCAL enable_seqscan = off"))
    lines = session.execute(estimates.Explain(statement), parameters).scalar_one()
    return json.dumps(lines)


@pytest.mark.parametrize("view", SECTIONS, ids=lambda view: view.listing.section)
def test_every_order_is_read_from_an_index(view: Any, session: Session) -> None:
    spec: ListSpec = view.listing
    session.execute(text("SET LOCAL enable_sort = off"))
    for name in spec.sorts:
        for sign in ("", "-"):
            query = read_query(spec, MultiDict({"sort": f"{sign}{name}"}), VIEWER)
            plan = plan_of(session, query, None)
            # The join's own order of fifty rows aside, nothing may be sorted as a whole.
            assert f'"Relation Name": "{spec.model.__tablename__}"' in plan
            assert '"Node Type": "Limit"' in plan
            limit = plan[plan.index('"Node Type": "Limit"') :]
            if spec.sorts[name].column.nullable:
                # Rows with a value and rows without are a page each, and two pages are put into order.
                limit = limit[limit.index('"Node Type": "Append"') :]
            assert '"Node Type": "Sort"' not in limit.split('"Alias"')[0], (name, plan)


@pytest.mark.parametrize("view", SECTIONS, ids=lambda view: view.listing.section)
def test_every_search_uses_an_index(view: Any, session: Session) -> None:
    spec: ListSpec = view.listing
    if spec.search is None or spec.section in SMALL:
        return
    for typed in ("ann.berg@example.com", "12345", "mem_12345", "berg"):
        query = read_query(spec, MultiDict({"q": typed}), VIEWER)
        for mode in spec.search.modes(typed):
            session.execute(text("SET LOCAL enable_indexscan = off"))
            session.execute(text("SET LOCAL enable_indexonlyscan = off"))
            plan = plan_of(session, query, mode)
            # With walking an index in order switched off, what is left must be a look-up by the words themselves.
            assert '"Node Type": "Seq Scan"' not in plan.split('"Alias": "practitioners_1"')[0], (typed, mode)
            assert "Bitmap Index Scan" in plan, (typed, mode, plan)


def test_a_membership_is_searched_by_an_index_that_begins_with_its_id(session: Session) -> None:
    """That of provider and id is no help to whoever types an id alone, on the PostgreSQL before 18."""
    spec = next(view.listing for view in SECTIONS if view.listing.section == "memberships")
    query = read_query(spec, MultiDict({"q": "mem_12345"}), VIEWER)
    for mode in spec.search.modes("mem_12345") if spec.search else ():
        assert "ix_memberships_external_id" in plan_of(session, query, mode)


def test_the_ignored_memberships_are_read_from_an_index_of_their_own(session: Session) -> None:
    """Few are, and in the order of all they would be looked for through everything."""
    spec = next(view.listing for view in SECTIONS if view.listing.section == "memberships")
    few = "UPDATE memberships SET ignored_at = created_at, ignored_because = 'x' WHERE id % 1000 = 0"
    many = (
        "INSERT INTO memberships (provider, external_id, status) "
        "SELECT 'whop', 'mem_' || n, 'active' FROM generate_series(1, 20000) AS n"
    )
    for statement in (many, few, "ANALYZE memberships"):
        session.execute(text(statement))
    plan = plan_of(session, read_query(spec, MultiDict({"ignored": "yes"}), VIEWER), None)
    assert "ix_memberships_ignored" in plan
    assert '"Node Type": "Sort"' not in plan


def test_an_event_is_found_by_its_own_id(session: Session) -> None:
    session.add(WebhookEvent(provider="whop", external_id="msg_77", type="payment.succeeded", body=b"{}"))
    session.flush()
    spec = next(view.listing for view in SECTIONS if view.listing.section == "webhook-events")
    assert len(page_of(session, spec, "?q=msg_77")[1].rows) == 1


def test_a_time_that_the_clocks_show_twice_is_told_apart() -> None:
    first, second, after = (datetime(2027, 10, 31, hour, 30, tzinfo=UTC) for hour in (0, 1, 2))
    zone = ZoneInfo("Europe/Amsterdam")
    assert time_text(first, zone) == "31 Oct 2027 02:30 CEST"
    assert time_text(second, zone) == "31 Oct 2027 02:30 CET"
    assert time_text(after, zone) == "31 Oct 2027 03:30"
    # The hour that is skipped is shown nowhere, and the times around it are no doubt.
    assert time_text(datetime(2027, 3, 28, 1, 30, tzinfo=UTC), zone) == "28 Mar 2027 03:30"
