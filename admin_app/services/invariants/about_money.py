"""Payments and refunds: never more goes back than was taken, and no refund is forgotten on its way."""

from admin_app.services.invariants.rule import Invariant, by_query

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
        "paid-means-captured",
        "A payment that is paid says when, and how much was taken.",
        by_query("""
            SELECT 'payment:' || id FROM payments WHERE state = 'paid' AND (captured_amount = 0 OR paid_at IS NULL)
        """),
    ),
)
