"""What a business does to its tables while they are migrated: 50 requests a second, and a report that stays open.

Runs as a process of its own (`Traffic`), so that the migrator's work is no wait of a request. Every statement is one
that code of any day can say, from the first revision to the newest: columns by name, nothing prepared on the server.
"""

import itertools
import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

import psycopg

PER_SECOND = 50
CONNECTIONS = 60
APPLICATION = "bench-traffic"
BOOKING = "id, practitioner_id, client_name, client_email, starts_at, ends_at, status, price_amount, price_currency"
BY_ID = f"SELECT {BOOKING} FROM bookings WHERE id = %(booking)s"
BY_TIME = f"SELECT {BOOKING} FROM bookings WHERE starts_at >= %(moment)s ORDER BY starts_at LIMIT 25"
# Each new booking has an hour of its own, far from those that are there.
BOOK = """
INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status,
        price_amount, price_currency)
    VALUES (%(practitioner)s, %(practitioner)s, 'New Client', 'new@example.com',
            timestamptz '2040-01-01+00' + %(number)s * interval '1 hour',
            timestamptz '2040-01-01+00' + %(number)s * interval '1 hour' + interval '50 min', 'pending', 9000, 'eur')
"""
REQUESTS = {
    "booking by id": BY_ID,
    "bookings by time": BY_TIME,
    "booking again": BY_ID,
    "book": BOOK,
    "complete a booking": "UPDATE bookings SET status = 'completed', updated_at = now() WHERE id = %(booking)s",
    "client by id": "SELECT id, name, email, phone, created_at FROM clients WHERE id = %(client)s",
    "new client": "INSERT INTO clients (name, email) VALUES ('New Client', 'client-' || %(number)s || '@example.net')",
    "change a client": "UPDATE clients SET phone = '+44 20', updated_at = now() WHERE id = %(client)s",
    "profile by id": "SELECT user_id, email, membership, usage_credits FROM profiles WHERE user_id = %(user)s",
    "use a credit": "UPDATE profiles SET used_credits = used_credits + 1, updated_at = now() WHERE user_id = %(user)s",
}
# How long one of the requests has been waiting for a lock at this moment.
WAITS = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)::float FROM pg_locks l
  JOIN pg_stat_activity a ON a.pid = l.pid WHERE NOT l.granted AND a.application_name = %s
