"""A run over many clients in real workers: killed anywhere it comes to the same end, and two do no client twice."""

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from sqlalchemy import func, or_, select, text

from admin_app.jobs import bulk_runs as job
from admin_app.services.clients import bulk_work
from models import AuditEntry, BulkItem, BulkOutcome, BulkState, Client, FlagChange
from tests.house import House
from tests.jobs.running import RunningWorker, bench_of, execute, wait_until
from tests.services.clients import bulk
from tests.services.clients.flags import on

CLIENTS = 50  # two full transactions and a half one
INSERT = "INSERT INTO flag_changes"


def end_of(house: House, run_id: int) -> dict[str, Any]:
    """What a run leaves behind, apart from numbers and times."""
    with house.db.read_only() as session:
        each = session.execute(
            select(Client.name, Client.outbound_paused, BulkItem.outcome, FlagChange.reason, FlagChange.by)
            .join(BulkItem, BulkItem.client_id == Client.id)
            .join(FlagChange, FlagChange.id == BulkItem.flag_change_id)
            .where(BulkItem.run_id == run_id)
            .order_by(Client.name)
        )
        of_runs = or_(*(AuditEntry.event.startswith(area) for area in ("bulk.", "client.")))
        told = session.execute(
            select(AuditEntry.event, func.count()).where(of_runs).group_by(AuditEntry.event).order_by(AuditEntry.event)
        )
        return {
            "clients": [tuple(row) for row in each],
            "periods": session.scalar(select(func.count()).select_from(FlagChange)),
            "told": [tuple(row) for row in told],
            "state": bulk.run_now(house.db, run_id).state,
        }


def started(house: House) -> int:
    ops = bulk.add_ops(house.db)
    bulk.add_clients(house.db, CLIENTS)
    run = bulk.choose(house.db, ops, asked=on("Line is moved"))
    bulk.start(house.db, ops, run.id)
    return run.id


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    """What an undisturbed run leaves behind; written out, so that each run of the tests is held to it."""
    return {
        "clients": [
            (f"Client {number:04}", True, BulkOutcome.CHANGED, "Line is moved", "ops@demo.test")
            for number in range(CLIENTS)
        ],
        "periods": CLIENTS,
        "told": [
            ("bulk.chosen", 1),
            ("bulk.finished", 1),
            ("bulk.started", 1),
            ("client.switched_on", CLIENTS),
        ],
        "state": BulkState.DONE,
    }


@pytest.mark.parametrize(
    ("which", "words", "done_by_then"),
    [
        pytest.param(bulk_work.AT_ONCE, INSERT, 0, id="before the first transaction ends"),
        pytest.param(bulk_work.AT_ONCE + 5, INSERT, bulk_work.AT_ONCE, id="in the middle of one"),
        pytest.param(1, "UPDATE bulk_runs SET state", CLIENTS, id="after the last and before the end"),
    ],
)
def test_killed_anywhere_it_comes_to_the_same_end(
    real_house: House, undisturbed: dict[str, Any], which: int, words: str, done_by_then: int
) -> None:
    run_id = started(real_house)
    settings = bench_of(real_house).settings
    given = {name.upper(): str(value) for name, value in settings.model_dump().items() if isinstance(value, str)}
    killed = subprocess.run(
        [sys.executable, "-m", "tests.jobs.killed_worker", str(which), words],
        env=os.environ | given,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert bulk.counted(real_house.db, run_id).get(BulkOutcome.CHANGED, 0) == done_by_then
    assert bulk.run_now(real_house.db, run_id).state is BulkState.RUNNING
    execute(real_house, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
    with RunningWorker(real_house):
        wait_until(lambda: bulk.run_now(real_house.db, run_id).state is BulkState.DONE)
    assert end_of(real_house, run_id) == undisturbed


def test_two_workers_at_once_do_every_client_once(
    real_house: House, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = started(real_house)
    monkeypatch.setattr(bulk_work, "AT_ONCE", 3)
    threads = [threading.Thread(target=job.run, args=(real_house.bench, run_id)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert end_of(real_house, run_id) == undisturbed


def test_a_long_run_is_a_chain_of_short_jobs_and_a_lost_one_is_found(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "TRANSACTIONS_AT_ONCE", 1)
    run_id = started(house)
    job.run(house.bench, run_id)
    assert bulk.counted(house.db, run_id)[BulkOutcome.WAITING] == CLIENTS - bulk_work.AT_ONCE

    def queued() -> int:
        with house.db.read_only() as session:
            count: int = session.scalar(text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'run_bulk'"))
            return count

    assert queued() == 2, "that of the start, and the next"
    with house.db.unit_of_work(bulk.OPERATOR) as ctx:
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
    job.continue_forgotten(house.bench)
    assert queued() == 0, "it may be on its way"
    with house.db.unit_of_work(bulk.OPERATOR) as ctx:
        ctx.session.execute(text("UPDATE bulk_runs SET started_at = started_at - interval '1 hour'"))
    job.continue_forgotten(house.bench)
    job.continue_forgotten(house.bench)
    assert queued() == 1
    bulk.work(house.db, run_id)
    job.continue_forgotten(house.bench)
    assert bulk.run_now(house.db, run_id).state is BulkState.DONE
