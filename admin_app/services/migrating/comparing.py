"""The schema of a database against the models: as Alembic compares, told column by column."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Column, Connection, Enum, ForeignKeyConstraint, Table, UniqueConstraint, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, SAWarning

from admin_app.services.migrating.catalogue import Catalogue, ColumnThere, ConstraintThere
from admin_app.services.migrating.report import Line, Section, Verdict
from migrations import other_names
from models import Base

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
QUEUE = "procrastinate_"
"""Its tables come with the queue's own SQL and have no model."""
NOT_OURS = "not Backdesk's"


@dataclass
class Differences:
    """What Alembic found: per column, and the names of indexes and constraints that are missing or unlike."""

    columns: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    missing: set[tuple[str, str]] = field(default_factory=set)
    unlike: set[tuple[str, str]] = field(default_factory=set)


def differences(connection: Connection) -> Differences:
    """Alembic's own comparison of the models with this database, which may lack anything."""
    found = Differences()
    migrations: MigrationContext = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "include_object": lambda ours, _name, kind, _reflected, there: (
                kind != "column" or not _without_identity(migrations, found, ours, there)
            ),
            "include_name": lambda name, kind, _parents: not (kind == "table" and str(name).startswith(QUEUE)),
        },
    )
    _differ_where_they_cannot_be_compared(migrations)
    with warnings.catch_warnings():
        # A type that SQLAlchemy does not know is somebody else's column.
        warnings.simplefilter("ignore", SAWarning)
        changes = compare_metadata(migrations, Base.metadata)
    gone: set[tuple[str, str]] = set()
    for change in changes:
        for one in change if isinstance(change, list) else [change]:
            _sort_in(found, gone, one)
    found.unlike = found.missing & gone
    return found


def _without_identity(migrations: MigrationContext, found: Differences, ours: Any, there: Any) -> bool:
    """Whether it is a key of ours that has a default of its own there; Alembic 1.20 fails on the two, so we compare."""
    if there is None or ours.identity is None or there.identity is not None or there.server_default is None:
        return False
    differs = ["type"] if migrations.impl.compare_type(there, ours) else []
    found.columns[ours.table.name, ours.name] = ["default", *differs]
    return True


def _differ_where_they_cannot_be_compared(migrations: MigrationContext) -> None:
    """Alembic lets PostgreSQL compare two defaults, which it refuses when they are of unlike types.

    A comparison of one's own by `compare_server_default` would fail on identity columns (alembic 1.20).
    """
    compare = migrations.impl.compare_server_default

    def differs(*defaults: Any) -> bool:
        try:
            return bool(compare(*defaults))  # type: ignore[no-untyped-call]
        except DBAPIError:
            return True

    migrations.impl.compare_server_default = differs  # type: ignore[method-assign]


def _sort_in(found: Differences, gone: set[tuple[str, str]], change: tuple[Any, ...]) -> None:
    kind, *rest = change
    if kind.startswith("modify_"):
        _schema, table, column, _kwargs, _there, _ours = rest
        found.columns.setdefault((table, column), []).append(kind.removeprefix("modify_"))
    elif kind in {"add_index", "add_constraint", "add_fk"}:
        found.missing.add((rest[0].table.name, str(rest[0].name)))
    elif kind in {"remove_index", "remove_constraint", "remove_fk"}:
        gone.add((rest[0].table.name, str(rest[0].name)))


def sections(connection: Connection, there: Catalogue) -> list[Section]:
    """Columns, enum labels, indexes, foreign keys and checks, and flags without a value."""
    unlike = differences(connection)
    return [
        Section("Columns", ("Table", "Column", "Type", "Nullable", "Default"), tuple(_columns(there, unlike))),
        Section("Enum labels, in order", ("Type", "Labels"), tuple(_labels(there))),
        Section("Indexes", ("Table", "Index"), tuple(_indexes(there, unlike))),
        Section("Foreign keys and checks", ("Table", "Constraint", "Kind"), tuple(_constraints(there))),
        Section("Flags without a value", ("Table", "Flag", "Rows with NULL"), tuple(_flags(connection, there))),
    ]


