"""A mapping and a source together: what the file says of columns that the source really has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from admin_app.errors import InvalidInput
from admin_app.integrations.earlier import SourceTable, joined
from admin_app.services.move_in.mapping import ColumnMap, MoveMap, TableMap

LACKING = "The mapping reads what the earlier system does not have"


def as_read(table: TableMap, there: Mapping[str, SourceTable]) -> SourceTable:
    """What the rows of one of our tables are read from: a table of the source, and what is joined to it."""
    first = there[table.name]
    if table.join is None:
        return first
    return joined(first, there[table.join.table], on=table.join.on, to=table.join.to)


def _lacking_join(table: TableMap, there: Mapping[str, SourceTable]) -> Iterator[str]:
    if table.join is None:
        return
    if table.join.table not in there:
        yield table.join.table
    elif there[table.join.table].column(table.join.to) is None:
        yield f"{table.join.table}.{table.join.to}"
    if there[table.name].column(table.join.on) is None:
        yield f"{table.name}.{table.join.on}"


def matched(mapping: MoveMap, tables: Sequence[SourceTable]) -> MoveMap:
    """The mapping with the source's own types. Columns that came since stand there undecided.

    Raises InvalidInput when the source lacks a table or column that the mapping reads, or a table has no key.
    """
    there = {table.name: table for table in tables}
    lacking = [table.name for table in mapping.tables if table.name not in there]
    lacking += [joins for table in mapping.tables if table.name in there for joins in _lacking_join(table, there)]
    if lacking:
        raise InvalidInput(f"{LACKING}: {', '.join(lacking)}.")
    for table in mapping.tables:
        known = {column.name for column in as_read(table, there).columns}
        lacking += [f"{table.name}.{column.name}" for column in table.read if column.name not in known]
        if table.key and table.key not in known:
            lacking.append(f"{table.name}.{table.key}")
    if keyless := [table.name for table in mapping.tables if not table.key]:
        raise InvalidInput(
            f"No one column is the key of {', '.join(keyless)}: say in `key` which one has another value in each row."
        )
    if lacking:
        raise InvalidInput(f"{LACKING}: {', '.join(lacking)}.")
    matching = (_matched(table, as_read(table, there), mapping.currency) for table in mapping.tables)
    return replace(mapping, tables=tuple(matching))


def _matched(table: TableMap, there: SourceTable, currency: str) -> TableMap:
    columns: list[ColumnMap] = []
    for column in there.columns:
        said = [each for each in table.columns if each.name == column.name]
        columns += [replace(each, type=column.type) for each in said or [ColumnMap(column.name, column.type)]]
    table = replace(table, columns=tuple(columns))
    if table.filling("price_amount") and not table.filling("price_currency") and "price_currency" not in table.values:
        return replace(table, values={**table.values, "price_currency": currency})
    return table
