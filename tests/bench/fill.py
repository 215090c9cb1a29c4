"""Fill a database with bookings: `python -m tests.bench.fill --bookings 1000000`.

The secondary indexes stay in place, and so does the constraint that no two bookings overlap: every row is checked as
it comes in. Memory stays constant, whatever the number.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import psycopg

from tests.bench import place, rows

LINES_AT_ONCE = 1000
Progress = Callable[[int], None]


def fill(url: str, bookings: int, *, progress: Progress = lambda done: None) -> bool:
    """Fill a migrated database in one transaction; False when it already holds exactly this."""
    with psycopg.connect(url) as connection:
        held = connection.execute("SELECT count(*) FROM bookings").fetchone()
        if held and held[0]:
            if held[0] != bookings:
                raise SystemExit(f"This database holds {held[0]:,} bookings, not {bookings:,}. Use an empty one.")
            return False
        _copy_rows(connection, "practitioners", ("id", "name", "email"), rows.practitioner_rows())
        columns = ("id", "practitioner_id", "title", "minutes", "price_amount")
        _copy_rows(connection, "session_types", columns, rows.session_type_rows())
        statement = _copy_statement("bookings", rows.BOOKING_COLUMNS)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            done = 0
            for block in _blocks(rows.booking_lines(bookings)):
                copy.write("".join(block))
                done += len(block)
                progress(done)
        for table in ("practitioners", "session_types"):
            connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}".encode())
    with psycopg.connect(url, autocommit=True) as connection:
        # What autovacuum does in the first minutes; measured is the state after it.
        for table in ("practitioners", "session_types", "bookings"):
            connection.execute(f"VACUUM (ANALYZE) {table}".encode())
    return True


def _copy_rows(
    connection: psycopg.Connection, table: str, columns: tuple[str, ...], values: Iterable[tuple[object, ...]]
) -> None:
    with connection.cursor() as cursor, cursor.copy(_copy_statement(table, columns)) as copy:
        for row in values:
            copy.write_row(row)


def _copy_statement(table: str, columns: tuple[str, ...]) -> bytes:
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    while block := list(islice(lines, LINES_AT_ONCE)):
        yield block


def show_progress(bookings: int) -> Progress:
    """A line each second on the terminal's error stream."""
    started = shown = time.monotonic()

    def progress(done: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= 1 or done == bookings:
            shown = now
            rate = done / (now - started)
            print(f"  {done:>9,} of {bookings:,} ({done / bookings:4.0%}, {rate:,.0f} a second)", file=sys.stderr)

    return progress


def prepare(server_url: str, bookings: int) -> str:
    """The address of the benchmark's database of this size, made and filled when needed."""
    url = place.create(server_url, place.database_of(bookings))
    place.migrate(url)
    fill(url, bookings, progress=show_progress(bookings))
    return url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bookings", type=int, default=1_000_000)
    wanted = parser.parse_args().bookings
    started = time.monotonic()
    given = os.environ.get("DATABASE_URL", "")
    print(f"{wanted:,} bookings for {'the given database' if given else place.database_of(wanted)}:", file=sys.stderr)
    with place.server() as server_url:
        if given:
            place.migrate(given)
            fill(given, wanted, progress=show_progress(wanted))
        else:
            prepare(server_url, wanted)
    print(f"Filled and analyzed in {time.monotonic() - started:.0f} s.", file=sys.stderr)


if __name__ == "__main__":
    main()
