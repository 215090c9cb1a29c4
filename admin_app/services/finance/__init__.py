"""The books: what finance looks at every morning, and months that are closed.

Owns `month_closings`, `month_lines` and `moved_lines`.
Others call what is named here; `months` closes them, `month_lines` and `month_adjustments` say what is in them,
`revenue_history` how clients paid over time.
"""

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
