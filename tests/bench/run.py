"""Measure the console against stock Flask-Admin and a bare floor: `python -m tests.bench.run`.

Ends with status 1 when a ratio misses its bar.
"""

import argparse
import os
import secrets
import sys
from contextlib import ExitStack
from pathlib import Path

import psycopg

from admin_app.context import Job
from admin_app.db import Database
from admin_app.errors import Conflict
from admin_app.services import staff
from models import Role
from tests.bench import fill, gate, place, report, verdict
from tests.bench.measure import Place, Series, measure, show_rounds
from tests.bench.scenarios import scenarios
from tests.bench.serve import CONTENDERS, settings
from tests.bench.servers import serving

SIZES = (100_000, 1_000_000)
STAFF_EMAIL = "bench@demo.test"
PAGE = place.ROOT / "docs" / "benchmarks.md"


def make_staff(database_url: str) -> str:
    """An administrator to sign in as; answers a password of this run."""
    password = secrets.token_urlsafe(24)
    database = Database.from_settings(settings(database_url))
    try:
        with database.unit_of_work(Job("bench")) as ctx:
            staff.create_staff(ctx, email=STAFF_EMAIL, name="Bench", role=Role.ADMIN, password=password)
    except Conflict:
        with database.unit_of_work(Job("bench")) as ctx:
            known = staff.find_by_email(ctx, email=STAFF_EMAIL)
            staff.reset_password(ctx, staff_id=known.id, password=password)
    finally:
        database.dispose()
    return password


def open_place(stack: ExitStack, database_url: str, bookings: int, log: Path) -> Place:
    """The three contenders on a filled database, ours with a signed-in session."""
    sites = [stack.enter_context(serving(contender, database_url, log)) for contender in CONTENDERS]
    sites[0].sign_in(STAFF_EMAIL, make_staff(database_url))
    with psycopg.connect(database_url) as connection:
        return Place(bookings, scenarios(connection, bookings), sites)


def run(sizes: tuple[int, ...], rounds: int, warm_up: int) -> tuple[list[Series], list[gate.Load], str]:
    with place.server() as server_url, ExitStack() as stack:
        home = place.ROOT / "var" / "bench"
        home.mkdir(parents=True, exist_ok=True)
        places = []
        for size in sizes:
            print(f"{size:,} bookings", file=sys.stderr)
            url = fill.prepare(server_url, size)
            places.append(open_place(stack, url, size, home / "servers.log"))
        measured = measure(places, rounds=rounds, warm_up=warm_up, progress=show_rounds(rounds + warm_up))
        stack.close()  # the gate has the machine to itself
        loads = gate.run(server_url, home / "servers.log")
        return measured, loads, report.server_version(server_url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="BOOKINGS")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--no-page", action="store_true", help="only print, leave docs/benchmarks.md as it is")
    wanted = parser.parse_args()
    measured, loads, server = run(tuple(wanted.sizes), wanted.rounds, wanted.warm_up)
    checks = [*verdict.checks(measured), *gate.checks(loads)]
    at_rate = list(gate.section(loads, os.getloadavg()[0]))
    text = report.markdown(measured, checks, server=server, rounds=wanted.rounds, at_rate=at_rate)
    print(text.split("\n\n", 2)[2])
    if not wanted.no_page:
        PAGE.write_text(text)
    sys.exit(0 if all(check.holds for check in checks) else 1)


if __name__ == "__main__":
    main()
