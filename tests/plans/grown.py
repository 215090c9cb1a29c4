"""A database as it is after years: every table that grows filled with rows, and counted as the server counts them.

A table needs no word here: its columns are filled by their types, references lead to the row of the same number. What a
believable row has beside that stands in `ROWS`: mostly the state in which rows end, because that is where they stay.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, CITEXT, JSONB

from models import Base

# So many that reading them all costs a hundred times what an index costs; what takes longest to fill may be fewer.
MANY, SOME, FEW = 20_000, 8_000, 40
# No sequence comes here: rows that a test adds have the small numbers.
FIRST = 1_000_000
# What stays as small as the clinic, its staff and its calendar of months are.
SMALL = frozenset(
    {"practitioners", "session_types", "staff", "service_keys", "month_closings", "invariant_findings"}
    | {"invariant_checks", "bulk_runs", "move_runs"}
)
LARGEST = frozenset(
    {"audit_entries", "booking_links", "bookings", "meetings", "payments", "provider_calls", "sent_emails"}
    | {"webhook_events"}
)
JOBS = frozenset({"procrastinate_jobs", "procrastinate_events"})
GROWING = frozenset(Base.metadata.tables) - SMALL | JOBS

WHEN = "now() - interval '400 days' + n * interval '19 minutes'"
# One in forty of an appointment's times is each practitioner's, so that none overlaps; half of them are still to come.
AT = f"date_trunc('hour', now()) + ((n / {FEW}) - {MANY // FEW // 2}) * interval '1 hour'"
OVER_OR_COMING = f"CASE WHEN n > {MANY // 2} THEN 'confirmed' WHEN n % 20 = 0 THEN 'canceled' ELSE 'completed' END"
APPOINTMENT = {"starts_at": AT, "ends_at": f"{AT} + interval '50 minutes'", "status": OVER_OR_COMING}
ROWS: dict[str, dict[str, str]] = {
    "adjustments": {"kind": "'given'", "credits": "0"},
    "approvals": {"decided_by_id": "NULL"},
    "audit_entries": {"records": f"ARRAY['booking:' || {FIRST} + n]", "event": "'booking.held'"},
    "bookings": APPOINTMENT,
    "clients": {"billing_status": "'active'", "onboarding_complete": "true"},
    "drift_findings": {"state": "'gone'", "provider": "'stripe'", "subject": f"'booking:' || {FIRST} + n"},
    "drift_runs": {"provider": "'stripe'", "finished_at": WHEN},
    "bulk_items": {"outcome": "'changed'"},
    "billing_overrides": {"until": f"{WHEN} + interval '1 day'", "lifted_at": WHEN, "lifted_by": "'sue'"},
    "exports": {"state": "'expired'", "format": "'csv'"},
    "extra_purchases": {"resolved_at": WHEN, "resolved_by": "'sue'"},
    "flag_changes": {"until": f"{WHEN} + interval '1 day'", "lifted_at": WHEN, "lifted_by": "'sue'"},
    "invariant_findings": {"name": "'rule ' || n"},
    "guests": {"workos_user_id": "'user_g' || n", "code_sent_at": WHEN},
    "meetings": APPOINTMENT,
    "memberships": {"provider": "'whop'", "pending_profile_id": "NULL", "status": "'active'",
                    "period_end": "now() + n * interval '1 hour'"},
    "month_closings": {"month": "date '2000-01-01' + n * interval '1 month'"},
    "month_lines": {"line_key": "'payment:' || n", "about": f"'booking:' || {FIRST} + n"},
    "move_runs": {"finished_at": WHEN},
    "moved_rows": {"source_key": "'c' || n", "table_name": "'clients'", "record": "'1' || n", "left_because": "NULL",
                   "told": "gen_random_uuid()", "kept": "gen_random_uuid()"},
    "moved_lines": {"month": "date '2000-01-01' + (n % 40) * interval '1 month'"},
    "payments": {"meeting_id": "NULL", "dispute_id": "NULL", "state": "'paid'", "amount": "12000",
                 "captured_amount": "12000"},
    "membership_payments": {"provider": "'whop'"},
    "pending_profiles": {"claimed": "true", "claimed_at": WHEN, "payment_provider": "'whop'"},
    "person_addresses": {"is_primary": "true"},
    "profiles": {"membership": "'pro'", "next_credit_renewal": "now() + n * interval '1 hour'"},
    "provider_calls": {"state": "'succeeded'", "provider": "'calcom'", "subject": f"'booking:' || {FIRST} + n"},
    "booking_links": {"provider": "'calcom'"},
    "refunds": {"membership_payment_id": "NULL", "state": "'succeeded'", "amount": "100", "settled_at": WHEN},
    "sent_emails": {"state": "'sent'", "meeting_id": "NULL", "pending_profile_id": "NULL", "sent_at": WHEN},
    "subscriptions": {"status": "'active'", "current_period_end": "now() + n * interval '1 hour'"},
    "webhook_events": {"state": "'processed'", "provider": "(ARRAY['whop', 'stripe', 'calcom', 'calendly'])[1 + n % 4]",
                       "occurred_at": WHEN, "meeting_id": "NULL"},
}  # fmt: skip
# A busy moment: half of the jobs wait, the others failed within the month in which those are kept.
QUEUE = f"""
    INSERT INTO procrastinate_jobs (id, queue_name, task_name, priority, args, status, queueing_lock)
    SELECT {FIRST} + n, 'default', 'process_event', 0, jsonb_build_object('event_id', {FIRST} + n),
           CAST(CASE WHEN n % 2 = 0 THEN 'todo' ELSE 'failed' END AS procrastinate_job_status), 'busy:' || n
      FROM generate_series(1, {SOME}) n
