"""What a journey ended in, without ids and times: rows here, things at the providers, mails."""

import re
from collections import Counter
from typing import Any

from psycopg.rows import tuple_row

from admin_app.simulator import control
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.stripe import control_stripe
from admin_app.simulator.workos import control_workos
from tests.faults.stage import Stage

_CODE = re.compile(r"\d{6}")
# What somebody gave up on the way (a hold that lapsed, a page that was closed) is not an end.
ROWS = {
    "deliveries": "SELECT provider, type, state FROM webhook_events",
    "purchases": "SELECT email::text, claimed, membership, usage_credits, used_credits FROM pending_profiles",
    "profiles": "SELECT email::text, membership, usage_credits, used_credits, status FROM profiles",
    "claims": "SELECT kind, by_staff, undone_at IS NULL FROM merges",
    "extra purchases": "SELECT resolution FROM extra_purchases",
    "bookings": "SELECT client_email::text, status, calcom_booking_uid IS NOT NULL FROM bookings"
    " WHERE status <> 'canceled'",
    "meetings": "SELECT guest_email::text, status FROM meetings WHERE status <> 'canceled'",
    "guests": "SELECT email::text, workos_user_id IS NOT NULL, workos_org_id IS NOT NULL, created_here,"
    " code_sent_at IS NOT NULL FROM guests",
    "payments": "SELECT state, captured_amount, reserved_amount FROM payments WHERE captured_amount > 0",
    "refunds": "SELECT amount, state FROM refunds",
    "credits": "SELECT credits, used_before, user_id IS NOT NULL FROM credit_periods",
    "switches": "SELECT flag, value, lifted_at IS NULL FROM flag_changes",
    "runs": "SELECT r.state, i.outcome FROM bulk_runs r JOIN bulk_items i ON i.run_id = r.id",
    "audit": "SELECT event FROM audit_entries WHERE event IN ('purchase.received', 'purchase.claimed',"
    " 'booking.confirmed', 'guest.registered', 'refund.requested', 'profile.credits_renewed', 'profile.created')",
}
# Mails of which a person has to say whether they went out: nobody can know when a process dies at handing one over.
LISTED_MAILS = "SELECT id FROM sent_emails WHERE state IN ('failed', 'unknown')"
# Codes that WorkOS mails are asked for once; a call that was not answered stands on the list of calls within the hour.
LISTED_CODES = "SELECT id FROM provider_calls WHERE operation = 'code.send' AND state IN ('intended', 'unknown')"
# Nothing may be under way any more, and nothing may have been given up where nobody sees it.
LEFT_OVER = {
    # A mail's job gives up while nobody knows whether the mail went out; the mail itself is on a list then.
    "jobs": "SELECT task_name, status::text FROM procrastinate_jobs WHERE status <> 'succeeded'"
    " AND (scheduled_at IS NULL OR scheduled_at < now()) AND NOT (status = 'failed' AND task_name LIKE 'send_%_mail')",
    "mails under way": "SELECT template, state FROM sent_emails WHERE state IN ('queued', 'sending')",
}


def of(stage: Stage) -> dict[str, list[str]]:
    """Everything that this run ended in, each list in order."""
    ended = {name: _rows(stage, query) for name, query in ROWS.items()}
    codes = len(_rows(stage, LISTED_CODES))
    return ended | {name: sorted(map(str, found)) for name, found in _at_providers(stage.simulator, codes).items()}


def left_over(stage: Stage) -> dict[str, list[str]]:
    """What still waits or was given up."""
    return {name: found for name, query in LEFT_OVER.items() if (found := _rows(stage, query))}


def _rows(stage: Stage, query: str) -> list[str]:
    with stage.connection.cursor(row_factory=tuple_row) as cursor:
        return sorted(str(row) for row in cursor.execute(query.encode()))


def _at_providers(simulator: str, listed_codes: int) -> dict[str, list[Any]]:
    workos = {kind: len(found) for kind, found in control_workos.state(simulator).items()}
    workos["codes"] = max(workos["codes"], listed_codes)
    return {
        "pages at Stripe": [
            (page["status"], page["payment_status"])
            for page in control_stripe.sessions(simulator)
            if page["status"] != "expired"
        ],
        "refunds at Stripe": [(refund["amount"], refund["status"]) for refund in control_stripe.refunds(simulator)],
        "WorkOS": list(workos.items()),
        "Cal.com": [booking["status"] for booking in control_calcom.bookings(simulator)],
    }


def mails(stage: Stage) -> Counter[str]:
    """To whom what was delivered."""
    return Counter(f"{mail['to']}: {_CODE.sub('…', mail['subject'])}" for mail in control.mails(stage.simulator))


def listed_mails(stage: Stage) -> int:
    """How many mails stand where a person sees that they may not have gone out."""
    return len(_rows(stage, LISTED_MAILS)) + len(_rows(stage, LISTED_CODES))
