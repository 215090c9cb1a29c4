"""The times and numbers that are taken from outside: what lies beyond is refused where it is read.

Within these years a day more or less, a change of zone and every page and file that shows the moment still work;
Python's own last year is a step away from an overflow, and PostgreSQL's `bigint` from an error below the door.
"""

from datetime import datetime

FIRST_YEAR, LAST_YEAR = 1970, 2199
BIGGEST = 2**63 - 1  # no record's number is larger


def is_reachable(moment: datetime) -> bool:
    """Whether a moment lies within the years that are taken, in whatever zone it is stated."""
    return FIRST_YEAR <= moment.year <= LAST_YEAR
