"""The FROM of a statement over a source's table and what is joined to it: the same SQL for every server."""

from collections.abc import Callable

from admin_app.integrations.earlier.source import SourceColumn, SourceTable, rows_of

Quote = Callable[[str], str]


def column(table: SourceTable, name: str, *, quoted: Quote) -> str:
    """SQL of a column as it is called in `SourceTable.columns`, or of how many rows are joined to the row."""
    if table.join is None:
        return quoted(name)
    other, to = table.join.table, f"j.{quoted(table.join.to)}"
    if name == rows_of(other.name):
        return f"CASE WHEN {to} IS NULL THEN 0 ELSE {'1' if _is_key(table) else f'j.{quoted(name)}'} END"
    theirs = name.removeprefix(f"{other.name}.")
    return f"j.{quoted(theirs)}" if theirs != name else f"m.{quoted(name)}"


def reading(table: SourceTable, *, named: Quote, quoted: Quote, casts: bool = False) -> str:
    """What is read, with one row for each row of the table, whatever is joined to it: of several rows the first.

    `casts`: the server compares no values of different types by itself.
    """
    if table.join is None:
        return named(table.name)
    on, to, other = quoted(table.join.on), quoted(table.join.to), table.join.table
    both = [f"m.{on}", f"j.{to}"]
    if casts and len({_kind(found) for found in (table.column(table.join.on), other.column(table.join.to))}) > 1:
        both = [f"CAST({each} AS text)" for each in both]
    is_its = " = ".join(both)
    if _is_key(table):
        return f"{named(table.name)} m LEFT JOIN {named(other.name)} j ON {is_its}"
    order = ", ".join(f"o.{quoted(name)}" for name in other.key or (table.join.to,))
    counted = quoted(rows_of(other.name))
    each = (
        f"SELECT o.*, COUNT(*) OVER (PARTITION BY o.{to}) AS {counted}, "
        f"ROW_NUMBER() OVER (PARTITION BY o.{to} ORDER BY {order}) AS {quoted(PLACE)} FROM {named(other.name)} o"
    )
    return f"{named(table.name)} m LEFT JOIN ({each}) j ON {is_its} AND j.{quoted(PLACE)} = 1"


PLACE = "place among those of one row"


def _kind(column: SourceColumn | None) -> str:
    """Types that compare with each other, and by their indexes."""
    told = column.type if column else ""
    if told in {"smallint", "integer", "bigint"}:
        return "number"
    return "text" if told.startswith(("text", "character varying")) else told


def _is_key(table: SourceTable) -> bool:
    """Whether there is one joined row at most: then the server need not look."""
    return table.join is not None and table.join.table.key == (table.join.to,)
