"""How long each step of a move takes, and how much memory: `python -m tests.bench.moving_steps` (needs MariaDB).

Each earlier system is made anew, without anything amiss, and brought over by the commands of its runbook, with both
databases on this machine. The tables stand in the runbooks themselves (docs/runbooks/moving-in-*.md). `--system` for
one of them, `--rows` for another size.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg

from tests.bench import page, place
from tests.migrations.earlier import (
    bookings_mysql,
    clients_prisma,
    meetings_drizzle,
    memberships_drizzle,
    servers,
    sessions_prisma,
)
from tests.migrations.earlier.made import Made
from tests.migrations.earlier.moves import Move

ROWS = 1_000_000
HEADING = "## How long each step takes"
SYSTEMS: dict[str, Callable[..., Made]] = {
    "bookings": bookings_mysql.make,
    "clients": clients_prisma.make,
    "sessions": sessions_prisma.make,
    "meetings": meetings_drizzle.make,
    "memberships": memberships_drizzle.make,
}


class Step(NamedTuple):
    """One command: its words after `flask legacy`, the seconds, and the most memory in MiB."""

    words: str
    seconds: float
    memory: float


def step(words: str, arguments: list[str], settings: dict[str, str]) -> Step:
    """Run to its end; what it says goes to a file, so that it never waits for a reader."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "legacy", *arguments]
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        running = subprocess.Popen(
            command, cwd=place.ROOT, env=os.environ | settings, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        took = time.perf_counter() - began
        if running.returncode != 0:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{said.read()[-2000:]}")
    done = Step(words, took, used.ru_maxrss / 1024)
    print(f"  {done.words}: {done.seconds:.1f} s, {done.memory:.0f} MiB", flush=True)
    return done


def steps(made: Made, target: str, folder: Path) -> Iterator[Step]:
    """A whole move and its way back, in the order of the runbook."""
    settings = {"DATABASE_URL": target, "SECRET_KEY": "0123456789abcdef" * 4, "LEGACY_DATABASE_URL": made.address}
    file = folder / f"{made.system}.toml"
    yield step("plan", ["plan", "--to", str(file)], settings)
    Move.decide_file(file, zone=made.zone)
    given = ["--mapping", str(file)]
    yield step("inspect", ["inspect", *given], settings)
    yield step("import", ["import", *given], settings)
    yield step("verify", ["verify", *given], settings)
    yield step("import, nothing changed", ["import", *given], settings)
    yield step("undo", ["undo", "--system", made.system, "--yes"], settings)


def lines(made: Made, done: list[Step]) -> Iterator[str]:
    rows = ", ".join(f"{number:,} {table}" for table, number in made.counts.items())
    yield f"{rows}; one run. {page.when()}."
    yield ""
    yield "| step | seconds | MiB |"
    yield "|---|--:|--:|"
    for each in done:
        what, _, remark = each.words.partition(",")
        command = f"`flask legacy {what}`" + (f" ({remark.strip()})" if remark else "")
        yield f"| {command} | {each.seconds:.1f} | {each.memory:.0f} |"
    yield ""
    yield "Each command by itself, with its start; memory is the command's, of which its start needs almost all."
    yield "`python -m tests.bench.moving_steps` measures anew."


def put(text: str, section: list[str]) -> str:
    """The runbook with this section in place of the earlier one."""
    kept, found, rest = text.partition(f"{HEADING}\n")
    if not found:
        raise SystemExit(f"The runbook has no section {HEADING!r}.")
    after = re.split(r"^(?=## )", rest, maxsplit=1, flags=re.MULTILINE)[1:]
    return "\n".join([f"{kept}{HEADING}\n", *section, "", *after])


def fresh(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
    return place.create(server_url, name)


def measure(system: str, source: str, server_url: str, rows: int) -> list[str]:
    made = SYSTEMS[system](source, rows=rows, ugly=False)
    target = fresh(server_url, "backdesk_bench_moving_steps")
    place.migrate(target)
    with tempfile.TemporaryDirectory() as folder:
        return list(lines(made, list(steps(made, target, Path(folder)))))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    options.add_argument("--system", choices=SYSTEMS, action="append", help="only this one; may be given several times")
    options.add_argument("--dry", action="store_true", help="print the tables instead of writing them")
    chosen = options.parse_args()
    for system in chosen.system or SYSTEMS:
        print(f"{system}, {chosen.rows:,} rows", flush=True)
        with place.server() as server_url:
            if system == "bookings":
                with servers.running() as maria:
                    section = measure(system, maria.url(maria.create_database()), server_url, chosen.rows)
            else:
                source = fresh(server_url, "backdesk_bench_earlier")
                section = measure(system, source, server_url, chosen.rows)
        if chosen.dry:
            print("\n".join(section))
            continue
        runbook = place.ROOT / "docs" / "runbooks" / f"moving-in-{system}.md"
        runbook.write_text(put(runbook.read_text(), section))


if __name__ == "__main__":
    main()
