"""Rows of a source in tables of our own that last as long as the transaction, as they are and as they will be.

`staged` has a source's columns as text. `prepared` has, for each of its rows, our columns, what stands in its way
(`broken`, as `rule:column`), what became of it before, and a digest of what the source says.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.db_limits import BoundedConnection
from admin_app.errors import InvalidInput
from admin_app.integrations.earlier import Source, SourceTable
from admin_app.services.move_in import converting, sql
from admin_app.services.move_in.catalog import Field, Kind
from admin_app.services.move_in.mapping import REPAIRS, MoveMap, Rule, TableMap

ALL = 2**62
# Of each of our tables, what a decision about a rule writes beside what a source has.
BY_RULES = {"bookings": ("canceled_because",), "meetings": ("canceled_because",)}
WHOLE_KEY = "^[0-9]+$"
# Names that no source's column has.
DIGEST = '"digest of this row"'


def driver(session: Session) -> psycopg.Connection[Any]:
    """The transaction's own connection, for COPY and for statements whose text is made here."""
    connection: Any = session.connection().connection.driver_connection
    return connection  # type: ignore[no-any-return]


def run(ctx: Ctx, statement: str) -> Any:
    """Run SQL as it is, without parameters; returns the cursor."""
    return driver(ctx.session).execute(statement.encode())


def patiently(session: Session) -> None:
    """A whole table takes its time: neither the server nor we give up waiting for it in this transaction."""
    connection = driver(session)
    connection.execute("SET LOCAL statement_timeout = 0")
    if isinstance(connection, BoundedConnection):
        connection.answers_within = None


@contextmanager
def refusals(mapped: TableMap) -> Iterator[None]:
    """What the database refuses although no rule knew it, as a sentence that quotes no row."""
    try:
        yield
    except psycopg.errors.CardinalityViolation as twice:
        raise InvalidInput(
            f"Several rows of {mapped.name} have the same {mapped.key}, which the mapping calls its key. Say in `key` "
            "which column has another value in each row."
        ) from twice
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as refused:
        what = refused.diag.constraint_name or refused.diag.column_name or refused.sqlstate
        raise InvalidInput(
            f"Of {mapped.name} our database refuses a row ({what}), and nothing of its batch was brought over. "
            "No rule of the mapping is about that: leave the column behind, or put the row right there."
        ) from refused


def stage(
    ctx: Ctx, source: Source, table: SourceTable, mapped: TableMap, *, into: str, after: str | None = None,
    limit: int = ALL,
) -> int:  # fmt: skip
    """Bring rows of the source into a table of text columns, the key first; how many there were."""
    columns = columns_read(mapped)
    listed = ", ".join(f"{sql.name(name)} text" for name in columns)
    run(ctx, f"DROP TABLE IF EXISTS pg_temp.{into}; CREATE TEMP TABLE {into} ({listed}) ON COMMIT DROP")
    with driver(ctx.session).cursor().copy(f"COPY {into} FROM STDIN".encode()) as copy:
        return source.copy(table, columns, copy.write, after=after, limit=limit)


def columns_read(mapped: TableMap) -> list[str]:
    """The key, and every column that goes anywhere."""
    return list(dict.fromkeys([mapped.key, *(column.name for column in mapped.read)]))


def last_key(ctx: Ctx, mapped: TableMap, into: str) -> str | None:
    """The key of the last row of a stage: COPY keeps the order of what it was given."""
    found = run(ctx, f"SELECT {sql.name(mapped.key)} FROM {into} ORDER BY ctid DESC LIMIT 1").fetchone()
    return str(found[0]) if found else None


def prepare(
    ctx: Ctx,
    mapping: MoveMap,
    mapped: TableMap,
    *,
    staged: str,
    into: str,
    parents: Mapping[str, str],
    only: str = "true",
) -> None:
    """Make `prepared` of a stage. `parents`: of each of our tables SQL of its records by source key."""
    ours = "".join(f", {expression} AS {sql.name(name)}" for name, expression in converting.parts(mapping, mapped))
    joins = "".join(_join(mapped, each, parents) for each in _references(mapped))
    run(
        ctx,
        f"DROP TABLE IF EXISTS pg_temp.{into}; CREATE TEMP TABLE {into} ON COMMIT DROP AS "
        f"SELECT s.{sql.name(mapped.key)} AS source_key, s.{DIGEST} AS told, {_broken(mapping, mapped)} AS broken, "
        f"coalesce(k.record, {_record(mapped)}) AS record, k.record IS NOT NULL AS is_known, "
        "false AS is_conflict, CASE WHEN k.record IS NOT NULL THEN k.told END AS told_before, "
        f"k.kept AS kept_before{ours}{_written_by_rules(mapped)} "
        f"FROM {_read_once(mapping, mapped, staged)} s {_known(mapping, mapped)}{joins} WHERE {only}",
    )


