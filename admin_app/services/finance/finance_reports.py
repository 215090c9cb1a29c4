"""What finance looks at every morning: who is past due, whose trial ends, who leaves, and where money hangs.

Every number stands for exactly the rows that its list shows, so days are whole days in the reader's zone. Amounts are
minor units, kept apart by currency.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, false, func, select, union_all
from sqlalchemy.orm import Session

from admin_app.services.core.amounts import summed
from admin_app.services.payments.disputes import UNANSWERED
from models.billing import Subscription
from models.clients import BillingStatus, Client
from models.payments import Dispute, Refund, RefundState

TRIAL_DAYS = 14
REFUND_DAYS = 90
SHOWN = 8
# Age in days before today: name, newest, oldest (both included).
AGES: tuple[tuple[str, int, int | None], ...] = (
    ("up to 7 days", 0, 7),
    ("8–14 days", 8, 14),
    ("15–30 days", 15, 30),
    ("over 30 days", 31, None),
)
# Days until evidence is due, from today: name, first, last (both included).
DEADLINES: tuple[tuple[str, int | None, int | None], ...] = (
    ("overdue", None, -1),
    ("within 3 days", 0, 3),
    ("4–7 days", 4, 7),
    ("later", 8, None),
)
OPEN_REFUNDS = (RefundState.AWAITING_APPROVAL, RefundState.REQUESTED, RefundState.SENT, RefundState.UNKNOWN)
SETTLED_REFUNDS = tuple(state for state in RefundState if state not in OPEN_REFUNDS)


@dataclass
class Sum:
    """How many, and how much of each currency."""

    count: int = 0
    amounts: dict[str, int] = field(default_factory=dict)

    def add(self, count: int, currency: str | None, amount: int) -> None:
        self.count += count
        if currency and amount:
            self.amounts[currency] = self.amounts.get(currency, 0) + amount


@dataclass(frozen=True)
class Bucket:
    """Some of them by their days, in the reader's zone; None is open."""

    label: str
    first: date | None
    last: date | None
    sum: Sum


@dataclass(frozen=True)
class PastDue:
    """Subscriptions that are past due: all, by age in days, and the oldest first. Amounts are minor units."""

    sum: Sum
    buckets: tuple[Bucket, ...]
    oldest: Sequence[Any]


@dataclass(frozen=True)
class Disputes:
    """Disputes without an answer: all, by days until the evidence is due, and the most urgent first. Minor units."""

    sum: Sum
    buckets: tuple[Bucket, ...]
    without_deadline: int
    next: Sequence[Any]


@dataclass(frozen=True)
class Trials:
    """Trials that end from today on until the last of these days."""

    count: int
    first: date
    last: date
    next: Sequence[Any]


def past_due(session: Session, today: date, zone: ZoneInfo) -> PastDue:
    """Subscriptions whose payment is due, by age, and the oldest of them with their clients."""
    open_since = Subscription.past_due_since.is_not(None)
    bounds = [
        (label, None if oldest is None else today - timedelta(oldest), today - timedelta(newest) if newest else None)
        for label, newest, oldest in AGES
    ]
    place = _place(Subscription.past_due_since, [first for _, first, _ in bounds], zone)
    grouped = session.execute(
        select(place, Subscription.currency, func.count(), summed(Subscription.amount_due))
        .where(open_since)
        .group_by(place, Subscription.currency)
    )
    whole, sums = _summed(grouped)
    oldest = session.execute(
        select(
            *(Subscription.id, Subscription.client_id, Client.name, Client.billing_status),
            *(Subscription.past_due_since, Subscription.amount_due, Subscription.currency),
            *(Subscription.next_payment_attempt, Subscription.stripe_customer_id),
        )
        .outerjoin(Client, Client.id == Subscription.client_id)
        .where(open_since)
        .order_by(Subscription.past_due_since, Subscription.id)
        .limit(SHOWN)
    ).all()
    return PastDue(whole, tuple(Bucket(*each, sums[number]) for number, each in enumerate(bounds)), oldest)


def disputes(session: Session, today: date, zone: ZoneInfo) -> Disputes:
    """Disputes that wait for our answer, by the last day for evidence."""
    waiting = Dispute.status.in_(UNANSWERED)
    bounds = [
        (label, None if first is None else today + timedelta(first), None if last is None else today + timedelta(last))
        for label, first, last in DEADLINES
    ]
    backwards = [first for _, first, _ in reversed(bounds)]
    place = case((Dispute.due_by.is_(None), -1), else_=_place(Dispute.due_by, backwards, zone))
    grouped = session.execute(
        select(place, Dispute.currency, func.count(), summed(Dispute.amount))
        .where(waiting)
        .group_by(place, Dispute.currency)
    )
    whole, sums = _summed(grouped)
    following = session.execute(
        select(
            *(Dispute.id, Dispute.payment_id, Dispute.amount, Dispute.currency, Dispute.due_by, Dispute.reason),
        )
        .where(waiting)
        .order_by(Dispute.due_by, Dispute.id)
        .limit(SHOWN)
    ).all()
    last = len(bounds) - 1
    buckets = tuple(Bucket(*each, sums[last - number]) for number, each in enumerate(bounds))
    return Disputes(whole, buckets, sums[-1].count, following)


