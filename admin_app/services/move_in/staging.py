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
from admin_app.services.move_in import converting, sql
from admin_app.services.move_in.catalog import Field, Kind
from admin_app.services.move_in.mapping import REPAIRS, MoveMap, Rule, TableMap
from admin_app.services.move_in.reading import ALL, Reading

# Of each of our tables, what a decision about a rule writes beside what a source has.
BY_RULES = {"bookings": ("canceled_because",), "meetings": ("canceled_because",)}
# Names that no source's column has.
DIGEST = '"digest of this row"'


def driver(session: Session) -> psycopg.Connection[Any]:
    """The transaction's own connection, for COPY and for statements whose text is made here."""
    connection: Any = session.connection().connection.driver_connection
    return connection  # type: ignore[no-any-return]


def run(ctx: Ctx, statement: str) -> Any:
    """Run SQL as it is, without parameters; returns the cursor."""
    return driver(ctx.session).execute(statement.encode())


def number(ctx: Ctx, statement: str) -> int:
    """The whole number that the statement's first row begins with."""
    return int(run(ctx, statement).fetchone()[0])


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


def stage(ctx: Ctx, reading: Reading, mapped: TableMap, *, into: str, limit: int = ALL) -> int:
    """Bring the next rows of a source into a table of text columns, the key first; how many there were."""
    listed = ", ".join(f"{sql.name(name)} text" for name in columns_read(mapped))
    run(ctx, f"DROP TABLE IF EXISTS pg_temp.{into}; CREATE TEMP TABLE {into} ({listed}) ON COMMIT DROP")
    with driver(ctx.session).cursor().copy(f"COPY {into} FROM STDIN".encode()) as copy:
        return reading.take(limit, copy.write)


def columns_read(mapped: TableMap) -> list[str]:
    """The key, every column that goes anywhere, and how many rows of a joined table there are."""
    counted = [mapped.join.counted] if mapped.join else []
    return list(dict.fromkeys([mapped.key, *(column.name for column in mapped.read), *counted]))


def last_key(ctx: Ctx, mapped: TableMap, into: str) -> str | None:
    """The key of the last row of a stage: COPY keeps the order of what it was given."""
    found = run(ctx, f"SELECT {sql.name(mapped.key)} FROM {into} ORDER BY ctid DESC LIMIT 1").fetchone()
    return str(found[0]) if found else None


def prepare(
    ctx: Ctx, mapping: MoveMap, mapped: TableMap, *, staged: str, into: str, parents: Mapping[str, str],
    told: bool = True,
) -> None:  # fmt: skip
    """Make `prepared` of a stage. `parents`: of each of our tables SQL of its records by source key; `told`: with the
    digest of what the source says.
    """
    run(
        ctx,
        f"DROP TABLE IF EXISTS pg_temp.{into}; CREATE TEMP TABLE {into} ON COMMIT DROP AS "
        f"{prepared(mapping, mapped, staged=staged, parents=parents, told=told)}",
    )


def prepared(
    mapping: MoveMap, mapped: TableMap, *, staged: str, parents: Mapping[str, str], first: bool = False,
    told: bool = True,
) -> str:  # fmt: skip
    """SQL of the rows of `prepared`; `first`: nothing is known of any of them."""
    ours = "".join(f", {expression} AS {sql.name(name)}" for name, expression in converting.parts(mapping, mapped))
    joins = "".join(_join(mapped, each, parents) for each in _references(mapped))
    was = _NOTHING_KNOWN if first else _KNOWN
    digest = f"s.{DIGEST}" if told else "NULL::uuid"
    record = _record(mapped) if first else f"coalesce(k.record, {_record(mapped)})"
    return (
        f"SELECT s.{sql.name(mapped.key)} AS source_key, {digest} AS told, {_broken(mapping, mapped)} AS broken, "
        f"{record} AS record, false AS is_conflict, {was}{ours}{_written_by_rules(mapped)} "
        f"FROM {_read_once(mapping, mapped, staged)} s {'' if first else _known(mapping, mapped)}{joins}"
    )


# What became of a row before.
_KNOWN = (
    "k.record IS NOT NULL AS is_known, k.left_because IS NOT NULL AS was_left, "
    "CASE WHEN k.record IS NOT NULL THEN k.told END AS told_before, k.kept AS kept_before"
)
_NOTHING_KNOWN = "false AS is_known, false AS was_left, NULL::uuid AS told_before, NULL::uuid AS kept_before"


def _told(mapping: MoveMap, mapped: TableMap) -> str:
    """What the source says, and how it is read: where the mapping changed, every row did."""
    read = hashlib.sha256(repr((mapped, mapping.currency, sorted(mapping.decisions.items()))).encode()).digest()
    told = (f"s.{sql.name(name)}" for name in columns_read(mapped))
    return sql.as_uuid(sql.row_hash(told, int.from_bytes(read[:7])))


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
    column = next((each for each in mapped.columns if each.name == mapped.key), None)
    # As we write it: 007 is 7.
    number_of_theirs = converting.is_own_number(column, told)
    return f"CASE WHEN {number_of_theirs} THEN {told}::numeric::text ELSE nextval({sequence})::text END"


def _written_by_rules(mapped: TableMap) -> str:
    """Columns that no source has, and that a decision may fill."""
    return "".join(f", NULL::varchar AS {name}" for name in by_rules(mapped))


def by_rules(mapped: TableMap) -> tuple[str, ...]:
    """The columns of ours that the product's rules set from a row's status; none where no status is moved."""
    return BY_RULES.get(mapped.to, ()) if mapped.filling("status") else ()


def _known(mapping: MoveMap, mapped: TableMap) -> str:
    """Each looked up by its key: a server that has not counted `moved_rows` yet would read all of it every time."""
    return (
        f"LEFT JOIN LATERAL (SELECT * FROM moved_rows m WHERE m.source_key = s.{sql.name(mapped.key)} "
        f"AND m.system = {sql.value(mapping.system)} AND m.table_name = {sql.value(mapped.to)} OFFSET 0) k ON true"
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


def breaks_any(mapping: MoveMap, decision: str, broken: str = "broken") -> str:
    """SQL that is true of a row of `prepared` that breaks a rule about which this was decided."""
    return _breaks([rule for rule in Rule if mapping.decided(rule) == decision], broken)


def repairs_any(mapping: MoveMap, broken: str = "broken") -> str:
    """SQL that is true of a row of `prepared` that is brought over as something else than the source says."""
    return _breaks([rule for rule in Rule if mapping.decided(rule) in REPAIRS.get(rule, {})], broken)


def _breaks(rules: Sequence[Rule], broken: str) -> str:
    if not rules:
        return "false"
    named = sql.values(rule.value for rule in rules)
    any_of = f"EXISTS (SELECT FROM unnest({broken}) b WHERE split_part(b, ':', 1) IN ({named}))"
    return f"({broken} IS NOT NULL AND {any_of})"
