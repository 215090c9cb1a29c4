"""A mapping and a source together: what the file says of columns that the source really has."""

from collections.abc import Sequence
from dataclasses import replace

from admin_app.errors import InvalidInput
from admin_app.integrations.earlier import SourceTable
from admin_app.services.move_in.mapping import ColumnMap, MoveMap, TableMap


def matched(mapping: MoveMap, tables: Sequence[SourceTable]) -> MoveMap:
    """The mapping with the source's own types. Columns that came since stand there undecided.

    Raises InvalidInput when the source lacks a table or column that the mapping reads, or a table has no key.
    """
    there = {table.name: table for table in tables}
    lacking = [table.name for table in mapping.tables if table.name not in there]
    for table in mapping.tables:
        known = {column.name for column in there[table.name].columns} if table.name in there else set()
        lacking += [f"{table.name}.{column.name}" for column in table.read if known and column.name not in known]
        if known and table.key and table.key not in known:
            lacking.append(f"{table.name}.{table.key}")
    if keyless := [table.name for table in mapping.tables if table.name in there and not table.key]:
        raise InvalidInput(
            f"No one column is the key of {', '.join(keyless)}: say in `key` which one has another value in each row."
        )
    if lacking:
        raise InvalidInput(f"The mapping reads what the earlier system does not have: {', '.join(lacking)}.")
    matching = (_matched(table, there[table.name], mapping.currency) for table in mapping.tables)
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
