"""The pages that are measured, and their addresses at each contender."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import psycopg

from views.console.framework.keyset import Cursor, pack

PAGE = 50
DEEPEST_PAGE = 10_000
STATUS = "no_show"
SORT = "starts"


@dataclass(frozen=True)
class Scenario:
    """One page of the list or one record, by contender."""

    name: str
    paths: Mapping[str, str]


def deep_page(bookings: int) -> int:
    """10,000 pages deep where the table has them, else half way down."""
    return min(DEEPEST_PAGE, bookings // PAGE // 2)


def scenarios(connection: psycopg.Connection, bookings: int) -> list[Scenario]:
    """The six pages, with positions and search words taken from the data itself."""
    page = deep_page(bookings)
    starts_at, booking_id, email = _row(connection, page * PAGE - 1)
    position = pack(SORT, Cursor(starts_at, booking_id))
    # What support types: an address from a phone call, heard without its beginning and its end.
    part = email.partition("@")[0][2:]
    after = urlencode({"after": starts_at.isoformat(), "id": booking_id})
    wanted = {
        "list, page 1": ("", "", ""),
        "list, deep page": (f"?{urlencode({'after': position})}", f"?page={page}", f"?{after}"),
        "filtered by status": (f"?status={STATUS}", f"?flt0_0={STATUS.upper()}", f"?status={STATUS}"),
        "search, part of an e-mail": tuple(f"?{urlencode({name: part})}" for name in ("q", "search", "part")),
        "search, whole e-mail": tuple(f"?{urlencode({name: email})}" for name in ("q", "search", "email")),
    }
    lists = ("/admin/bookings/", "/admin/bookings/", "/bookings")
    found = []
    for name, queries in wanted.items():
        ours, stock, floor = (address + query for address, query in zip(lists, queries, strict=True))
        found.append(Scenario(name, {"ours": ours, "stock": stock, "floor": floor}))
    record = {
        "ours": f"/admin/bookings/{booking_id}",
        "stock": f"/admin/bookings/details/?id={booking_id}",
        "floor": f"/bookings/{booking_id}",
    }
    return [*found, Scenario("one record", record)]


def _row(connection: psycopg.Connection, offset: int) -> tuple:  # type: ignore[type-arg]
    query = "SELECT starts_at, id, client_email::text FROM bookings ORDER BY starts_at DESC, id DESC OFFSET %s LIMIT 1"
    row = connection.execute(query, [offset]).fetchone()
    assert row is not None
    return row