def _told(mapping: MoveMap, mapped: TableMap) -> str:
    """What the source says, and how it is read: where the mapping changed, every row did."""
    read = hashlib.sha256(repr((mapped, mapping.currency, sorted(mapping.decisions.items()))).encode()).hexdigest()[:16]
    return f"md5({sql.value(read)} || s::text)::uuid"


def _read_once(mapping: MoveMap, mapped: TableMap, staged: str) -> str:
    """The staged rows with what several values and rules are made of; OFFSET keeps it from being made for each."""
    walls = "".join(f", {made} AS {sql.name(name)}" for name, made in converting.wall_times(mapped))
    return f"(SELECT s.*, {_told(mapping, mapped)} AS {DIGEST}{walls} FROM {staged} s OFFSET 0)"


def _record(mapped: TableMap) -> str:
    """The key that a new record of ours gets: its own where that is a whole number, or text with us as well."""
    told = f"s.{sql.name(mapped.key)}"
    if mapped.entity.key.kind is Kind.OWN_KEY:
        return told
    sequence = f"pg_get_serial_sequence({sql.value(mapped.to)}, 'id')"
    # As we write it: 007 is 7.
    return f"CASE WHEN {told} ~ '{WHOLE_KEY}' THEN {told}::numeric::text ELSE nextval({sequence})::text END"


def _written_by_rules(mapped: TableMap) -> str:
    """Columns that no source has, and that a decision may fill."""
    return "".join(f", NULL::varchar AS {name}" for name in by_rules(mapped))


def by_rules(mapped: TableMap) -> tuple[str, ...]:
    return BY_RULES.get(mapped.to, ()) if mapped.filling("status") else ()


def _known(mapping: MoveMap, mapped: TableMap) -> str:
    return (
        f"LEFT JOIN moved_rows k ON k.source_key = s.{sql.name(mapped.key)} AND k.system = {sql.value(mapping.system)} "
        f"AND k.table_name = {sql.value(mapped.to)}"
    )


def _broken(mapping: MoveMap, mapped: TableMap) -> str:
    """What is true of a row as an array; looked at one by one only where anything is."""
    found = list(converting.checks(mapping, mapped))
    if not found:
        return "NULL::text[]"
    each = ", ".join(f"CASE WHEN {check.breaks} THEN {sql.value(f'{check.rule}:{check.ours}')} END" for check in found)
    any_of = " OR ".join(f"({check.breaks})" for check in found)
    return f"CASE WHEN {any_of} THEN array_remove(ARRAY[{each}], NULL) END"


def _references(mapped: TableMap) -> list[Field]:
    return [
        each
        for each in mapped.fields()
        if each.kind in {Kind.REFERENCE, Kind.ORGANIZATION} and mapped.filling(each.ours)
    ]


def _join(mapped: TableMap, ours: Field, parents: Mapping[str, str]) -> str:
    column = mapped.filling(ours.ours)
    told = sql.name(column.name) if column else ""
    parent = parents.get(ours.of, "(SELECT NULL::text AS source_key, NULL::text AS record)")
    alias = f"r_{ours.ours}"
    organizations = parents.get("organizations by id", "organizations")
    if ours.kind is Kind.ORGANIZATION:
        return (
            f" LEFT JOIN (SELECT p.source_key, o.workos_id FROM {parent} p JOIN {organizations} o "
            f"ON o.id::text = p.record) {alias} ON {alias}.source_key = s.{told}"
        )
    return f" LEFT JOIN {parent} {alias} ON {alias}.source_key = s.{told}"


def moved_parents(mapping: MoveMap) -> dict[str, str]:
    """Of each of our tables, its records by the key that this system knows them by."""
    return {
        table.to: "(SELECT source_key, record FROM moved_rows WHERE record IS NOT NULL "
        f"AND system = {sql.value(mapping.system)} AND table_name = {sql.value(table.to)})"
        for table in mapping.tables
    }


def breaks_any(mapping: MoveMap, decision: str) -> str:
    """SQL that is true of a row of `prepared` that breaks a rule about which this was decided."""
    return _breaks([rule for rule in Rule if mapping.decided(rule) == decision])


def repairs_any(mapping: MoveMap) -> str:
    """SQL that is true of a row of `prepared` that is brought over as something else than the source says."""
    return _breaks([rule for rule in Rule if mapping.decided(rule) in REPAIRS.get(rule, {})])


def _breaks(rules: Sequence[Rule]) -> str:
    if not rules:
        return "false"
    named = sql.values(rule.value for rule in rules)
    return f"EXISTS (SELECT FROM unnest(broken) b WHERE split_part(b, ':', 1) IN ({named}))"