# -- columns ----------------------------------------------------------------------------------------------------------


def _columns(there: Catalogue, unlike: Differences) -> Iterator[Line]:
    for table in Base.metadata.sorted_tables:
        columns = there.tables.get(table.name)
        if columns is None:
            yield Line((table.name, "", "", "", ""), Verdict.WRONG, _missing_table(table.name, there))
            continue
        meant = {ours: other for other, ours in other_names.columns(table.name, columns, table.columns.keys())}
        for column in table.columns:
            yield _column(table, column, columns, unlike, meant.get(column.name))
        for name in columns.keys() - table.columns.keys():
            yield _column_of_others(table.name, name, columns[name])
    ours = {*Base.metadata.tables, "alembic_version"}
    for name in there.tables.keys() - ours:
        if not name.startswith(QUEUE):
            yield Line((name, "", "", "", ""), Verdict.NOTE, f"{NOT_OURS} table, {len(there.tables[name])} columns")


def _missing_table(name: str, there: Catalogue) -> str:
    alike = [other for other in there.tables if other_names.of_table(other) == other_names.of_table(name)]
    return "the table is missing" + (f'; "{alike[0]}" means it' if alike else "")


def _column(
    table: Table, column: Column[Any], columns: dict[str, ColumnThere], unlike: Differences, meant: str | None
) -> Line:
    found = columns.get(column.name)
    if found is None:
        wanted = f"the column is missing: {_wanted(column)}" + (f'; "{meant}" means it' if meant else "")
        return Line((table.name, column.name, "", "", ""), Verdict.WRONG, wanted)
    parts = unlike.columns.get((table.name, column.name), [])
    cells = (table.name, column.name, found.type, "no" if found.required else "yes", found.default or "")
    if parts and _as_good(column, found, parts):
        return Line(cells, Verdict.NOTE, f"as the earlier system had it, {_wanted(column)}")
    if parts:
        return Line(cells, Verdict.WRONG, f"{', '.join(sorted(parts))} differs: {_wanted(column)}")
    return Line(cells)


def _as_good(column: Column[Any], found: ColumnThere, parts: Iterable[str]) -> bool:
    """Keys that count by a sequence, and keys of 32 bit, are left as they were found."""
    is_key = column.primary_key or bool(column.foreign_keys)
    counts = column.identity is not None and (found.default or "").startswith("nextval(")
    narrow = is_key and found.type in {"integer", "smallint"}
    return all({"default": counts, "type": narrow}.get(part, False) for part in parts)


def _column_of_others(table: str, name: str, found: ColumnThere) -> Line:
    cells = (table, name, found.type, "no" if found.required else "yes", found.default or "")
    if found.required and found.default is None:
        return Line(cells, Verdict.WRONG, f"{NOT_OURS}, must hold a value and has no default: no row can be added")
    return Line(cells, Verdict.NOTE, NOT_OURS)


def _wanted(column: Column[Any]) -> str:
    default = column.server_default
    words = [column.type.compile(dialect=_DIALECT).lower(), "null" if column.nullable else "not null"]
    if column.identity is not None:
        words.append("identity")
    elif default is not None:
        words.append(f"default {getattr(default, 'arg', default)}")
    return f"wanted {' '.join(words)}"


# -- types, indexes, constraints --------------------------------------------------------------------------------------


def _labels(there: Catalogue) -> Iterator[Line]:
    ours: dict[str, list[str]] = {
        str(column.type.name): list(column.type.enums)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Enum) and column.type.native_enum
    }
    for name, wanted in ours.items():
        found = there.labels.get(name)
        if found is None:
            alike = [other for other in there.labels if other_names.meaning(other) == other_names.meaning(name)]
            remark = f"the type is missing: wanted {', '.join(wanted)}"
            remark += f'; "{alike[0]}" means it' if alike else ""
            yield Line((name, ""), Verdict.WRONG, remark)
        elif found != wanted:
            yield Line((name, ", ".join(found)), Verdict.WRONG, f"wanted {', '.join(wanted)}")
        else:
            yield Line((name, ", ".join(found)))
    for name in there.labels.keys() - ours.keys():
        if not name.startswith(QUEUE):
            yield Line((name, ", ".join(there.labels[name])), Verdict.NOTE, NOT_OURS)


