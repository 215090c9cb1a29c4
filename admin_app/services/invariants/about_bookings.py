"""Bookings, meetings and runs over many clients: no time is sold twice or held for nobody, and no run stands still."""

from admin_app.currencies import CURRENCIES
from admin_app.services.invariants.rule import Invariant, by_query

# Everything that takes a practitioner's time at the moment.
_TAKEN = """
    SELECT 'booking:' || id AS record, practitioner_id, starts_at, ends_at FROM bookings
    WHERE status = 'confirmed' OR (status = 'pending' AND coalesce(hold_expires_at > :now, true))
    UNION ALL
    SELECT 'meeting:' || id, practitioner_id, starts_at, ends_at FROM meetings
    WHERE status = 'confirmed' OR (status = 'pending' AND coalesce(hold_expires_at > :now, true))
"""


def _lapsed(table: str, kind: str) -> str:
    # What was asked for in a calendar waits for its host there, and no clock of ours ends that.
    sold_here = " AND b.source = 'website'" if kind == "booking" else ""
    return f"""
        SELECT '{kind}:' || b.id FROM {table} b
        WHERE b.status = 'pending' AND ((b.hold_expires_at IS NULL{sold_here}) OR (
          b.hold_expires_at < :late AND NOT EXISTS (
          SELECT FROM procrastinate_jobs j WHERE j.status IN ('todo', 'doing')
          AND j.task_name = 'expire_checkout' AND j.args ->> 'subject' = '{kind}:' || b.id)))
    """  # noqa: S608 - our own names


_CHARGED = ", ".join(f"('{each.code.lower()}', {each.least}, {each.most}, {each.step})" for each in CURRENCIES.values())


INVARIANTS = (
    Invariant(
        "price-can-be-charged",
        "What is sold has a price that Stripe charges: of a currency it knows, within its bounds, in its steps.",
        by_query(f"""
            SELECT 'session_type:' || t.id FROM session_types t
            LEFT JOIN (VALUES {_CHARGED}) AS c (code, least, most, step) ON c.code = lower(t.price_currency)
            WHERE t.active AND t.price_amount > 0 AND (c.code IS NULL
              OR t.price_amount NOT BETWEEN c.least AND c.most OR t.price_amount % c.step <> 0)
        """),  # noqa: S608 - our own constants
    ),
    Invariant(
        "no-overlap",
        "No practitioner has two appointments at one time.",
        by_query(f"""
            SELECT record || ' and ' || former FROM (
              SELECT record, starts_at, lag(record) OVER every AS former,
                max(ends_at) OVER (every ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS taken_until
              FROM ({_TAKEN}) AS taken WINDOW every AS (PARTITION BY practitioner_id ORDER BY starts_at, record)
            ) AS in_order WHERE starts_at < taken_until
        """),  # noqa: S608 - our own names
    ),
    Invariant(
        "somebody-comes",
        "A booking that was made in a calendar is on only while somebody comes to it.",
        by_query("""
            SELECT 'booking:' || b.id FROM bookings b
            WHERE b.status IN ('pending', 'confirmed')
              AND EXISTS (SELECT FROM booking_attendees a WHERE a.booking_id = b.id AND a.provider = b.source)
              AND NOT EXISTS (SELECT FROM booking_attendees a
                WHERE a.booking_id = b.id AND a.provider = b.source AND a.gone_at IS NULL)
        """),
    ),
    Invariant(
        "host-is-the-practitioner",
        "A booking that is on is with the practitioner in whose calendar it is.",
        by_query("""
            SELECT 'booking:' || b.id FROM booking_hosts h JOIN bookings b ON b.id = h.booking_id
            WHERE h.gone_at IS NULL AND h.practitioner_id <> b.practitioner_id
              AND b.status IN ('pending', 'confirmed')
        """),
    ),
    Invariant(
        "lapsed-hold-is-ended",
        "A held time whose hold is over is free again, or a job is about to free it.",
        by_query(f"{_lapsed('bookings', 'booking')} UNION ALL {_lapsed('meetings', 'meeting')}"),
    ),
    Invariant(
        "running-bulk-run-has-job",
        "A run over many clients that is not finished has a job.",
        by_query("""
            SELECT 'bulk_run:' || r.id FROM bulk_runs r
            WHERE r.state = 'running' AND r.started_at < :late AND NOT EXISTS (
              SELECT FROM procrastinate_jobs j WHERE j.status IN ('todo', 'doing')
              AND j.task_name = 'run_bulk' AND (j.args ->> 'run_id')::bigint = r.id)
        """),
    ),
    Invariant(
        "waiting-export-has-job",
        "An export that is not made yet has a job.",
        by_query("""
            SELECT 'export:' || x.id FROM exports x
            WHERE x.state IN ('queued', 'running') AND x.created_at < :late AND NOT EXISTS (
              SELECT FROM procrastinate_jobs j WHERE j.status IN ('todo', 'doing')
              AND j.task_name = 'make_export' AND (j.args ->> 'export_id')::bigint = x.id)
        """),
    ),
)
