"""Switches under real concurrency: one wins, everyone else is told, and never two periods at a time."""

from datetime import timedelta

from sqlalchemy import text

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations import registry
from admin_app.jobs import client_flags as flag_jobs
from admin_app.jobs.bench import Bench
from admin_app.services.clients import emergency, flags
from tests.services.bookings.test_appointment_races import at_once
from tests.services.clients.flags import NOW, OPS, PAUSE, add_client, at, boolean_of, changes, off, on, state_of, turn

HOUR = timedelta(hours=1)


def test_of_those_who_switch_at_once_one_wins(real_db: Database) -> None:
    client = add_client(at(real_db, NOW))
    shown = state_of(real_db, client).fingerprint

    def switching(number: int):
        def run() -> None:
            with real_db.unit_of_work(OPS) as ctx:
                asked = on(f"Reason {number}", until=NOW + (number + 1) * HOUR)
                flags.set_flag(ctx, client_id=client, asked=asked, shown=shown)

        return run

    assert at_once([switching(number) for number in range(8)]) == {"done": 1, "plan_moved": 7}
    assert len(changes(real_db, client)) == 1
    assert boolean_of(real_db, client)

    # On by one, off by another, while the clock's own job runs over and over.
    turn(real_db, client, off())
    turn(real_db, client, on("Short", until=NOW + HOUR))
    at(real_db, NOW + HOUR)
    settings = Settings(_env_file=None, database_url="postgresql://unused", secret_key="s" * 32)
    bench = Bench(real_db, settings, registry.from_settings(settings))
    sweeps = [lambda: flag_jobs.follow_all(bench)] * 4
    again = [lambda: turn(real_db, client, on("Afterwards"))] * 4
    outcome = at_once([*sweeps, *again])
    assert outcome["done"] == 5
    assert boolean_of(real_db, client)
    assert state_of(real_db, client).is_on
    with real_db.read_only() as session:
        ended = session.scalar(text("SELECT count(*) FROM audit_entries WHERE event = 'client.switch_ended'"))
    # Whoever came first noted the end, the clock's job or the next switch, and nobody noted it again.
    assert ended == 1
    assert [each.lifted_by for each in changes(real_db, client) if each.reason == "Short"] == ["clock"]

    with real_db.unit_of_work(OPS) as ctx:
        nobody_stopped = emergency.plan_end(ctx).fingerprint
    stopped = at_once([lambda: _stop(real_db, nobody_stopped)] * 4)
    assert stopped == {"done": 1, "plan_moved": 3}
    assert PAUSE in {each.flag for each in changes(real_db, client)}


def _stop(db: Database, shown: str) -> None:
    with db.unit_of_work(OPS) as ctx:
        emergency.start(ctx, reason="Carrier is down", until=NOW + 9 * HOUR, shown=shown)
