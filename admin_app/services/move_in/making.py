"""The first mapping of a source: everything that can be known from its tables alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from admin_app.errors import NotFound
from admin_app.integrations.earlier import Family, Source, SourceColumn, SourceTable
from admin_app.services.move_in.catalog import (
    NAME_PARTS,
    OF,
    PUT_TOGETHER,
    SAME_LABEL,
    SYSTEMS,
    Entity,
    Field,
    Kind,
    System,
    bare,
)
from admin_app.services.move_in.joining import may_say, with_partners
from admin_app.services.move_in.mapping import (
    REFUSE,
    UNDECIDED,
    ColumnMap,
    JoinMap,
    MoveMap,
    Rule,
    TableMap,
    Unit,
)
from models import Base, MovedRow

# Kept by the tools that earlier systems were built with, and nobody's data.
TOOLS_OWN = frozenset({"prismamigrations", "drizzlemigrations", "schemamigrations", "knexmigrations"})
# Programs that write UTC into times without a zone, whatever the machine's clock says.
WRITES_UTC = "UTC"


@dataclass(frozen=True)
class Recognised:
    """A system that is there, and which of the source's tables is which of ours, with what is joined to it."""

    system: System
    tables: dict[str, SourceTable]


def recognise(tables: Sequence[SourceTable]) -> list[Recognised]:
    """The earlier systems that these tables are; a table belongs to the first that has it."""
    tables = not_ours(tables)
    named = {entity.table: found for entity in OF.values() if (found := _called(entity, tables))}
    named = with_partners(named, tables)
    there = []
    for system in SYSTEMS:
        known = {ours: named[ours] for ours in system.tables if ours in named}
        if any(_shows(sign, known) for sign in system.signs):
            there.append(Recognised(system, known))
            for ours in known:
                named.pop(ours)
    return there


def not_ours(tables: Sequence[SourceTable]) -> Sequence[SourceTable]:
    """Where a source is Backdesk's own schema, the tables beside its own."""
    is_ours = any(table.name == MovedRow.__tablename__ for table in tables)
    return [table for table in tables if table.name not in Base.metadata.tables] if is_ours else tables


def require_recognised(tables: Sequence[SourceTable], name: str | None) -> Recognised:
    """The one system, or the named one of several; raises NotFound with what is there instead."""
    found = recognise(tables)
    chosen = [one for one in found if name in (None, one.system.name)]
    if len(chosen) == 1:
        return chosen[0]
    if not found:
        seen = ", ".join(table.name for table in not_ours(tables)) or "no table at all"
        raise NotFound(f"None of the earlier systems is there. What is there: {seen}.")
    names = ", ".join(one.system.name for one in found)
    raise NotFound(f"There are these earlier systems: {names}. Say which one by --system.")


def make(source: Source, recognised: Recognised, tables: Sequence[SourceTable]) -> MoveMap:
    """Every column of every table: where it goes, or that it has to be decided."""
    mine = [_table(source, OF[ours], table) for ours, table in recognised.tables.items()]
    mine = _with_what_is_booked(_decided_once(mine))
    tables = not_ours(tables)
    ours = {name for table in recognised.tables.values() for name in _names(table)}
    others = {table.name: UNDECIDED for table in tables if table.name not in ours and bare(table.name) not in TOOLS_OWN}
    for other in recognise(tables):
        if other.system != recognised.system:
            theirs = {name for table in other.tables.values() for name in _names(table)} - ours
            others |= dict.fromkeys(theirs, f"of the system {other.system.name}")
    return MoveMap(recognised.system.name, tuple(mine), "usd", dict.fromkeys(Rule, REFUSE), others)


def _names(table: SourceTable) -> list[str]:
    return [table.name, *([table.join.table.name] if table.join else [])]


def _decided_once(mine: list[TableMap]) -> list[TableMap]:
    """Where two of our tables are filled with the help of one further table, its other columns are asked for once."""
    asked: dict[str, str] = {}
    once = []
    for table in mine:
        join = table.join
        if join is None or join.table not in asked:
            once.append(table)
        else:
            beside = f"see tables.{asked[join.table]}"
            columns = [
                replace(each, left=beside) if each.is_undecided and join.has(each.name) else each
                for each in table.columns
            ]
            once.append(replace(table, columns=tuple(columns)))
        if join is not None:
            asked.setdefault(join.table, table.to)
    return once


def _with_what_is_booked(mine: list[TableMap]) -> list[TableMap]:
    """Where bookings say no session type, each practitioner gives one, made from the practitioner's own row."""
    there = {table.to: table for table in mine}
    booked, people = there.get("bookings"), there.get("practitioners")
    if booked is None or people is None or "session_types" in there or booked.filling("session_type_id"):
        return mine
    columns = tuple(
        replace(column, to="practitioner_id", zone=None, unit=None, labels={}, left=None)
        if column.name == people.key
        else replace(column, to=None, zone=None, unit=None, labels={}, left="of the practitioner")
        for column in people.columns
        if people.join is None or not people.join.has(column.name)
    )
    values = {"title": "Appointment", "minutes": UNDECIDED}
    given = TableMap(people.name, "session_types", people.key, columns, values)
    practitioner = booked.filling("practitioner_id")
    both = [replace(practitioner, to="session_type_id")] if practitioner else []
    booked = replace(booked, columns=(*booked.columns, *both))
    others = [table for table in mine if table.to != "bookings"]
    return [*others, given, booked]


