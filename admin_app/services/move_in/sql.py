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
    """Each quoted as a literal, with commas between them: what stands within the brackets of IN."""
    return ", ".join(value(text) for text in texts)


def row_hash(told: Iterable[str], seed: int = 0) -> str:
    """64 bits of all of these values together and of which are NULL. PostgreSQL keeps what it answers the same from
    version to version, because partitions by hash stand on it; of text made of the row it takes a third of the time.
    """
    return f"hash_record_extended(ROW({', '.join(told)}), {seed})"


def as_uuid(bits: str) -> str:
    """64 bits where a column is twice as wide."""
    return f"lpad(to_hex({bits}), 32, '0')::uuid"
