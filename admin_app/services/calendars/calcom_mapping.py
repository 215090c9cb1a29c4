"""Which practitioner is which at Cal.com: by their record, else by the settings."""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from admin_app.integrations.calendar_ports import CalcomAccounts
from models import Practitioner


def event_type_of(practitioner: Practitioner, accounts: CalcomAccounts) -> str | None:
    """The Cal.com event type that the practitioner is booked by; None when they are not mapped."""
    return practitioner.calcom_event_type_id or accounts.event_types.get(practitioner.id) or None


def practitioner_of(
    session: Session,
    accounts: CalcomAccounts,
    *,
    event_type_id: str | None,
    organizer_id: str | None,
    organizer_email: str | None,
) -> Practitioner | None:
    """Whose Cal.com booking this is: by event type, else by the host; None when that names nobody or several."""
    conditions: list[ColumnElement[bool]] = []
    if event_type_id:
        conditions.append(has_event_type(event_type_id, accounts))
    if organizer_id:
        conditions.append(has_user(organizer_id, accounts))
    if organizer_email:
        conditions.append(Practitioner.email == organizer_email)
    for condition in conditions:
        found = session.scalars(select(Practitioner).where(condition).order_by(Practitioner.id).limit(2)).all()
        if found:
            return found[0] if len(found) == 1 else None
    return None


def has_event_type(event_type_id: str, accounts: CalcomAccounts) -> ColumnElement[bool]:
    """Practitioners who are booked by this event type."""
    return _named(Practitioner.calcom_event_type_id, event_type_id, accounts.event_types)


def has_user(user_id: str, accounts: CalcomAccounts) -> ColumnElement[bool]:
    """Practitioners who are this user at Cal.com."""
    return _named(Practitioner.calcom_user_id, user_id, accounts.user_ids)


def _named(column: InstrumentedAttribute[str | None], value: str, settings: Mapping[int, str]) -> ColumnElement[bool]:
    """The record says so, or says nothing and the settings do."""
    numbers = [number for number, given in settings.items() if given == value]
    return or_(column == value, column.is_(None) & Practitioner.id.in_(numbers))