"""
LOOKED_EVERY = 0.02


@dataclass(frozen=True)
class Size:
    bookings: int
    clients: int
    profiles: int
    practitioners: int = 200


@dataclass(frozen=True)
class Report:
    """A transaction that reads bookings, stays open for `stays` seconds, and comes again after `rests` seconds."""

    stays: float = 10.0
    rests: float = 1.0


@dataclass(frozen=True)
class Request:
    """`due` and `ended` by the monotonic clock, which all processes of a machine share; `failed` is the sentence."""

    kind: str
    due: float
    ended: float
    failed: str | None

    @property
    def wait(self) -> float:
        return self.ended - self.due


@dataclass(frozen=True)
class Record:
    """All requests, and the lock waits that were seen, each with its moment."""

    requests: list[Request]
    locked: list[tuple[float, float]]

    def between(self, begun: float, ended: float) -> "Record":
        """What was going on in that time."""
        asked = [each for each in self.requests if each.due <= ended and each.ended >= begun]
        return Record(asked, [each for each in self.locked if begun <= each[0] <= ended])

    @property
    def failed(self) -> list[Request]:
        return [each for each in self.requests if each.failed]

    @property
    def longest(self) -> float:
        return max((each.wait for each in self.requests), default=0.0)

    @property
    def longest_locked(self) -> float:
        return max((waited for _, waited in self.locked), default=0.0)


class Traffic:
    """Runs from `start` to `stop`, which gives the record."""

    def __init__(self, url: str, size: Size, report: Report, per_second: int = PER_SECOND) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, other = spawn.Pipe()
        self.process = spawn.Process(target=_run, args=(url, size, report, per_second, other), daemon=True)

    def start(self) -> None:
        """Returns when every connection is there and requests come."""
        self.process.start()
        self.pipe.recv()

    def stop(self) -> Record:
        self.pipe.send("stop")
        record: Record = self.pipe.recv()
        self.process.join()
        return record


@contextmanager
def under_traffic(url: str, size: Size, report: Report, per_second: int = PER_SECOND) -> Iterator[Traffic]:
    """Ends the process whatever happens in the block."""
    traffic = Traffic(url, size, report, per_second)
    traffic.start()
    try:
        yield traffic
    finally:
        if traffic.process.is_alive():
            traffic.process.terminate()
            traffic.process.join()


def _run(url: str, size: Size, report: Report, per_second: int, pipe: Pipe) -> None:
    done, local = threading.Event(), threading.local()
    requests: list[Request] = []
    locked: list[tuple[float, float]] = []
    ready = threading.Barrier(CONNECTIONS + 1)

    def connect() -> None:
        local.connection = _connection(url, APPLICATION)
        ready.wait()

    beside = [
        threading.Thread(target=_report, args=(url, report, done)),
        threading.Thread(target=_look, args=(url, locked, done)),
    ]
    with ThreadPoolExecutor(CONNECTIONS, initializer=connect) as pool:
        for _ in range(CONNECTIONS):
            pool.submit(time.sleep, 0)
        ready.wait()
        for each in beside:
            each.start()
        pipe.send("ready")
        asked = itertools.cycle(REQUESTS.items())
        begun, numbers, chance = time.monotonic(), itertools.count(1), random.Random(7)
        while not pipe.poll():
            number = next(numbers)
            due = begun + number / per_second
            time.sleep(max(0.0, due - time.monotonic()))
            kind, sql = next(asked)
            values = _values(size, number, chance)
            pool.submit(lambda *work: requests.append(_ask(local.connection, *work)), kind, sql, values, due)
        done.set()
    for each in beside:
        each.join()
    pipe.send(Record(requests, locked))


def _connection(url: str, name: str) -> psycopg.Connection[Any]:
    # Earlier code prepares nothing on the server; what code does that does is said in decision 2.
    return psycopg.connect(url, autocommit=True, prepare_threshold=None, application_name=name)


def _values(size: Size, number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "number": number,
        "booking": chance.randint(1, size.bookings),
        "client": chance.randint(1, size.clients),
        "user": f"user_{chance.randint(1, size.profiles)}",
        "practitioner": chance.randint(1, size.practitioners),
        "moment": f"2020-01-01 00:{chance.randint(0, 59):02}+00",
    }


def _ask(connection: psycopg.Connection[Any], kind: str, sql: str, values: dict[str, Any], due: float) -> Request:
    failed = None
    try:
        asked = connection.execute(sql.encode(), values)
        if asked.description:
            asked.fetchall()
    except psycopg.Error as error:
        failed = f"{error.sqlstate} {error}".partition("\n")[0]
    return Request(kind, due, time.monotonic(), failed)


def _report(url: str, report: Report, done: threading.Event) -> None:
    """One snapshot for the whole time, as a report or a dump has it."""
    with psycopg.connect(url, prepare_threshold=None, application_name="bench-report") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        while not done.is_set():
            connection.execute("SELECT id, status, price_amount FROM bookings ORDER BY id LIMIT 1000").fetchall()
            done.wait(report.stays)
            connection.rollback()
            done.wait(report.rests)


def _look(url: str, locked: list[tuple[float, float]], done: threading.Event) -> None:
    with _connection(url, "bench-look") as connection:
        while not done.wait(LOOKED_EVERY):
            ((waited,),) = connection.execute(WAITS, [APPLICATION]).fetchall()
            if waited:
                locked.append((time.monotonic(), waited))