"""
NAMED = ("_id", "_uri", "_uid", "_key", "external", "digest", "token")


def grow(connection: sa.Connection) -> None:
    """Fill all tables and have the server count them."""
    for table in Base.metadata.sorted_tables:
        try:
            connection.exec_driver_sql(filled(table).replace("%", "%%"))
        except sa.exc.DBAPIError as refused:
            raise AssertionError(f"Say in ROWS how a row of {table.name} looks: {refused.orig}") from None
    connection.exec_driver_sql(QUEUE.replace("%", "%%"))
    connection.exec_driver_sql("ANALYZE")


def filled(table: sa.Table) -> str:
    """The statement that fills one table."""
    given = ROWS.get(table.name, {})
    values = dict(_values(table, given))
    return (
        f"INSERT INTO {table.name} ({', '.join(values)}) SELECT {', '.join(values.values())}"
        f" FROM generate_series(1, {_count(table)}) n"
    )


def _count(table: sa.Table) -> int:
    return FEW if table.name in SMALL else MANY if table.name in LARGEST else SOME


def _values(table: sa.Table, given: dict[str, str]) -> Iterator[tuple[str, str]]:
    for column in table.columns:
        value = given.get(column.name) or _value(column)
        if value is not None:
            yield f'"{column.name}"', value


def _value(column: sa.Column[Any]) -> str | None:
    """None for what may be left out: the default of the column, or nothing."""
    for key in column.foreign_keys:
        return _reference(column, key.column)
    if column.primary_key and isinstance(column.type, sa.Integer):
        return f"{FIRST} + n"
    if isinstance(column.type, sa.Enum):
        return None if column.server_default is not None or column.nullable else f"'{_first(column.type)}'"
    if isinstance(column.type, sa.DateTime):
        return None if column.nullable else WHEN
    if isinstance(column.type, sa.String):
        return _text(column)
    if column.nullable or column.server_default is not None:
        return None
    return _plain(column.type)


def _reference(column: sa.Column[Any], target: sa.Column[Any]) -> str:
    if target.table is column.table:
        return "NULL"
    number = f"1 + n % {_count(target.table)}"
    return f"{FIRST} + {number}" if isinstance(target.type, sa.Integer) else f"'{target.name}_' || ({number})"


def _first(kind: sa.Enum) -> str:
    return str(kind.enums[0])


def _text(column: sa.Column[Any]) -> str | None:
    if isinstance(column.type, CITEXT):
        return "'person' || md5(n::text) || '@mail' || n % 50 || '.example'"
    if column.name.endswith(NAMED) or column.unique or column.primary_key:
        return f"'{column.name}_' || n"
    return None if column.nullable or column.server_default is not None else "'text'"


def _plain(kind: sa.types.TypeEngine[Any]) -> str:
    if isinstance(kind, JSONB):
        return "'{}'"
    if isinstance(kind, BYTEA | sa.LargeBinary):
        return "decode(md5(n::text), 'hex')"
    if isinstance(kind, ARRAY):
        return "'{}'"
    return "false" if isinstance(kind, sa.Boolean) else "1"
