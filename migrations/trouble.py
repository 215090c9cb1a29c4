"""What can happen to anybody's migration, said in sentences: no way in, no rights, no time, no connection any more.

What is done so far is kept (each statement is a transaction of its own); every sentence says what to do next.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from migrations.running import MigrationRefused

KEPT = "What is done so far is kept; put that right and run the same command again."
BY_CODE = {
    "42501": "{user} lacks a right: {said}. Tables can be changed by their owner alone. " + KEPT,
    "57014": "A statement did not end within its time limit and was taken back: {said}. Nobody waits for it any more. "
    "What is done so far is kept; run the same command again at a quieter hour.",
    "53100": "The server's disk is full: {said}. " + KEPT,
    "53200": "The server has no memory left for this: {said}. " + KEPT,
    "25006": "The server only reads, it is a replica: {said}. Give the address of the one that writes.",
}
NO_WAY_IN = "No connection to the database at {where}: {said}. Nothing has been changed."
CONNECTION_LOST = (
    "The connection to the database was lost: {said}. What is done so far is kept; run the same command again."
)


@contextmanager
def in_sentences(address: URL) -> Iterator[None]:
    """Raise what is nobody's mistake in the code as MigrationRefused, without the trace of the code."""
    where = f"{address.host or 'the local socket'}:{address.port or 5432}/{address.database or ''}"
    try:
        yield
    except DBAPIError as error:
        sentence = _sentence(error, where, str(address.username or "The user"))
        if sentence is None:
            raise
        raise MigrationRefused(sentence) from None


def _sentence(error: DBAPIError, where: str, user: str) -> str | None:
    code = getattr(error.orig, "sqlstate", None)
    said = _said(error)
    if code in BY_CODE:
        return BY_CODE[code].format(said=said, user=user)
    if error.connection_invalidated or (code or "").startswith(("08", "57P")):
        return CONNECTION_LOST.format(said=said)
    # Refused before there was a session: psycopg has no code for that.
    is_way_in = error.statement is None and type(error.orig).__name__ in {"OperationalError", "ProgrammingError"}
    return NO_WAY_IN.format(where=where, said=said) if is_way_in else None


def _said(error: DBAPIError) -> str:
    """The server's own first sentence, without its label, its end and what it was asked."""
    lines = [line for line in str(error.orig).splitlines() if line.strip()] or ["no reason was given"]
    known = [line.partition("FATAL:")[2] for line in lines if "FATAL:" in line]
    return (known[0] if known else lines[0]).strip().rstrip(".")
