"""Which Calendly event type is which session type: proposed where a name, a length and an owner say so."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.calendar_ports import CalendlyEventType
from admin_app.services.schedule import schedule_changes
from models import Practitioner, SessionType


@dataclass(frozen=True)
class Proposal:
    """A session type without an event type, and those that fit it; exactly one may be set without asking anybody."""

    session_type: SessionType
    practitioner: Practitioner
    fitting: tuple[CalendlyEventType, ...]

    @property
    def only(self) -> CalendlyEventType | None:
        return self.fitting[0] if len(self.fitting) == 1 else None


def propose(session: Session, event_types: Sequence[CalendlyEventType]) -> list[Proposal]:
    """For every session type in use that has no event type yet, those of the same title and length.

    Where several practitioners offer the same, the owner decides; one event type never serves two session types.
    """
    rows = session.execute(
        select(SessionType, Practitioner)
        .join(Practitioner, Practitioner.id == SessionType.practitioner_id)
        .where(SessionType.active, SessionType.calendly_event_type_id.is_(None))
        .order_by(Practitioner.name, SessionType.title, SessionType.id)
    ).all()
    taken = set(session.scalars(select(SessionType.calendly_event_type_id)))
    free = [kind for kind in event_types if kind.active and kind.id not in taken]
    alike = Counter(_sold_as(row.SessionType) for row in rows)
    found = [_proposal(row.SessionType, row.Practitioner, free, alike) for row in rows]
    claims = Counter(only.id for proposal in found if (only := proposal.only))
    return [replace(one, fitting=()) if one.only and claims[one.only.id] > 1 else one for one in found]


def apply(ctx: Ctx, proposals: Sequence[Proposal], *, reason: str) -> int:
    """Set what is unambiguous; deliveries that waited for it go on. Answers how many were set."""
    chosen = [(proposal.session_type, only) for proposal in proposals if (only := proposal.only)]
    for session_type, event_type in chosen:
        schedule_changes.change_session_type(
            ctx,
            session_type_id=session_type.id,
            values={"calendly_event_type_uri": event_type.uri},
            version=session_type.version,
            reason=reason,
        )
    return len(chosen)


def _proposal(
    session_type: SessionType,
    practitioner: Practitioner,
    free: Sequence[CalendlyEventType],
    alike: Counter[tuple[str, int]],
) -> Proposal:
    same = [kind for kind in free if (_plain(kind.name), kind.minutes) == _sold_as(session_type)]
    own = [kind for kind in same if kind.owner_name and _plain(kind.owner_name) == _plain(practitioner.name)]
    if not own and alike[_sold_as(session_type)] > 1:
        same = []  # several offer it, and nothing says whose it is
    return Proposal(session_type, practitioner, tuple(own or same))


def _sold_as(session_type: SessionType) -> tuple[str, int]:
    return _plain(session_type.title), session_type.minutes


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
