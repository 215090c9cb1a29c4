"""What a provider tells of one membership, in any order: the newest counts, older news fill what it left open."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from admin_app.context import Ctx
from admin_app.integrations.ports import Interval, WhopEvent, WhopMembership
from admin_app.services.core.audit import Change
from admin_app.services.memberships import credits
from admin_app.services.memberships.order import ENDLESS
from admin_app.services.memberships.periods import UNIT_OF, plan_duration
from admin_app.services.memberships.rows import put
from models.memberships import IntervalUnit, MembershipStatus, PaymentProvider, PlanDuration, ProviderMembership, Rhythm

MONTHLY_CYCLE = timedelta(days=30)
GUESSED_WITHIN = timedelta(days=1)
# Some of a provider's times are of whole seconds: what happened within one has no order that anybody could tell.
NO_ORDER_WITHIN = timedelta(seconds=1)
# A late payer is served on, but the cycle that the payment is for is not paid.
UNPAID = frozenset({"past_due"})
_DAYS = {IntervalUnit.DAY: 1, IntervalUnit.WEEK: 7}


@dataclass(frozen=True)
class MembershipSnapshot:
    """What a provider says about one membership at one moment, times in UTC; None means that it does not say.

    `is_answer`: the provider was asked what the membership is, and did not just tell what happened to it.
    """

    occurred_at: datetime
    membership_id: str | None
    email: str | None = None
    name: str | None = None
    whop_user_id: str | None = None
    plan_duration: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    cancel_at_period_end: bool | None = None
    is_answer: bool = False
    provider: PaymentProvider = PaymentProvider.WHOP
    rhythm: str | None = None
    interval: Interval | None = None
    provider_status: str | None = None
    product_id: str | None = None
    plan_id: str | None = None
    customer_id: str | None = None
    ignored_because: str | None = None

    @classmethod
    def of(
        cls,
        source: WhopEvent | WhopMembership,
        *,
        occurred_at: datetime,
        email: str | None = None,
        ignored_because: str | None = None,
    ) -> "MembershipSnapshot":
        """From a delivery of Whop's or a membership as Whop answers it; `email` where somebody else names it."""
        return cls(
            occurred_at=occurred_at,
            membership_id=source.membership_id if isinstance(source, WhopEvent) else source.id,
            email=email or source.email,
            name=source.name,
            whop_user_id=source.whop_user_id if isinstance(source, WhopEvent) else source.user_id,
            plan_duration=source.plan_duration,
            period_start=source.period_start,
            period_end=source.period_end,
            cancel_at_period_end=source.cancel_at_period_end,
            is_answer=isinstance(source, WhopMembership),
            rhythm=source.rhythm,
            interval=source.interval,
            provider_status=source.provider_status,
            product_id=source.product_id,
            plan_id=source.plan_id,
            ignored_because=ignored_because,
        )

    @property
    def told_interval(self) -> tuple[IntervalUnit, int] | None:
        if self.interval is not None:
            return IntervalUnit(self.interval[0]), self.interval[1]
        return (UNIT_OF[self.plan_duration], 1) if self.plan_duration else None

    @property
    def is_for_ever(self) -> bool:
        """Whether the provider was asked and says that this is paid once and has no end."""
        return self.is_answer and self.told_rhythm in ENDLESS and self.period_end is None

    @property
    def told_rhythm(self) -> Rhythm | None:
        if self.rhythm is not None:
            return Rhythm(self.rhythm)
        return Rhythm.RECURRING if self.told_interval else None


def is_older(row: ProviderMembership, snapshot: MembershipSnapshot, *, purchase: bool) -> bool:
    """Whether something newer was applied before; deliveries come in any order."""
    if row.provider_event_at is None:
        return False
    if snapshot.occurred_at == row.provider_event_at:
        return purchase and row.status is MembershipStatus.INACTIVE
    return snapshot.occurred_at < row.provider_event_at


def without_order(row: ProviderMembership, snapshot: MembershipSnapshot, **told: object) -> bool:
    """Whether these news contradict others of the same second: only the provider knows what it is now."""
    known = row.provider_event_at
    if snapshot.is_answer or known is None or abs(snapshot.occurred_at - known) >= NO_ORDER_WITHIN:
        return False
    return any(value not in (None, getattr(row, name)) for name, value in told.items())


def paid(ctx: Ctx, row: ProviderMembership, snapshot: MembershipSnapshot, *, is_new: bool) -> list[Change]:
    """The membership is paid and live; a new cycle sets when the next credits are due."""
    was_live, former_start, former_end = row.is_live, row.period_start, row.period_end
    is_new = is_new or _waits_for_its_first_payment(row)
    values = cycle(row, snapshot, is_new=is_new) | current(row, snapshot)
    values |= {
        "status": MembershipStatus.ACTIVE,
        "provider_event_at": snapshot.occurred_at,
        "ignored_because": None,
        "ignored_at": None,
    }
    if snapshot.cancel_at_period_end is not None:
        values["cancel_at_period_end"] = snapshot.cancel_at_period_end
    elif _is_renewed(row, values.get("period_start")):
        values["cancel_at_period_end"] = False  # it was to end, and went on: that was taken back
    changes = put(ctx, row, **values)
    start = row.period_start
    if snapshot.provider_status in UNPAID:
        if start is None and row.next_credits_at is None:
            row.next_credits_at = row.period_end  # those of the first period come once that is paid
    elif start is not None and (is_new or not was_live or start != former_start or row.next_credits_at is None):
        credits.begin_cycle(row, start, was_live=was_live and not is_new, former_end=former_end, is_new=is_new)
    return changes


