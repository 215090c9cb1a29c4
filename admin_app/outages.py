"""Which failures mean that the database is away or busy, and no fault of ours: trying again later helps."""

from enum import Enum

import psycopg
from psycopg import errors as sql
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as NoFreeConnection


class Outage(Enum):
    """Why the database cannot serve a request that is itself in order: trying again later may help."""

    AWAY = "away"  # it cannot be reached, or went away in the middle; every connection is in use
    BUSY = "busy"  # somebody else holds what was needed, or it took too long; nothing was changed


_BUSY = (
    *(sql.LockNotAvailable, sql.DeadlockDetected, sql.SerializationFailure),
    *(sql.QueryCanceled, sql.IdleInTransactionSessionTimeout, sql.TransactionTimeout),
)


def outage_of(error: BaseException | None) -> Outage | None:
    """What of the database's failed, also behind an error of a library that speaks to it for us; None when nothing."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found = _of_one(error)
        if found is not None:
            return found
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _of_one(error: BaseException) -> Outage | None:
    if isinstance(error, NoFreeConnection):
        return Outage.AWAY
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, _BUSY):
        return Outage.BUSY
    if isinstance(driver, psycopg.OperationalError | psycopg.InterfaceError):
        return Outage.AWAY
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Outage.AWAY
    # Whoever goes on after a failed flush; by then the first failure is only told about.
    if isinstance(error, PendingRollbackError) and error.code == "8s2b":
        return Outage.AWAY
    return None
