"""Payments and refunds: never more goes back than was taken, and no refund is forgotten on its way."""

from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.services.finance import month_lines, months
from admin_app.services.invariants.rule import COUNTED, Invariant, Moments, by_query
from models.finance import MonthClosing


def _months_that_differ(session: Session) -> Iterator[str]:
    """One month after the other: its lines are counted, added and hashed by the database."""
    for closing in session.scalars(select(MonthClosing).order_by(MonthClosing.month)):
        kept = month_lines.kept_lines(closing.id)
        sums = month_lines.totals(session, kept)
        count = sum(total.lines for total in sums)
        if (count, sums) != (closing.lines, months.totals_of(closing)) or (
            month_lines.digest(session, kept) != closing.digest
        ):
            yield f"month:{closing.month:%Y-%m}"


def _closed_months(session: Session, _moments: Moments) -> Sequence[str]:
    return list(islice(_months_that_differ(session), COUNTED + 1))


def _kept_by_nobody(table: str, kind: str) -> str:
    return f"""
        SELECT 'payment:' || p.id FROM payments p JOIN {table} b ON b.id = p.{kind}_id
        WHERE b.status = 'canceled' AND coalesce(b.canceled_because, '') NOT IN ('never_paid', 'payment_failed')
        AND p.captured_amount - p.reserved_amount > coalesce(p.kept_amount, 0) + (
            SELECT coalesce(sum(d.amount), 0) FROM disputes d
            WHERE d.payment_id = p.id AND d.lost_at IS NOT NULL AND d.regained_at IS NULL)
        AND coalesce(p.undecided_since < CAST(:now AS timestamptz) - interval '7 days', p.updated_at < :late)
    """  # noqa: S608 - our own names


