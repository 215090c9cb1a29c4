"""Measure an export of every booking against PostgreSQL's own COPY: `python -m tests.bench.exports`.

What COPY takes is the floor: the same rows in the same order, written as CSV by the database itself. Both are written
to a file on the same disk, in turns. Ends with status 1 when the ratio or the memory misses its bar.
"""

import argparse
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import IO

import psycopg

from admin_app.context import Staff
from admin_app.db import Database, utc_now
from admin_app.services.core import exports
from admin_app.services.core.exports import Wanted
from models import ExportFormat, Role
from tests.bench import fill, place
from tests.bench.serve import settings
from views.console import pages

# Python makes every value of every row; COPY is C within the server.
MOST_TIMES = 25.0
MOST_MEGABYTES = 40.0
FLOOR = b"""
COPY (
  SELECT b.id, b.client_name, b.client_email, b.starts_at, p.name, p.id, t.title, t.id, b.status, b.price_amount,
         b.price_currency
  FROM bookings b
  JOIN practitioners p ON p.id = b.practitioner_id
  JOIN session_types t ON t.id = b.session_type_id
  ORDER BY b.starts_at DESC, b.id DESC
) TO STDOUT (FORMAT csv, HEADER)
"""


def floor(url: str, file: IO[bytes]) -> None:
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(FLOOR) as copy:
        for block in copy:
            file.write(block)


def ours(database: Database, form: ExportFormat, file: IO[bytes]) -> int:
    wanted = Wanted("bookings", (), form, "Europe/Berlin")
    with database.read_only() as session:
        table = pages.lists().table(session, wanted, Staff(1, "bench@demo.test", Role.ADMIN))
        return exports.write_file(file, table, form, created=utc_now(), seen=lambda rows: None)


def seconds(write: Callable[[IO[bytes]], object]) -> float:
    with TemporaryFile() as file:
        began = time.perf_counter()
        write(file)
        return time.perf_counter() - began


def peak_megabytes(write: Callable[[IO[bytes]], object]) -> float:
    with TemporaryFile() as file:
        tracemalloc.start()
        write(file)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most / 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bookings", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    with place.server() as server_url:
        url = fill.prepare(server_url, wanted.bookings)
        database = Database.from_settings(settings(url))
        kinds = {form: (lambda file, form=form: ours(database, form, file)) for form in ExportFormat}
        taken: dict[str, list[float]] = {"copy": [], **{form.value: [] for form in kinds}}
        for _ in range(wanted.rounds):
            taken["copy"].append(seconds(lambda file: floor(url, file)))
            for form, write in kinds.items():
                taken[form.value].append(seconds(write))
        memory = peak_megabytes(kinds[ExportFormat.CSV])
        database.dispose()
    least = statistics.median(taken["copy"])
    for name, times in taken.items():
        print(f"{name:>5}: {statistics.median(times):6.2f} s, {statistics.median(times) / least:5.1f} x COPY")
    print(f"  csv: at most {memory:.1f} MB of Python's memory")
    holds = statistics.median(taken["csv"]) <= MOST_TIMES * least and memory <= MOST_MEGABYTES
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
