"""From an earlier system to a page of the console, found by the id that the earlier system knew it by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup

from admin_app.db import Database
from admin_app.services.move_in.mapping import Unit
from models import Role
from tests.console.conftest import _sign_in
from tests.console.page_checks import CheckedClient
from tests.house import build, simulator
from tests.migrations.earlier import (
    bookings_mysql,
    clients_prisma,
    meetings_drizzle,
    memberships_drizzle,
    sessions_prisma,
)
from tests.migrations.earlier.moves import Move

__all__ = ["simulator"]

# The maker, the record that is looked for, by which of its columns, and what its page says.
SYSTEMS: dict[str, tuple[Callable[..., Any], str, str, tuple[str, ...]]] = {
    "clients": (clients_prisma.make, "paused_client", "id", ("Harbour Dental", "paused")),
    "sessions": (sessions_prisma.make, "booking", "id", ("Nora Dahl", "120.00 EUR", "15 Jul 2031")),
    "meetings": (meetings_drizzle.make, "meeting", "id", ("Gusto Guest", "120.00 EUR", "org_01H2")),
    "memberships": (memberships_drizzle.make, "unclaimed", "id", ("Waits@example.org", "900")),
}


def page_of(client: CheckedClient, typed: str) -> str:
    """The record's own page, from the first line that the search finds."""
    found = BeautifulSoup(client.get("/admin/search/", query_string={"q": typed}).text, "html5lib")
    links = [str(link["href"]) for link in found.select("main tbody a[href]")]
    assert links, f"nothing is found by {typed}"
    return BeautifulSoup(client.get(links[0]).text, "html5lib").get_text(" ")


def signed_in(simulator: str, db: Database) -> CheckedClient:
    house = build(simulator, db)
    house.app.testing, house.app.test_client_class = True, CheckedClient
    return _sign_in(house.app, db, Role.ADMIN)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_record_is_found_by_its_earlier_id(
    system: str, earlier_postgres: str, simulator: str, real_db: Database
) -> None:
    make, name, key, said = SYSTEMS[system]
    made = make(earlier_postgres, rows=60, ugly=False)
    move = Move(real_db, earlier_postgres)
    move.plan()
    move.decide(unit=Unit.MINOR)
    move.bring_over()
    page = page_of(signed_in(simulator, real_db), str(made.records[name][key]))
    for words in said:
        assert words in page


def test_a_booking_of_mysql_has_its_number(mariadb_url: str, simulator: str, real_db: Database) -> None:
    made = bookings_mysql.make(mariadb_url, rows=200, ugly=False)
    move = Move(real_db, mariadb_url)
    move.plan()
    move.decide(zone=made.zone)
    move.bring_over()
    page = page_of(signed_in(simulator, real_db), str(made.records["booking"]["id"]))
    assert "Nora Dahl" in page
    assert "120.00 EUR" in page
