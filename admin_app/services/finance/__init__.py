"""TODO."""

from admin_app.services.finance.finance_reports import (
    REFUND_DAYS,
    SETTLED_REFUNDS,
    Bucket,
    Disputes,
    Sum,
    Trials,
    cancellation_effective,
    disputes,
    of_current_subscription,
    past_due,
    pending_cancellations,
    refunds_by_state,
    settled_since,
    trials_ending,
)

__all__ = [
    "REFUND_DAYS",
    "SETTLED_REFUNDS",
    "Bucket",
    "Disputes",
    "Sum",
    "Trials",
    "cancellation_effective",
    "disputes",
    "of_current_subscription",
    "past_due",
    "pending_cancellations",
    "refunds_by_state",
    "settled_since",
    "trials_ending",
]
