"""Memberships of providers: what was sold, who holds it, which one counts, and the credits of its periods.

Owns `memberships`, `credit_periods` and the items of `extra_purchases` about memberships. Whoever changes a membership
ends with `settle`, which writes the columns of its holder; `serving` says which membership counts.
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
