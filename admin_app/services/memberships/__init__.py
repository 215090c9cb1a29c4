"""Memberships of providers: what was sold, who holds it, which one counts, and the credits of its periods.

Owns `memberships`, `credit_periods`, `adjustments` and `membership_payments`. Whoever changes a membership ends with
`settle`, which writes the columns of its holder; `serving` says which membership counts.
Others call what is named here; `rows`, `order`, `periods`, `news` and `meaning` are the facts, `pro_rules` and `sold`
what was bought, `asking` what was paid, `extras` who pays twice, `moving`, `complimentary`, `adjustments`,
`adjustment_undo`, `credits` and `credit_adjusting` what staff do.
"""

from admin_app.services.memberships.credits import CREDIT_PERIOD, CREDITS
from admin_app.services.memberships.deriving import LINKED, catch_up, derived, settle
from admin_app.services.memberships.order import serving
from admin_app.services.memberships.rows import Holder, as_unclaimed, assign, held, key, of, seen

__all__ = [
    "CREDITS",
    "CREDIT_PERIOD",
    "LINKED",
    "Holder",
    "as_unclaimed",
    "assign",
    "catch_up",
    "derived",
    "held",
    "key",
    "of",
    "seen",
    "serving",
    "settle",
]
