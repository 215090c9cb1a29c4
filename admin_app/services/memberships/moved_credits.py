"""What goes along of the credits when a membership moves, so that the move back at once restores both sides.

What is left of the membership's own credits goes along; what was used stays used by whoever used it, and nobody's
other credits are touched. An account that got a membership by a move uses its own credits first: of what came along
the move back takes what is still there. From the next period that the membership gives on, the credits are those of
where it is.

Beside a complimentary one a paid one brings no more than a period gives together (`credits.allowance`): what that holds
back is kept with the membership, and goes on with it. Both numbers stand on the membership's row while whoever got it
by the move holds it; another change of the holder clears them (`rows.hand_over`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from admin_app.services.memberships.credits import CREDITS, allowance
from admin_app.services.memberships.rows import Holder, key
from models.memberships import CreditPeriod, ProviderMembership


@dataclass(frozen=True)
class Along:
    """How many credits a move takes and brings, how many it holds back, and what both sides have then."""

    taken: int = 0
    brought: int = 0
    withheld: int = 0
    of_former: dict[str, Any] = field(default_factory=dict)
    of_target: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Came:
    """What came along with a membership when it was moved to whoever holds it now."""

    credits: int
    withheld: int


def along(
    session: Session,
    row: ProviderMembership,
    former: Holder | None,
    target: Holder | None,
    keeps: Sequence[ProviderMembership],
    has: Sequence[ProviderMembership],
) -> Along:
    """What goes along when the former holder, who keeps `keeps`, gives this one to the target, who has `has`.

    The row is live, or over within a period that had its credits.
    """
    if former is None:
        return Along()
    left, came = _left(former), _came(session, row, former)
    if came is not None:
        taken, withheld = min(left, came.credits), came.withheld
    else:
        taken, withheld = min(left - min(left, _of_others(session, former, keeps)), CREDITS), 0
    share = taken + withheld
    brought = share
    if row.is_live and target is not None:
        own = min(_left(target), CREDITS * sum(other.is_live for other in has))
        brought = min(share, max(0, allowance([*has, row]) - own))
    return Along(taken, brought, share - brought, _with(former, -taken), _with(target, brought))


def _with(holder: Holder | None, more: int) -> dict[str, Any]:
    usage, used = (holder.usage_credits or 0, holder.used_credits or 0) if holder is not None else (0, 0)
    return {"usage_credits": usage + more, "used_credits": used}


def _left(holder: Holder) -> int:
    return max(0, (holder.usage_credits or 0) - (holder.used_credits or 0))


def _of_others(session: Session, holder: Holder, others: Sequence[ProviderMembership]) -> int:
    """What may be left of the credits of the other memberships that the holder keeps."""
    came = [(other, _came(session, other, holder)) for other in others]
    return sum(one.credits if one is not None else CREDITS * other.is_paid for other, one in came)


def _came(session: Session, row: ProviderMembership, holder: Holder) -> Came | None:
    """None for one that did not come to the holder by a move, or gave the credits of a period since.

    An early renewal that is undone leaves no period: what came counts again.
    """
    # An earlier release, and whoever writes the holder alone, leaves what came to somebody else.
    if row.came_credits is None or row.came_withheld is None or row.moved_to != key(holder):
        return None
    given = CreditPeriod.membership_id == row.id, CreditPeriod.credits > 0, CreditPeriod.granted_at > row.moved_at
    if session.scalar(select(exists().where(*given))):
        return None
    return Came(row.came_credits, row.came_withheld)
