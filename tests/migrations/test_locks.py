"""A migration gives way: it waits for no lock long, stalls nobody meanwhile, and arrives when the lock is gone."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tests.conftest_postgres import migrate
from tests.migrations.journey import REVISIONS, Journey

HELD_SECONDS = 2.0
STALL_SECONDS = 1.0  # the lock_timeout is 0.3 s; the rest is for a busy machine
CUSTOMER_ID_GOES = "0020"
# pg_locks shows the whole cluster, which other tests use at the same time.
ADVISORY_LOCKS_HELD_HERE = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextmanager
def migrating(journey: Journey, revision: str) -> Iterator[Future[None]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(journey.up, revision)


class Reader(threading.Thread):
    """Reads and writes a table again and again, and remembers the longest wait."""

    def __init__(self, journey: Journey, table: str) -> None:
        super().__init__()
        self.journey, self.table = journey, table
        self.longest, self.done = 0.0, threading.Event()

    def run(self) -> None:
        with self.journey.connection(autocommit=True) as connection:
            while not self.done.is_set():
                before = time.monotonic()
                connection.execute(f"SELECT count(*) FROM {self.table}".encode())
                connection.execute(f"UPDATE {self.table} SET status = status".encode())
                self.longest = max(self.longest, time.monotonic() - before)
                time.sleep(0.005)


def stay_held(journey: Journey, table: str, revision: str, statement: str) -> float:
    """Migrate while a transaction that ran this statement stays open; the longest wait of somebody else."""
    with journey.connection() as holder:
        holder.execute(statement.encode())
        reader = Reader(journey, table)
        reader.start()
        with migrating(journey, revision) as migration:
            time.sleep(HELD_SECONDS)
            assert not migration.done()
            holder.rollback()
            migration.result(timeout=60)
        reader.done.set()
        reader.join()
    assert journey.value("SELECT version_num FROM alembic_version") == revision
    return reader.longest


def test_a_column_behind_a_long_read(journey: Journey) -> None:
    journey.up("0001")
    assert stay_held(journey, "meetings", "0002", "SELECT count(*) FROM meetings") < STALL_SECONDS


def test_indexes_behind_a_long_write(journey: Journey) -> None:
    journey.up("0015")
    assert stay_held(journey, "bookings", "0016", "UPDATE bookings SET status = status") < STALL_SECONDS
    assert journey.value("SELECT bool_and(indisvalid) FROM pg_index") is True


def test_constraints_behind_a_long_write(journey: Journey) -> None:
    journey.up("0003")
    assert stay_held(journey, "bookings", "0004", "UPDATE bookings SET status = status") < STALL_SECONDS


def test_two_migrators_at_once(journey: Journey) -> None:
    with ThreadPoolExecutor(3) as pool:
        # Processes of their own, for Alembic's context is one per process.
        for done in [pool.submit(migrate, journey.url) for _ in range(3)]:
            done.result(timeout=120)
    assert journey.value("SELECT version_num FROM alembic_version") == REVISIONS[-1]
    journey.check_drift()
    assert journey.value(ADVISORY_LOCKS_HELD_HERE) == 0


def test_earlier_code_goes_on_at_every_revision(journey: Journey) -> None:
    """What the earlier application writes is taken until the revision that says it must be gone."""
    journey.up("0001")
    taken = REVISIONS[1 : REVISIONS.index(CUSTOMER_ID_GOES)]
    for revision in taken:
        journey.up(revision)
        journey.run(
            f"""INSERT INTO users (open_id, name, email) VALUES ('{revision}', 'Nora', 'Nora@example.org');
            INSERT INTO profiles (user_id, email, usage_credits) VALUES ('temp_{revision}', 'a@b.example', 5);
            INSERT INTO clients (name, email, phone) VALUES ('Harbour {revision}', 'Office@harbour.example', '+44');
            INSERT INTO onboarding_states (customer_id) SELECT max(id) FROM clients;
            UPDATE onboarding_states SET forwarding_enabled = true WHERE customer_id = (SELECT max(id) FROM clients);
            INSERT INTO practitioners (name, email) VALUES ('Ada', 'ada-{revision}@clinic.example');
            INSERT INTO session_types (practitioner_id, title, minutes) SELECT max(id), 'Talk', 30 FROM practitioners;
            INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at)
                SELECT p.max, t.max, 'Per', 'Per@example.org', now(), now() + interval '1 hour'
                  FROM (SELECT max(id) FROM practitioners) p, (SELECT max(id) FROM session_types) t;
            INSERT INTO meetings (practitioner_id, starts_at, ends_at)
                SELECT max(id), now(), now() + interval '1 hour' FROM practitioners"""
        )
    assert journey.value("SELECT count(*) FROM onboarding_states WHERE client_id = customer_id") == len(taken)
    journey.up()
    assert journey.value("SELECT count(*) FROM onboarding_states WHERE forwarding_enabled") == len(taken)
