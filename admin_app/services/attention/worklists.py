"""What waits for a person right now, counted for the first page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from admin_app.services.core import audit
from admin_app.services.core.audit import HistoryItem
from admin_app.services.payments.disputes import UNANSWERED
from models.billing import Subscription
from models.clients import FlagChange, OnExpiry
from models.core import AuditEntry
from models.drift import DriftFinding, DriftState
from models.inbox import EventState, MailState, ProviderCall, SentEmail, WebhookEvent
from models.payments import Dispute, Payment, Refund, RefundOrigin, RefundState
from models.purchases import ExtraPurchase, PendingProfile
from models.refunds import Approval

LATE_PAYMENTS_SHOWN = timedelta(days=7)


@dataclass(frozen=True)
class Waiting:
    """How much waits; `oldest_purchase` is when the oldest unclaimed purchase was made."""

    unclaimed: int
    with_likely_owner: int
    oldest_purchase: datetime | None
    parked_events: int
    failed_events: int
    extra_purchases: int
    failed_mails: int
    unknown_mails: int
    calls: int
    oldest_call: datetime | None


def waiting(session: Session) -> Waiting:
    """Counts of what is open; each is over a partial or selective index, and open work stays small."""
    unclaimed, likely, oldest = session.execute(
        select(
            func.count(),
            func.count().filter(PendingProfile.likely_owners > 0),
            func.min(PendingProfile.created_at),
        ).where(~PendingProfile.claimed)
    ).one()
    parked, failed = _in_states(session, WebhookEvent.state, EventState.PARKED, EventState.FAILED)
    extra = session.scalar(select(func.count()).select_from(ExtraPurchase).where(ExtraPurchase.resolved_at.is_(None)))
    failed_mails, unknown_mails = _in_states(session, SentEmail.state, MailState.FAILED, MailState.UNKNOWN)
    since = ProviderCall.attention_since
    calls, oldest_call = session.execute(select(func.count(), func.min(since)).where(since.is_not(None))).one()
    return Waiting(
        unclaimed, likely, oldest, parked, failed, extra or 0, failed_mails, unknown_mails, calls, oldest_call
    )


def _in_states(session: Session, state: InstrumentedAttribute[Any], *wanted: str) -> Sequence[int]:
    """How many are in each of these states; they are named together, which is what the partial index is over."""
    each = [func.count().filter(state == one) for one in wanted]
    return session.execute(select(*each).where(state.in_(wanted))).one()


def differences_waiting(session: Session) -> tuple[int, datetime | None]:
    """How many differences with the providers are open, and when the oldest was found."""
    is_open = DriftFinding.state == DriftState.OPEN
    count, oldest = session.execute(select(func.count(), func.min(DriftFinding.found_at)).where(is_open)).one()
    return count, oldest


def switches_waiting(session: Session, now: datetime) -> int:
    """How many flags are past their end date and still on, because that was asked for: somebody has to decide."""
    found = select(func.count()).where(
        FlagChange.value,
        FlagChange.lifted_at.is_(None),
        FlagChange.until <= now,
        FlagChange.on_expiry == OnExpiry.STAY,
    )
    return session.scalar(found) or 0


@dataclass(frozen=True)
class MoneyWaiting:
    """Open work about money. Late payments are those that were given back within the last week."""

    to_decide: int
    undecided: int
    undecided_since: datetime | None
    unknown_refunds: int
    late_payments: int
    returned_refunds: int
    disputes: int
    evidence_until: datetime | None
    past_due: int
    past_due_since: datetime | None


def money_waiting(session: Session, now: datetime) -> MoneyWaiting:
    """Counts of what is open about money; each is over a partial or selective index."""
    decide = session.scalar(select(func.count()).select_from(Approval).where(Approval.decided_at.is_(None)))
    unknown = session.scalar(select(func.count()).select_from(Refund).where(Refund.state == RefundState.UNKNOWN))
    undecided, waits_since = session.execute(
        select(func.count(), func.min(Payment.undecided_since)).where(Payment.undecided_since.is_not(None))
    ).one()
    late = session.scalar(
        select(func.count())
        .select_from(Refund)
        .where(Refund.origin == RefundOrigin.BACKDESK, Refund.created_at > now - LATE_PAYMENTS_SHOWN)
    )
    disputes, until = session.execute(
        select(func.count(), func.min(Dispute.due_by)).where(Dispute.status.in_(UNANSWERED))
    ).one()
    past_due, since = session.execute(
        select(func.count(), func.min(Subscription.past_due_since)).where(Subscription.past_due_since.is_not(None))
    ).one()
    returned = select(func.count()).where(Refund.returned_at.is_not(None), Refund.made_good_at.is_(None))
    came_back = session.scalar(returned) or 0
    return MoneyWaiting(
        decide or 0, undecided, waits_since, unknown or 0, late or 0, came_back, disputes, until, past_due, since
    )


def next_purchases(session: Session, *, limit: int = 6) -> list[PendingProfile]:
    """The oldest unclaimed purchases that have a likely owner: the quickest good work."""
    query = (
        select(PendingProfile)
        .where(~PendingProfile.claimed, PendingProfile.likely_owners > 0)
        .order_by(PendingProfile.created_at, PendingProfile.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def recent_commands(session: Session, *, limit: int = 8) -> list[HistoryItem]:
    """What staff did last, newest first; signing in and out is left out."""
    query = (
        select(AuditEntry)
        .where(AuditEntry.actor_kind == "staff", AuditEntry.event.not_like("staff.sign%"))
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    )
    return [audit.as_history(entry) for entry in session.scalars(query)]