def _called(entity: Entity, tables: Sequence[SourceTable]) -> SourceTable | None:
    exact = [table for table in tables if bare(table.name) == bare(entity.table)]
    return next(iter(exact or [table for table in tables if entity.is_called(table.name)]), None)


def _shows(sign: str, known: dict[str, SourceTable]) -> bool:
    table, _, column = sign.partition(".")
    if table not in known:
        return False
    wanted, there = OF[table].field(column), known[table]
    return any(wanted.is_called(_plain(there, each.name)) for each in there.columns)


def _plain(table: SourceTable, column: str) -> str:
    """A column's own name, also of one that is joined."""
    return column.removeprefix(f"{table.join.table.name}.") if table.join else column


def _table(source: Source, entity: Entity, table: SourceTable) -> TableMap:
    taken: set[str] = set()
    columns = []
    for column in table.columns:
        found = _best(entity, table, column)
        left = _only_joins(entity, table, column, found, taken)
        if left is None and found is not None and found.ours not in taken:
            taken.add(found.ours)
            columns.append(_column(source, found, column))
        else:
            columns.append(ColumnMap(column.name, column.type, left=left))
    columns = [_part_of_name(entity, table, column, taken) for column in columns]
    starts = next((column for column in columns if column.to == "starts_at"), None)
    if starts is not None and "ends_at" not in taken:
        columns.append(replace(starts, to="ends_at", plus=None))
    join = JoinMap(table.join.table.name, table.join.on, table.join.to) if table.join else None
    # By a part of a key rows are not told apart: which column does is for the mover to say.
    key = table.key[0] if len(table.key) == 1 else ""
    return TableMap(table.name, entity.table, key, tuple(columns), join=join)


def _only_joins(
    entity: Entity, table: SourceTable, column: SourceColumn, found: Field | None, taken: set[str]
) -> str | None:
    """Why a column is left behind that only holds two tables together, or that both tables have."""
    if table.join is None:
        return None
    other = table.join.table.name
    if column.name == f"{other}.{table.join.to}" or (column.name == table.join.on and found is None):
        return f"says which row of {other} it is"
    if found is not None and found.kind is Kind.IDENTITY and column.name not in table.key:
        return f"a row of {table.name} is known by its {table.key[0]}"
    if found is None or column.name == _plain(table, column.name):
        return None
    if found.ours in taken:
        return f"{table.name} says it itself"
    return None if may_say(entity, found.ours) else f"it is about the row of {other}"


def _part_of_name(entity: Entity, table: SourceTable, column: ColumnMap, taken: set[str]) -> ColumnMap:
    """Where no column is the name, those that are parts of it are put together."""
    name = next((each.ours for each in entity.fields if each.ours in PUT_TOGETHER and each.ours not in taken), None)
    is_part = column.is_undecided and bare(_plain(table, column.name)) in NAME_PARTS
    return replace(column, to=name) if name is not None and is_part else column


def _best(entity: Entity, table: SourceTable, column: SourceColumn) -> Field | None:
    """Our own name counts first, so that a column is not given to one that only sounds like it."""
    name = _plain(table, column.name)
    found = entity.called(name)
    if found is None or bare(found.ours) == bare(name):
        return found
    named = [other for other in table.columns if bare(_plain(table, other.name)) == bare(found.ours)]
    return None if named else found


def _column(source: Source, ours: Field, column: SourceColumn) -> ColumnMap:
    zone = unit = None
    if ours.kind is Kind.MOMENT and column.is_local_time:
        zone = UNDECIDED if source.family is Family.MYSQL else WRITES_UTC
    if ours.kind is Kind.MONEY:
        unit = _unit(column)
    labels = {label: _same(ours, label) for label in column.labels} if ours.kind is Kind.LABEL else {}
    return ColumnMap(column.name, column.type, ours.ours, zone=zone, unit=unit, labels=labels)


def _unit(column: SourceColumn) -> Unit:
    if column.is_fraction:
        return Unit.MAJOR
    says_minor = bare(column.name).endswith(("cents", "minor")) or column.name == "price_amount"
    return Unit.MINOR if says_minor else Unit.UNDECIDED


def _same(ours: Field, label: str) -> str:
    """The label of ours that this one is spelled like."""
    for known in ours.labels:
        if bare(known) == bare(label):
            return known
    same = SAME_LABEL.get(bare(label), "")
    return same if same in ours.labels else UNDECIDED
