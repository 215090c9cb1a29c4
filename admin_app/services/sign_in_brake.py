"""The brake on guessing passwords: after a few failures a wait that doubles, kept in the database."""

import hashlib
from datetime import datetime, timedelta
from typing import Protocol

from admin_app.errors import TooManyAttempts

FREE_FAILURES = 4
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=15)


class Braked(Protocol):
    """Whatever counts failures: a staff member, an unknown address or a network address."""

    failed_sign_ins: int
    locked_until: datetime | None


def is_on(row: Braked, now: datetime) -> bool:
    return row.locked_until is not None and row.locked_until > now


def count_failure(row: Braked, now: datetime, *, free: int = FREE_FAILURES) -> bool:
    """Count one more failure on a row that is locked; True when the brake goes on by it."""
    row.failed_sign_ins += 1
    beyond = row.failed_sign_ins - free
    if beyond <= 0:
        return False
    # The exponent is bounded before the doubling: the counter itself never is.
    row.locked_until = now + min(FIRST_WAIT * 2 ** min(beyond - 1, 10), LONGEST_WAIT)
    return True


def release(row: Braked) -> None:
    row.failed_sign_ins = 0
    row.locked_until = None


def too_many_attempts() -> TooManyAttempts:
    return TooManyAttempts("Too many attempts. Wait up to 15 minutes and try again, or ask an administrator.")


def digest(kind: str, value: str) -> bytes:
    """The key of a row about someone unknown: what they typed is not kept."""
    return hashlib.sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).digest()
