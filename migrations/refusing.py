"""Rows and states of the database that a revision must not touch: it stops with a sentence, and a person decides."""

from collections.abc import Callable

from migrations.needs import Looks, Refused
from migrations.running import MigrationRefused, noted, offline, rows, unhurried


def refuse_rows(condition: str, table: str, rule: str) -> None:
    """Stop with a sentence that names the rows (by key) for which the condition holds."""
    if noted(Refused(condition, table, rule)):
        return
    sentence = broken(condition, table, rule)
    if sentence:
        raise MigrationRefused(f"{sentence} Put them right and run again.")


def broken(condition: str, table: str, rule: str, read_as: str = "") -> str | None:
    """The rule and the first rows that break it; `read_as` may show the table's columns as they will be."""
    key = next(iter(key_of(table)), "id")
    with unhurried():
        found_rows = rows(f"{read_as} SELECT {quoted(key)} FROM {table} WHERE {condition} ORDER BY 1 LIMIT 21")
    if not found_rows:
        return None
    named = ", ".join(str(row[0]) for row in found_rows[:20]) + (" and more" if found_rows[20:] else "")
    return f"{rule}, but these rows of {table} break that: {named}."


def key_of(table: str) -> list[str]:
    """The columns of the primary key."""
    return [row[0] for row in rows(
        """SELECT a.attname FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (attnum, place)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE i.indrelid = to_regclass(:name) AND i.indisprimary ORDER BY k.place""",
        name=f"public.{table}",
    )]  # fmt: skip


def is_key(table: str, column: str) -> bool:
    return column in key_of(table)


def quoted(name: str) -> str:
    return name if name.isidentifier() and name.islower() else '"' + name.replace('"', '""') + '"'


def refuse_when(look: Callable[[], str | None], *tables: str) -> None:
    """Stop with the sentence that this look at the tables ends with, if it does."""
    if noted(Looks(tables, look)) or offline():
        return
    sentence = look()
    if sentence:
        raise MigrationRefused(sentence)
