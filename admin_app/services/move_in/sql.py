"""Pieces of SQL text: names and values of a source are never put into a statement as they are."""

from collections.abc import Iterable

from psycopg import sql


def name(*parts: str) -> str:
    """An identifier, quoted."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def value(text: str | int | None) -> str:
    """A literal."""
    return sql.Literal(text).as_string(None)


def values(texts: Iterable[str | int]) -> str:
    return ", ".join(value(text) for text in texts)