def _place(column: Any, first_days: Sequence[date | None], zone: ZoneInfo) -> ColumnElement[int]:
    """The number of the first of these days (None: the beginning of time) from which on the moment lies."""
    steps = [(column >= _midnight(day, zone), number) for number, day in enumerate(first_days) if day is not None]
    return case(*steps, else_=len(first_days) - 1)


def _summed(grouped: Any) -> tuple[Sum, Mapping[int, Sum]]:
    whole = Sum()
    sums: dict[int, Sum] = defaultdict(Sum)
    for place, currency, count, amount in grouped:
        whole.add(count, currency, amount)
        sums[place].add(count, currency, amount)
    return whole, sums


def trials_ending(session: Session, today: date, zone: ZoneInfo) -> Trials:
    """Trials that end within the next days, the next ones first."""
    last = today + timedelta(TRIAL_DAYS)
    ending = (
        Client.billing_status == BillingStatus.TRIAL,
        Client.trial_ends_at >= _midnight(today, zone),
        Client.trial_ends_at < _midnight(last + timedelta(1), zone),
    )
    count = session.scalar(select(func.count()).select_from(Client).where(*ending))
    following = session.execute(
        select(Client.id, Client.name, Client.trial_ends_at)
        .where(*ending)
        .order_by(Client.trial_ends_at, Client.id)
        .limit(SHOWN)
    ).all()
    return Trials(count or 0, today, last, following)


# The client's subscription that has not ended; when there are several, the one that counts, else the newest.
_COUNTS = func.coalesce(Subscription.stripe_subscription_id == Client.stripe_subscription_id, false())
_CURRENT = (
    select(Subscription)
    .where(Subscription.client_id == Client.id, Subscription.ended_at.is_(None))
    .order_by(_COUNTS.desc(), Subscription.id.desc())
    .limit(1)
)
_EFFECTIVE = func.coalesce(
    Subscription.cancel_at, case((Subscription.cancel_at_period_end, Subscription.current_period_end))
)


def of_current_subscription(value: Any) -> ColumnElement[Any]:
    """A value of the subscription that a client has now, to be selected beside the client."""
    return _CURRENT.with_only_columns(value).correlate(Client).scalar_subquery()


def cancellation_effective() -> ColumnElement[datetime | None]:
    """When the client's cancellation takes effect, as Stripe says."""
    return of_current_subscription(_EFFECTIVE)


@dataclass(frozen=True)
class Cancellations:
    """Subscriptions that end with their period: how many, and those that end next."""

    count: int
    next: Sequence[Any]


def pending_cancellations(session: Session) -> Cancellations:
    """Clients who leave at a day that is known, the next ones first."""
    pending = select(
        Client.id,
        Client.name,
        Client.cancellation_requested_at,
        cancellation_effective().label("effective_at"),
        of_current_subscription(Subscription.monthly_amount).label("monthly_amount"),
        of_current_subscription(Subscription.currency).label("currency"),
        func.count().over().label("of"),
    ).where(Client.pending_cancellation)
    found = session.execute(pending.order_by(cancellation_effective().asc().nulls_last(), Client.id).limit(SHOWN)).all()
    return Cancellations(found[0].of if found else 0, found)


def refunds_by_state(session: Session, today: date, zone: ZoneInfo) -> dict[RefundState, Sum]:
    """Refunds that are under way, whatever their age, and those of the last days that are settled."""
    columns = (Refund.state, Refund.currency, Refund.amount)
    recent = Refund.created_at >= _midnight(settled_since(today), zone)
    every = union_all(
        select(*columns).where(Refund.state.in_(OPEN_REFUNDS)),
        select(*columns).where(Refund.state.in_(SETTLED_REFUNDS), recent),
    ).subquery()
    grouped = session.execute(
        select(every.c.state, every.c.currency, func.count(), summed(every.c.amount)).group_by(
            every.c.state, every.c.currency
        )
    )
    sums: dict[RefundState, Sum] = {state: Sum() for state in (*OPEN_REFUNDS, *SETTLED_REFUNDS)}
    for state, currency, count, amount in grouped:
        sums[state].add(count, currency, amount)
    return sums


def settled_since(today: date) -> date:
    """The day from which on settled refunds are counted."""
    return today - timedelta(REFUND_DAYS)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
