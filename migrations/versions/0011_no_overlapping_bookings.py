"""No two held or confirmed bookings of one practitioner overlap.

PostgreSQL has no NOT VALID for this constraint and cannot make one from an index built beforehand: while it is added,
nobody reads or writes bookings. What that costs is measured first, on a copy: each held or confirmed row is put into
the index and compared with its neighbours there (0.06 ms), and the table is read once. When others would wait longer
than SHORT seconds, the table is built anew beside the traffic, with the constraint (migrations/rebuilding.py). Where
that cannot be, because things hang on bookings that another table would lose, nothing is begun and a person chooses:
complete or cancel bookings that are past, which is what most of many held ones are, remove what hangs on the table, or
say in MIGRATE_WINDOW_SECONDS how long others may wait.

Locks: bookings, ACCESS EXCLUSIVE while the index is built, and no longer than SHORT or the seconds that were given; or,
where the table is built anew, SHARE ROW EXCLUSIVE for the moment in which a trigger is made, locks of a batch's rows,
and ACCESS EXCLUSIVE for a change of the catalogue.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from migrations import ops, rebuilding

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAME = "ex_bookings_no_overlap"
# Sorted once, and only then paired: comparing each booking with each takes minutes on a busy calendar.
OVERLAPS = """
WITH held AS (
    SELECT id, practitioner_id, starts_at, ends_at, max(ends_at) OVER (
               PARTITION BY practitioner_id ORDER BY starts_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS busy_until
      FROM bookings WHERE status IN ('pending', 'confirmed')
), late AS (
    SELECT * FROM held WHERE starts_at < busy_until ORDER BY id LIMIT 20
)
SELECT DISTINCT least(late.id, other.id) AS one, greatest(late.id, other.id) AS two
  FROM late JOIN held other ON other.practitioner_id = late.practitioner_id AND other.id <> late.id
   AND other.starts_at < late.ends_at AND other.ends_at > late.starts_at
 ORDER BY 1, 2 LIMIT 20
"""


HELD = "status IN ('pending', 'confirmed')"
DEFINITION = f"EXCLUDE USING gist (practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE ({HELD})"
WINDOW = "MIGRATE_WINDOW_SECONDS"
SAMPLE = 20_000
FEW = 500
# An index build looks at each row more closely than a count does: 1.8 to 2.5 times as long on a million rows.
READS_AS_COUNTS = 2.3
TRIES = 3
HARDLY = 4
CUT_OFF, OVERLAP = "57014", "23P01"  # query_canceled, exclusion_violation
COUNTED = f"""
SELECT count(*) AS held, count(*) FILTER (WHERE ends_at < now()) AS past FROM bookings WHERE {HELD}
"""
# The practitioner is put into the range, so that this can be measured before btree_gist is there.
COPY = f"""
CREATE TEMPORARY TABLE backdesk_held AS SELECT int8range(
    (practitioner_id::numeric * 100000000000 + floor(extract(epoch FROM starts_at)))::bigint,
    (practitioner_id::numeric * 100000000000 + floor(extract(epoch FROM ends_at)))::bigint) AS slot
  FROM bookings WHERE {HELD} AND ends_at > starts_at LIMIT {SAMPLE}
"""


def upgrade() -> None:
    if ops.has_constraint("bookings", NAME, DEFINITION):
        rebuilding.clear("bookings")
        return
    ops.refuse_when(overlapping, "bookings")
    ops.refuse_when(too_long, "bookings")
    most = max(rebuilding.SHORT, window())
    with no_overlap_since():
        if (ops.offline() or sum(least_cost(most)) <= most) and add(most):
            return
        against = rebuilding.stands_against("bookings")
        if against:
            raise ops.MigrationRefused(choice(f"more than the {most:g} s that were given", against))
        rebuilding.with_constraint("bookings", NAME, DEFINITION)


def add(seconds: float) -> bool:
    """Under the lock; false where that took longer than it may. Whoever gave a window gave it once."""
    for _ in range(1 if window() else TRIES):
        try:
            with ops.unhurried(lock_timeout="100ms", statement_timeout=f"{int(seconds * 1200)}ms"):
                ops.execute(f"ALTER TABLE bookings ADD CONSTRAINT {NAME} {DEFINITION}")
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != CUT_OFF:
                raise
        else:
            return True
    return False


@contextmanager
def no_overlap_since() -> Iterator[None]:
    """One that was written since we looked, or is measured, is told as those before are."""
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != OVERLAP:
            raise
        raise ops.MigrationRefused(overlapping() or "A booking overlapped meanwhile. Run again.") from None


def overlapping() -> str | None:
    with ops.unhurried():
        pairs = ops.rows(OVERLAPS)
    named = ", ".join(f"{pair.one} and {pair.two}" for pair in pairs)
    return (
        f"These held or confirmed bookings overlap: {named}. Cancel or move one of each pair and run again."
        if pairs
        else None
    )


def too_long() -> str | None:
    """Only where it can be done neither shortly under the lock nor beside the traffic."""
    against = rebuilding.stands_against("bookings")
    most = max(rebuilding.SHORT, window())
    if not against:
        return None
    try:
        with no_overlap_since():
            read, built = least_cost(most)
    except ops.MigrationRefused as overlap:
        return str(overlap)
    if read + built <= most:
        return None
    return choice(f"about {read + built:.1f} s (reading the table alone {read:.1f} s)", against)


def least_cost(most: float) -> tuple[float, float]:
    """The first that is short, or far from it, else the least of a few: another's work beside us is no cost of ours."""
    measured = []
    for _ in range(TRIES):
        measured.append(cost())
        if not most < sum(measured[-1]) < most * HARDLY:
            break
    return min(measured, key=sum)


def window() -> float:
    """The seconds for which others may wait, as the operator says."""
    given = os.environ.get(WINDOW, "")
    return float(given) if given.replace(".", "", 1).isdigit() else 0.0


def cost() -> tuple[float, float]:
    """Seconds that the constraint would take here: to read the table, and to build the index, which a copy shows."""
    with ops.unhurried():
        ops.execute("SET max_parallel_workers_per_gather = 0")
        begun = time.monotonic()
        held = int(ops.rows(COUNTED)[0][0])
        read = (time.monotonic() - begun) * READS_AS_COUNTS
        ops.execute("RESET max_parallel_workers_per_gather")
        if held < FEW:
            return read, 0.0
        ops.execute(f"DROP TABLE IF EXISTS pg_temp.backdesk_held; {COPY}")
        begun = time.monotonic()
        ops.execute("ALTER TABLE pg_temp.backdesk_held ADD EXCLUDE USING gist (slot WITH &&)")
        built = time.monotonic() - begun
        ops.execute("DROP TABLE pg_temp.backdesk_held")
    return read, built * max(1.0, held / SAMPLE)


def choice(wait: str, against: Sequence[str]) -> str:
    ((held, past),) = ops.rows(COUNTED)
    return (
        "That no two bookings of a practitioner overlap is noted while nobody can read or write bookings, and here "
        f"that takes {wait}: {held} bookings are pending or confirmed, {past} of them past. Complete or cancel what is "
        f"past and run again, or choose a quiet hour and say with {WINDOW}=… for how many seconds others may wait. "
        f"Nobody would wait if another table could take this one's place, which is not so because of "
        f"{'; '.join(against)}: remove that, run again, and make it anew afterwards."
    )


def downgrade() -> None:
    ops.drop_constraint("bookings", NAME)
