"""What the revisions to come would do to this very database, and what stands in their way. Nothing is written."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from admin_app.services.migrating import catalogue, revisions
from admin_app.services.migrating.work import Forecast, Work
from migrations import preflight
from migrations.needs import Need
from migrations.running import MigrationRefused
from migrations.running import log as remarks_log

COUNTED_EXACTLY = 100_000
READ_ONLY = "25006"
_MAY_WRITE = text("SELECT set_config('default_transaction_read_only', :read_only, false)")
_UP_TO = f"SELECT count(*) FROM (SELECT {{}} LIMIT {COUNTED_EXACTLY}) AS first_rows"  # noqa: S608  ours
_RELTUPLES = text("SELECT coalesce(reltuples, 0) FROM pg_class WHERE oid = to_regclass(:name)")


@dataclass(frozen=True)
class Step:
    """One revision to come: what it is for, what it does here, and its locks as its author wrote them."""

    revision: str
    idea: str
    locks: str
    work: Work


@dataclass(frozen=True)
class Plan:
    """`refused` is the whole list of what stands in the way, or None; `remarks` are worth knowing before."""

    place: revisions.Place
    counts: dict[str, int]
    steps: tuple[Step, ...]
    refused: str | None
    remarks: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return sum(step.work.seconds for step in self.steps)


def plan(connection: Connection) -> Plan:
    """The way to this code's newest revision. Reads the catalogue, counts rows, and asks the rules of each revision."""
    where = revisions.place(connection)
    there = catalogue.read(connection)
    counts = {name: rows(connection, name) for name in there.tables}
    scripts = revisions.to_come(where.revision)
    forecast = Forecast(
        there, counts, lambda sql: _explained(connection, sql), lambda *asked: _matching(connection, *asked)
    )
    steps = tuple(_step(script, forecast.of(needs(script, up=True))) for script in scripts)
    refused, remarks = asked(connection, scripts, up=True)
    return Plan(where, counts, steps, refused, remarks)


def _explained(connection: Connection, sql: str) -> int | None:
    """PostgreSQL's own expectation; nothing runs. What speaks of tables or columns still to come cannot be asked."""
    if ";" in sql.strip().rstrip(";"):
        return None
    try:
        (told,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}".replace("%", "%%")).one()
    except DBAPIError:
        return None
    written = told[0]["Plan"]
    sources = written.get("Plans", [])
    return int(sources[0]["Plan Rows"]) if written["Node Type"] == "ModifyTable" and sources else None


def _matching(connection: Connection, table: str, condition: str) -> int:
    """Counted as `rows` counts; none where the condition speaks of columns still to come."""
    where = f"FROM public.{table} WHERE {condition}".replace("%", "%%")
    try:
        exact = connection.exec_driver_sql(_UP_TO.format(where)).scalar_one()
        if exact < COUNTED_EXACTLY:
            return int(exact)
        (told,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) SELECT {where}").one()
    except DBAPIError:
        return 0
    return max(COUNTED_EXACTLY, int(told[0]["Plan"]["Plan Rows"]))


def needs(script: Script, *, up: bool) -> list[Need]:
    """What a revision would ask of the database, by a rehearsal without one."""
    return preflight.rehearsed(script, up=up)


def _step(script: Script, work: Work) -> Step:
    return Step(script.revision, revisions.idea(script), revisions.locks(script), work)


def asked(connection: Connection, scripts: Sequence[Script], *, up: bool) -> tuple[str | None, tuple[str, ...]]:
    """What a run of these would be refused for, as the run itself asks it, and what it would remark."""
    if not scripts:
        return None, ()
    steps = [RevisionStep(revisions.scripts().revision_map, script, up) for script in scripts]
    rehearsal = preflight.rehearse(steps, revisions.every())
    with _heard() as heard, _measuring(connection):
        try:
            with Operations.context(MigrationContext.configure(connection)):
                preflight.check(rehearsal)
        except MigrationRefused as refused:
            return str(refused), tuple(heard)
        except DBAPIError as failed:
            if getattr(failed.orig, "sqlstate", None) != READ_ONLY:
                raise
            heard.append("A replica measures nothing, and some rules need that: ask the primary what is in the way.")
    return None, tuple(heard)


@contextmanager
def _measuring(connection: Connection) -> Iterator[None]:
    """A question may measure what a rule costs on a temporary copy of some rows: that needs leave to write one."""
    connection.execute(_MAY_WRITE, {"read_only": "off"})
    try:
        yield
    finally:
        connection.execute(_MAY_WRITE, {"read_only": "on"})


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What migrations would log, kept instead."""
    heard: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage().strip())

    handler, propagates = Keep(logging.WARNING), remarks_log.propagate
    remarks_log.addHandler(handler)
    remarks_log.propagate = False
    try:
        yield heard
    finally:
        remarks_log.removeHandler(handler)
        remarks_log.propagate = propagates


def rows(connection: Connection, table: str) -> int:
    """How many rows: exactly below COUNTED_EXACTLY, beyond that as PostgreSQL last estimated."""
    name = connection.dialect.identifier_preparer.quote(table)
    exact = connection.execute(text(_UP_TO.format(f"FROM public.{name}"))).scalar_one()
    if exact < COUNTED_EXACTLY:
        return int(exact)
    estimated = connection.scalar(_RELTUPLES, {"name": f"public.{name}"})
    return max(COUNTED_EXACTLY, int(estimated or 0))