INVARIANTS = (
    Invariant(
        "never-refunded-more-than-captured",
        "What went back of a payment, or is on its way back, is what is reserved, and never more than was captured.",
        by_query("""
            SELECT 'payment:' || p.id FROM payments p LEFT JOIN LATERAL (
              SELECT coalesce(sum(r.amount), 0) AS amount FROM refunds r WHERE r.payment_id = p.id
              AND r.state IN ('awaiting_approval', 'requested', 'sent', 'succeeded', 'unknown')) AS back ON true
            WHERE back.amount <> p.reserved_amount OR p.reserved_amount > p.captured_amount
        """),
    ),
    Invariant(
        "member-refunds-are-reserved",
        "What went back of a membership's payment, or is on its way back, is what is reserved, up to what was paid.",
        by_query("""
            SELECT 'membership_payment:' || p.id FROM membership_payments p LEFT JOIN LATERAL (
              SELECT coalesce(sum(r.amount), 0) AS amount FROM refunds r WHERE r.membership_payment_id = p.id
              AND r.state IN ('awaiting_approval', 'requested', 'sent', 'succeeded', 'unknown')) AS back ON true
            WHERE least(back.amount, p.captured_amount) <> p.reserved_amount
        """),
    ),
    Invariant(
        "membership-says-what-was-paid",
        "What a membership says was paid is its latest payment.",
        by_query("""
            SELECT 'membership_payment:' || p.id FROM memberships m CROSS JOIN LATERAL (
              SELECT * FROM membership_payments each WHERE each.membership_id = m.id AND each.captured_amount > 0
              ORDER BY each.paid_at DESC NULLS LAST, each.id DESC LIMIT 1) AS p
            WHERE (m.paid_amount, m.paid_currency) IS DISTINCT FROM (p.captured_amount, p.currency::varchar)
        """),
    ),
    Invariant(
        "dispute-columns-are-derived",
        "What a payment says of disputes is what one of its disputes says, and it is open when any of them is.",
        by_query("""
            SELECT 'payment:' || p.id FROM payments p
            LEFT JOIN disputes d ON d.payment_id = p.id AND d.stripe_dispute_id = p.dispute_id
            WHERE p.dispute_id IS NOT NULL AND d.status IS DISTINCT FROM p.dispute_status
            UNION
            SELECT 'payment:' || p.id FROM payments p JOIN disputes d ON d.payment_id = p.id
            WHERE p.dispute_id IS NULL OR (d.status NOT IN ('won', 'lost', 'warning_closed', 'prevented')
              AND p.dispute_status IN ('won', 'lost', 'warning_closed', 'prevented'))
        """),
    ),
    Invariant(
        "refunded-means-given-back",
        "What is refunded has no money here any more, or a refund of it failed or came back and stands on a list.",
        by_query("""
            SELECT 'payment:' || p.id FROM payments p
            LEFT JOIN bookings b ON b.id = p.booking_id LEFT JOIN meetings m ON m.id = p.meeting_id
            WHERE coalesce(b.status, m.status) = 'refunded' AND p.captured_amount > p.reserved_amount
              AND coalesce(b.updated_at, m.updated_at) < :late AND NOT EXISTS (
              SELECT FROM refunds r WHERE r.payment_id = p.id AND r.state IN ('failed', 'declined'))
        """),
    ),
    Invariant(
        "requested-refund-has-job",
        "A refund that was asked for and has not left has a job.",
        by_query("""
            SELECT 'refund:' || r.id FROM refunds r
            WHERE r.state = 'requested' AND r.updated_at < :late AND NOT EXISTS (
              SELECT FROM procrastinate_jobs j WHERE j.status IN ('todo', 'doing')
              AND j.task_name IN ('send_refund', 'ask_about_refund') AND (j.args ->> 'refund_id')::bigint = r.id)
        """),
    ),
    Invariant(
        "paid-too-late-goes-back",
        "Money that came when the time was not held any more went back, is on its way, or its refund failed and stands "
        "on the list.",
        by_query("""
            SELECT 'payment:' || p.id FROM payments p JOIN (
              SELECT id AS booking_id, NULL::bigint AS meeting_id FROM bookings
              WHERE status = 'canceled' AND canceled_because IN ('never_paid', 'payment_failed')
              UNION ALL
              SELECT NULL, id FROM meetings
              WHERE status = 'canceled' AND canceled_because IN ('never_paid', 'payment_failed')) AS unpaid
            ON unpaid.booking_id = p.booking_id OR unpaid.meeting_id = p.meeting_id
            WHERE p.state = 'paid' AND p.captured_amount > p.reserved_amount AND p.paid_at < :late
            AND NOT EXISTS (SELECT FROM refunds r WHERE r.payment_id = p.id AND r.state IN ('failed', 'declined'))
        """),
    ),
    Invariant(
        "canceled-holds-no-money",
        "What was paid for a canceled appointment went back or is on its way, is kept because somebody decided so, or "
        "waits on the list for a decision, for a week at most.",
        by_query(f"{_kept_by_nobody('bookings', 'booking')} UNION ALL {_kept_by_nobody('meetings', 'meeting')}"),
    ),
    Invariant(
        "decision-is-about-what-is-off",
        "Money waits for a decision only where its appointment is canceled.",
        by_query("""
            SELECT 'payment:' || p.id FROM payments p
            LEFT JOIN bookings b ON b.id = p.booking_id LEFT JOIN meetings m ON m.id = p.meeting_id
            WHERE p.undecided_since IS NOT NULL AND coalesce(b.status, m.status) <> 'canceled'
        """),
    ),
    Invariant(
        "closed-month-is-its-lines",
        "A closed month has the lines, the sums and the digest with which it was closed.",
        _closed_months,
    ),
    Invariant(
        "paid-means-captured",
        "A payment that is paid says when, and how much was taken.",
        by_query("""
            SELECT 'payment:' || id FROM payments WHERE state = 'paid' AND (captured_amount = 0 OR paid_at IS NULL)
        """),
    ),
)
