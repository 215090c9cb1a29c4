"""What waits for a person right now, counted for the first page."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.services import audit
from admin_app.services.audit import HistoryItem
from models.audit import AuditEntry
from models.inbox import EventState, SentEmail, WebhookEvent
from models.people import ExtraPurchase, PendingProfile


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


def waiting(session: Session) -> Waiting:
    """Counts of what is open; each is over a partial or selective index, and open work stays small."""
    unclaimed, likely, oldest = session.execute(
        select(
            func.count(),
            func.count().filter(PendingProfile.likely_owners > 0),
            func.min(PendingProfile.created_at),
        ).where(~PendingProfile.claimed)
    ).one()
    parked, failed = session.execute(
        select(
            func.count().filter(WebhookEvent.state == EventState.PARKED),
            func.count().filter(WebhookEvent.state == EventState.FAILED),
        ).where(WebhookEvent.state.in_([EventState.PARKED, EventState.FAILED]))
    ).one()
    extra = session.scalar(select(func.count()).select_from(ExtraPurchase).where(ExtraPurchase.resolved_at.is_(None)))
    mails = session.scalar(select(func.count()).select_from(SentEmail).where(SentEmail.state == "failed"))
    return Waiting(unclaimed, likely, oldest, parked, failed, extra or 0, mails or 0)


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