def _indexes(there: Catalogue, unlike: Differences) -> Iterator[Line]:
    for table in Base.metadata.sorted_tables:
        for name in _index_names(table):
            yield _index(table.name, name, there, unlike)
    ours = {name for table in Base.metadata.sorted_tables for name in _index_names(table)}
    for name, (table_name, valid) in there.indexes.items():
        if not valid and name not in ours:
            yield Line((table_name, name), Verdict.WRONG, "not valid: its build was interrupted")


def _index_names(table: Table) -> list[str]:
    """Unique constraints among them, each of which is an index of its name."""
    unique = [str(each.name) for each in table.constraints if isinstance(each, UniqueConstraint)]
    return sorted([*unique, *(str(index.name) for index in table.indexes)])


def _index(table: str, name: str, there: Catalogue, unlike: Differences) -> Line:
    place, valid = there.indexes.get(name, ("", False))
    if place != table:
        return Line((table, name), Verdict.WRONG, "missing")
    if not valid:
        return Line((table, name), Verdict.WRONG, "not valid: its build was interrupted")
    if (table, name) in unlike.unlike:
        return Line((table, name), Verdict.WRONG, "of this name, but of another definition")
    return Line((table, name))


def _constraints(there: Catalogue) -> Iterator[Line]:
    by_name = {(found.table, found.name): found for found in there.constraints}
    for table in Base.metadata.sorted_tables:
        keys = (each for each in table.constraints if isinstance(each, ForeignKeyConstraint | CheckConstraint))
        for name, kind in sorted((str(each.name), _kind(each)) for each in keys):
            found = by_name.pop((table.name, name), None)
            yield _constraint((table.name, name, kind), found)
    for found in by_name.values():
        if not found.validated:
            cells = (found.table, found.name, "foreign key" if found.kind == "f" else "check")
            yield Line(cells, Verdict.WRONG, f"not validated, {NOT_OURS}")


def _kind(constraint: ForeignKeyConstraint | CheckConstraint) -> str:
    return "foreign key" if isinstance(constraint, ForeignKeyConstraint) else "check"


def _constraint(cells: tuple[str, str, str], found: ConstraintThere | None) -> Line:
    if found is None:
        return Line(cells, Verdict.WRONG, "missing")
    return Line(cells) if found.validated else Line(cells, Verdict.WRONG, "not validated: some rows may break it")


# -- flags ------------------------------------------------------------------------------------------------------------


def _flags(connection: Connection, there: Catalogue) -> Iterator[Line]:
    """The columns that say yes or no in our tables, those of an earlier system among them."""
    for table in sorted(there.tables.keys() & Base.metadata.tables.keys()):
        flags = [name for name, column in there.tables[table].items() if column.type == "boolean"]
        ours = {column.name for column in Base.metadata.tables[table].columns if not column.nullable}
        unsure = [name for name in flags if not there.tables[table][name].required]
        empty = dict(_empty(connection, table, unsure))
        for name in flags:
            how_many = empty.get(name, 0)
            wrong = how_many > 0 and (name in ours or name not in Base.metadata.tables[table].columns)
            yield Line((table, name, f"{how_many:,}"), *((Verdict.WRONG, "neither on nor off") if wrong else ()))


def _empty(connection: Connection, table: str, columns: Iterable[str]) -> Iterator[tuple[str, int]]:
    quote = _DIALECT.identifier_preparer.quote
    names = list(columns)
    if names:
        counted = ", ".join(f"count(*) FILTER (WHERE {quote(name)} IS NULL)" for name in names)
        row = connection.execute(text(f"SELECT {counted} FROM public.{quote(table)}")).one()  # noqa: S608  quoted names
        yield from zip(names, row, strict=True)
