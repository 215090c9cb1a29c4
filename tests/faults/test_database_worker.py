"""The worker beside a database that is locked or hangs: its jobs are tried again, and it works again afterwards."""

from dataclasses import replace

import psycopg

from admin_app.db import Database
from admin_app.services.core import audit
from models import PendingProfile
from tests.faults.database_house import settings
from tests.faults.database_proxy import DatabaseProxy
from tests.house import House
from tests.integrations.signing import events
from tests.jobs.running import RunningWorker, bench_of, jobs, wait_until

ACTIVATED = next(path for path in events("whop") if path.name == "membership.activated.v1.json").read_bytes()
PINNED = next(path for path in events("whop") if path.name == "membership.activated.pinned.json").read_bytes()


def plain(house: House) -> str:
    return bench_of(house).settings.database_url.replace("+psycopg", "")


def impatient(house: House, url: str) -> House:
    """The same with the product's own connections, which wait for nothing long."""
    return replace(house, bench=replace(house.bench, db=Database.from_settings(settings(url, database_idle_seconds=2))))


def test_a_job_that_meets_a_lock_is_tried_again(real_house: House) -> None:
    url = plain(real_house)
    real_house.whop(ACTIVATED)
    house = impatient(real_house, url)
    with psycopg.connect(url) as frozen:
        frozen.execute(f"SELECT pg_advisory_xact_lock({audit.CHAIN_LOCK})".encode())
        with RunningWorker(house):
            wait_until(lambda: any(tries > 0 for _, _, tries in jobs(real_house)))
            frozen.rollback()
            wait_until(lambda: real_house.count(PendingProfile) == 1)
            wait_until(lambda: jobs(real_house) == [])
    house.db.dispose()


def test_the_worker_outlives_a_database_that_hangs(real_house: House) -> None:
    with DatabaseProxy(plain(real_house)) as proxy:
        house = impatient(real_house, proxy.url)
        # The queue's own connections go by the settings of the worker.
        brief = {"worker_lock_seconds": 1, "database_silence_seconds": 1, "database_connect_seconds": 2}
        house.bench = replace(house.bench, settings=house.bench.settings.model_copy(update=brief))
        with RunningWorker(house):
            real_house.whop(ACTIVATED)
            wait_until(lambda: real_house.count(PendingProfile) == 1)
            # The server ends what was stranded half way, and with it the locks, once it was idle for too long.
            proxy.strand()
            real_house.whop(PINNED, delivery="msg_2")
            wait_until(lambda: jobs(real_house) == [])
        house.db.dispose()