def _waits_for_its_first_payment(row: ProviderMembership) -> bool:
    """Whether it was late when it was first told of: nothing of it was paid so far, as far as is known here."""
    return row.period_start is None and row.period_end is not None and row.next_credits_at == row.period_end


def _is_renewed(row: ProviderMembership, start: datetime | None) -> bool:
    """Whether a cycle begins that follows the known one; the same may be told with a time of its own."""
    if start is None or row.period_start is None or row.period_end is None:
        return False
    return start > row.period_start and start >= row.period_end - credits.CONTINUES_WITHIN


def current(row: ProviderMembership, snapshot: MembershipSnapshot) -> dict[str, Any]:
    """What the newest news tell about the membership as it is there now."""
    unit_and_count = snapshot.told_interval
    if unit_and_count and snapshot.interval is None and plan_duration(row) == snapshot.plan_duration:
        unit_and_count = None  # known better: the same rhythm with its real length
    told = {
        "rhythm": snapshot.told_rhythm if unit_and_count or snapshot.rhythm else None,
        "interval_unit": unit_and_count and unit_and_count[0],
        "interval_count": unit_and_count and unit_and_count[1],
        "provider_status": snapshot.provider_status,
        "product_id": snapshot.product_id,
        "plan_id": snapshot.plan_id,
        "provider_user_id": snapshot.whop_user_id,
        "provider_customer_id": snapshot.customer_id,
        "email": snapshot.email,
    }
    values = {name: value for name, value in told.items() if value is not None}
    if snapshot.name and not row.name:
        values["name"] = snapshot.name
    return values


def filled(ctx: Ctx, row: ProviderMembership, snapshot: MembershipSnapshot) -> list[Change]:
    """What newer news left open or had to guess, older news may still tell; the same whichever came first."""
    values = {name: value for name, value in current(row, snapshot).items() if getattr(row, name) is None}
    values |= corrected(ctx, row, snapshot)
    return put(ctx, row, **values)


def corrected(ctx: Ctx, row: ProviderMembership, snapshot: MembershipSnapshot) -> dict[str, Any]:
    """The dates of the cycle, where they were guessed from a payment a moment after it began."""
    start, end = snapshot.period_start, snapshot.period_end
    if start is None or end is None:
        return {}
    values: dict[str, Any] = {}
    guessed = row.period_start
    if guessed is not None and _soon_after(guessed, start):
        values |= {"period_start": start, "period_end": end}
        credits.correct_start(ctx, row, guessed, start)
    if _soon_after(row.next_credits_at, start + credits.CREDIT_PERIOD):
        values["next_credits_at"] = start + credits.CREDIT_PERIOD
    return values


def _soon_after(guessed: datetime | None, told: datetime) -> bool:
    return guessed is not None and timedelta(0) < guessed - told < GUESSED_WITHIN


def cycle(row: ProviderMembership, snapshot: MembershipSnapshot, *, is_new: bool) -> dict[str, Any]:
    """Cycle dates as the news state them, else a default by rhythm that never overrides dates still running."""
    start, end = snapshot.period_start, snapshot.period_end
    if snapshot.is_for_ever:
        # Whatever end or interval was known before is not so; an answer leaves out what is not there.
        begins = start or row.period_start or snapshot.occurred_at
        return {"period_start": begins, "period_end": None, "interval_unit": None, "interval_count": None}
    if start is None and end is None and not is_new and _covers(row, snapshot):
        return {}
    if snapshot.provider_status in UNPAID:
        # The next cycle has begun there and is not paid: what is paid ends when it did.
        return {} if row.period_end is not None else {"period_end": start or snapshot.occurred_at}
    # An end that is known already does not begin a cycle.
    start = start or (row.period_start if end == row.period_end else None) or snapshot.occurred_at
    return {"period_start": start, "period_end": end or _end_by_rhythm(row, snapshot, start)}


def _covers(row: ProviderMembership, snapshot: MembershipSnapshot) -> bool:
    if not row.is_live:
        return False
    if row.period_end is None:
        return row.rhythm in ENDLESS
    return row.period_end > snapshot.occurred_at


def _end_by_rhythm(row: ProviderMembership, snapshot: MembershipSnapshot, start: datetime) -> datetime | None:
    """A lifetime, and what was bought once, have no end; a rhythm that nobody told is taken for monthly."""
    if (snapshot.told_rhythm or row.rhythm) in ENDLESS:
        return None
    told = snapshot.told_interval
    unit, count = told or (row.interval_unit, row.interval_count)
    plan = snapshot.plan_duration or (plan_duration(row) if told is None else None)
    if plan == PlanDuration.YEARLY:
        return _a_year_after(start)
    if plan == PlanDuration.MONTHLY or unit is None or count is None:
        # 28 days are 28 days; a month of the calendar is taken for 30.
        return start + (timedelta(days=count) if unit is IntervalUnit.DAY and count else MONTHLY_CYCLE)
    return start + timedelta(days=count * _DAYS.get(unit, 365 if unit is IntervalUnit.YEAR else 30))


def _a_year_after(start: datetime) -> datetime:
    try:
        return start.replace(year=start.year + 1)
    except ValueError:  # 29 February
        return start.replace(year=start.year + 1, day=28)
