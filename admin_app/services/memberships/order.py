"""Which of the memberships that a person holds counts. `invariants.about_people` says the same in SQL."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from models.memberships import PaymentProvider, ProviderMembership, Rhythm

ENDLESS = (Rhythm.ONE_TIME, Rhythm.LIFETIME)
_NEVER, _FOR_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_NEWEST = 2**63


def rank(membership: ProviderMembership) -> tuple[Any, ...]:
    """Live before ended; paid before complimentary; what staff chose; what runs longest, for ever first; the newest
    news; the newest row.

    Somebody who pays is shown with what they pay, however long a complimentary one runs; that serves when theirs ends.
    An end that nobody told of (and that no rhythm explains) counts as the earliest; a complimentary one without an end
    has none.
    """
    is_endless = membership.rhythm in ENDLESS or membership.is_complimentary
    unstated = _FOR_EVER if is_endless else _NEVER
    return (
        membership.is_live,
        not membership.is_complimentary,
        membership.preferred_at or _NEVER,
        membership.period_end or unstated,
        membership.provider_event_at or _NEVER,
        membership.id or _NEWEST,
    )


def serving(
    memberships: Iterable[ProviderMembership], provider: PaymentProvider | None = None
) -> ProviderMembership | None:
    """The one that counts, live or not; of one provider where that is named; None when there is none."""
    wanted = (one for one in memberships if provider in (None, one.provider))
    return max(wanted, key=rank, default=None)
