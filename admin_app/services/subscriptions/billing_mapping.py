"""What a Stripe subscription means for its client: pure, and the table in docs/billing.md is made from it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, TypeVar

from models.clients import BillingStatus

# Every status of Stripe's document: what it means, and whether payment is active.
MEANINGS: Mapping[str, tuple[BillingStatus, bool]] = MappingProxyType(
    {
        "trialing": (BillingStatus.TRIAL, True),
        "active": (BillingStatus.ACTIVE, True),
        "past_due": (BillingStatus.PAST_DUE, False),
        "unpaid": (BillingStatus.PAST_DUE, False),
        "paused": (BillingStatus.PAST_DUE, False),
        "canceled": (BillingStatus.CANCELED, False),
        "incomplete": (BillingStatus.NONE, False),
        "incomplete_expired": (BillingStatus.NONE, False),
    }
)
# A word that Stripe adds one day must not open anything, and finance must see it: its past-due list is looked at.
UNHEARD_OF = (BillingStatus.PAST_DUE, False)
NO_SUBSCRIPTION = (BillingStatus.NONE, False)
# A subscription in one of these never comes back to life at Stripe.
OVER = frozenset({"canceled", "incomplete_expired"})
# A member is served while Stripe says this: a late payer is until Stripe itself gives up.
SERVES_MEMBERS = frozenset({"active", "trialing", "past_due"})
# Begun at the checkout and never paid for.
NOT_BEGUN = frozenset({"incomplete", "incomplete_expired"})
# Whose monthly amount counts as recurring revenue: trials pay nothing yet, the unpaid and the paused nothing any more.
PAYING = frozenset({"active", "past_due"})
# Waiting for a payment that did not come; one of these words may follow another.
LATE = frozenset({"past_due", "unpaid", "paused"})
# What gives more access comes first; payment being active goes before all of it.
MOST_ACCESS = (
    BillingStatus.ACTIVE,
    BillingStatus.TRIAL,
    BillingStatus.PAST_DUE,
    BillingStatus.CANCELED,
    BillingStatus.NONE,
)


class SubscriptionFacts(Protocol):
    """What a subscription must say to be understood; a row and a fetched object both do."""

    @property
    def status(self) -> str: ...
    @property
    def collection_paused(self) -> bool: ...
    @property
    def cancel_at_period_end(self) -> bool: ...
    @property
    def cancel_at(self) -> datetime | None: ...
    @property
    def canceled_at(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def trial_end(self) -> datetime | None: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def current_period_start(self) -> datetime | None: ...
    @property
    def current_period_end(self) -> datetime | None: ...
    @property
    def past_due_since(self) -> datetime | None: ...


Facts = TypeVar("Facts", bound=SubscriptionFacts)


def meaning(status: str | None, *, collection_paused: bool = False) -> tuple[BillingStatus, bool]:
    """The client's status, and whether payment is active; None for a client without a subscription.

    A pause of the collection leaves Stripe's status as it is, but nothing is paid meanwhile.
    """
    if status is None:
        return NO_SUBSCRIPTION
    means, payment_active = MEANINGS.get(status, UNHEARD_OF)
    if means is BillingStatus.ACTIVE and collection_paused:
        return means, False
    return means, payment_active


def is_over(found: SubscriptionFacts) -> bool:
    """Whether the subscription has ended for good."""
    return found.status in OVER or found.ended_at is not None


def is_paying(status: str) -> bool:
    """Whether the subscription's monthly amount counts as recurring revenue."""
    return status in PAYING


def pending_cancellation(found: SubscriptionFacts, now: datetime) -> bool:
    """Whether it is going to end although it has not ended: at the period's end, or at a date ahead."""
    ahead = found.cancel_at is not None and found.cancel_at > now
    return not is_over(found) and (found.cancel_at_period_end or ahead)


def cancels_at(found: SubscriptionFacts, now: datetime) -> datetime | None:
    """When a pending cancellation takes effect."""
    if not pending_cancellation(found, now):
        return None
    return found.cancel_at or found.current_period_end


def cancellation_requested_at(found: SubscriptionFacts, now: datetime) -> datetime | None:
    """When the pending cancellation was asked for; none once it was taken back or has taken effect."""
    return found.canceled_at if pending_cancellation(found, now) else None


def trial_began_at(found: SubscriptionFacts) -> datetime | None:
    """When its trial began: with the subscription. None for one that never had a trial."""
    if found.trial_end is None and found.status != "trialing":
        return None
    return found.started_at or found.current_period_start or found.trial_end


def had_since(found: Collection[SubscriptionFacts], moment: datetime) -> bool:
    """Whether any of them was running at some time after this moment; one whose checkout failed never was."""
    begun = [each for each in found if each.status not in NOT_BEGUN]
    ends = [each.ended_at or each.canceled_at or each.started_at for each in begun if is_over(each)]
    return len(ends) < len(begun) or any(end is not None and end > moment for end in ends)


def most_access(found: Collection[Facts]) -> Facts | None:
    """The subscription that counts when a client has several: the one that opens most, then the one paid longest."""
    return max(found, key=_access, default=None)


def _access(found: SubscriptionFacts) -> tuple[bool, bool, int, float, float]:
    status, payment_active = meaning(found.status, collection_paused=found.collection_paused)
    return (
        payment_active,
        not is_over(found),
        -MOST_ACCESS.index(status),
        _seconds(found.current_period_end or found.trial_end),
        _seconds(found.started_at),
    )


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0


def happened_at(found: SubscriptionFacts, former: str | None) -> datetime | None:
    """When the step from the status last seen to this one happened at Stripe; None where Stripe does not say."""
    if found.status == former:
        return None
    if is_over(found):
        return found.ended_at or found.canceled_at
    is_first = former in (None, "incomplete")
    match found.status:
        case "past_due" | "unpaid" if former not in LATE:
            return found.past_due_since
        case "trialing" if is_first:
            return found.started_at  # one that is given later, a free month, begins when it is given
        case "active" if is_first or former == "trialing":
            return found.trial_end or (found.started_at if is_first else None)
    return None
