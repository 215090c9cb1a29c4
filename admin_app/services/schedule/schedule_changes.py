"""Practitioners and session types: added and changed by forms, put out of use and back by commands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import func, select

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services.calendars import waiting_deliveries
from admin_app.services.core import audit, plans
from admin_app.services.core.plans import Plan, PlanLine
from admin_app.services.core.records import lock_names, practitioner_key, session_type_key
from admin_app.services.schedule import schedule_forms as forms
from models import Booking, BookingStatus, Meeting, Practitioner, SessionType

Row = TypeVar("Row", Practitioner, SessionType)
NEW_PRACTITIONER: Mapping[str, Any] = {
    "name": "",
    "email": "",
    "time_zone": "UTC",
    "working_hours": {},
    "free_meetings": True,
    "calcom_user_id": None,
    "calcom_event_type_id": None,
}
NEW_SESSION_TYPE: Mapping[str, Any] = {
    "title": "",
    "minutes": 60,
    "price_amount": 0,
    "price_currency": "usd",
    "calendly_event_type_id": None,
    "calendly_event_type_uri": None,
}


class StaleForm(Conflict):
    """Somebody saved the record after the form was opened; `fields` says what is kept where the form differs."""

    code = "stale_form"


@dataclass(frozen=True)
class _Kind:
    """How one kind of record is read from its form, named, and spoken of."""

    word: str
    noun: str
    columns: tuple[str, ...]
    read: Callable[[Mapping[str, Any], forms.Values], forms.Columns]
    write: Callable[[Mapping[str, Any]], dict[str, str]]
    required: tuple[str, ...]


_PRACTITIONER = _Kind(
    "practitioner",
    "practitioner",
    forms.PRACTITIONER_COLUMNS,
    forms.practitioner_columns,
    forms.practitioner_texts,
    ("name", "email", "time_zone"),
)
_SESSION_TYPE = _Kind(
    "session_type",
    "session type",
    forms.SESSION_TYPE_COLUMNS,
    forms.session_type_columns,
    forms.session_type_texts,
    ("title", "minutes", "price", "price_currency"),
)


# -- what the forms show --------------------------------------------------------------------------------------------


def practitioner_form(practitioner: Practitioner | None) -> dict[str, str]:
    """The form of a practitioner as it is now, or an empty one."""
    return forms.practitioner_texts(_current(_PRACTITIONER, practitioner) if practitioner else NEW_PRACTITIONER)


def session_type_form(session_type: SessionType | None) -> dict[str, str]:
    """The form of a session type as it is now, or an empty one."""
    return forms.session_type_texts(_current(_SESSION_TYPE, session_type) if session_type else NEW_SESSION_TYPE)


# -- adding and changing --------------------------------------------------------------------------------------------


def create_practitioner(ctx: Ctx, *, values: forms.Values, reason: str = "") -> Practitioner:
    """Add somebody whose time is sold; without working hours nothing can be booked yet."""
    require(ctx, Permission.SCHEDULE_MANAGE)
    columns = _read_new(_PRACTITIONER, NEW_PRACTITIONER, values)
    _own_email(ctx, columns["email"], None)
    row = Practitioner(**columns)
    ctx.session.add(row)
    _record_new(ctx, _PRACTITIONER, row, NEW_PRACTITIONER, reason)
    return row


def change_practitioner(
    ctx: Ctx, *, practitioner_id: int, values: forms.Values, version: int, reason: str = ""
) -> Practitioner:
    """Take what the form says. Appointments that were made stay; free times follow at once."""
    require(ctx, Permission.SCHEDULE_MANAGE)
    row = _locked(ctx, Practitioner, practitioner_id)
    columns = _read_changed(ctx, _PRACTITIONER, row, values, version)
    if columns["email"] != row.email:
        _own_email(ctx, columns["email"], row.id)
    _change(ctx, _PRACTITIONER, row, columns, reason)
    return row


def create_session_type(ctx: Ctx, *, practitioner_id: int, values: forms.Values, reason: str = "") -> SessionType:
    """Add something that can be booked with this practitioner."""
    require(ctx, Permission.SCHEDULE_MANAGE)
    practitioner = ctx.session.get(Practitioner, practitioner_id)
    if practitioner is None:
        sentence = "Choose the practitioner whose time it is."
        raise InvalidInput(sentence, fields={"practitioner_id": sentence})
    columns = _read_new(_SESSION_TYPE, NEW_SESSION_TYPE, values)
    _own_event_type(ctx, columns, None)
    row = SessionType(practitioner_id=practitioner_id, **columns)
    ctx.session.add(row)
    _record_new(ctx, _SESSION_TYPE, row, NEW_SESSION_TYPE, reason)
    return row


def change_session_type(
    ctx: Ctx, *, session_type_id: int, values: forms.Values, version: int, reason: str = ""
) -> SessionType:
    """Take what the form says. What was booked keeps its length and its price."""
    require(ctx, Permission.SCHEDULE_MANAGE)
    row = _locked(ctx, SessionType, session_type_id)
    columns = _read_changed(ctx, _SESSION_TYPE, row, values, version)
    _own_event_type(ctx, columns, row.id)
    _change(ctx, _SESSION_TYPE, row, columns, reason)
    return row


def _read_new(kind: _Kind, empty: Mapping[str, Any], values: forms.Values) -> forms.Columns:
    """What a new record's form says; the fields without which there is no record are asked for."""
    return kind.read(empty, {**dict.fromkeys(kind.required, ""), **values})


def _read_changed(ctx: Ctx, kind: _Kind, row: Row, values: forms.Values, version: int) -> forms.Columns:
    current = _current(kind, row)
    if version == row.version:
        return kind.read(current, values)
    stored = kind.write(current)
    try:
        wished = kind.write(kind.read(current, values))
    except InvalidInput:
        wished = {**stored, **values}
    # The same form sent twice differs in nothing: it is done already.
    differing = {name: f"Kept now: {stored[name] or 'nothing'}." for name in stored if wished[name] != stored[name]}
    if differing:
        raise StaleForm(_who_was_faster(ctx, kind, row), fields=differing)
    return current


def _who_was_faster(ctx: Ctx, kind: _Kind, row: Row) -> str:
    last = audit.history(ctx.session, _key(row), limit=1)
    who = audit.actor_name(last[0].actor_kind, last[0].actor_label) if last else "Somebody"
    return (
        f"{who} saved this {kind.noun} after you opened the form, so nothing of yours was saved. "
        "Compare the marked fields, then save again."
    )


def _change(ctx: Ctx, kind: _Kind, row: Row, columns: forms.Columns, reason: str) -> None:
    before, after = kind.write(_current(kind, row)), kind.write(columns)
    changes = [audit.Change(name, before[name] or None, after[name] or None) for name in after]
    if before == after:
        return
    for name, value in columns.items():
        setattr(row, name, value)
    row.version += 1
    _record(ctx, f"{kind.word}.changed", row, changes, reason)


def _record_new(ctx: Ctx, kind: _Kind, row: Row, empty: Mapping[str, Any], reason: str) -> None:
    ctx.session.flush()  # the entry names the record by its number
    after = kind.write(_current(kind, row))
    changes = [audit.Change(name, None, text or None) for name, text in after.items()]
    _record(ctx, f"{kind.word}.created", row, changes, reason)


# -- out of use, and back ------------------------------------------------------------------------------------------


def plan_practitioner_use(ctx: Ctx, *, practitioner_id: int, active: bool) -> Plan:
    """What it means that nobody can book with this practitioner any more, or again."""
    require(ctx, Permission.SCHEDULE_MANAGE)
    row = _found(ctx.session.get(Practitioner, practitioner_id), "practitioner")
    kept = f"Appointments that lie ahead and stay as they are: {_ahead(ctx, practitioner_id)}."
    consequences: tuple[str, ...]
    if active:
        consequences = (f"The web site offers times of {row.name} again, by their working hours.",)
    else:
        consequences = (f"The web site offers no times of {row.name} any more.", kept)
    return _plan_use(row, practitioner_key(row.id), row.name, active, consequences)


def set_practitioner_use(ctx: Ctx, *, practitioner_id: int, active: bool, reason: str, shown: str) -> Practitioner:
    """Offer this practitioner's times, or stop offering them."""
    require(ctx, Permission.SCHEDULE_MANAGE)
    why = plans.require_reason(reason)
    row = _locked(ctx, Practitioner, practitioner_id)
    _use(ctx, row, plan_practitioner_use(ctx, practitioner_id=practitioner_id, active=active), active, why, shown)
    return row


def plan_session_type_use(ctx: Ctx, *, session_type_id: int, active: bool) -> Plan:
    """What it means that this cannot be booked any more, or again."""
    require(ctx, Permission.SCHEDULE_MANAGE)
    row = _found(ctx.session.get(SessionType, session_type_id), "session type")
    consequences: tuple[str, ...]
    if active:
        consequences = (f"“{row.title}” can be booked again.",)
    else:
        consequences = (f"“{row.title}” cannot be booked any more.", "What was booked stays as it is.")
    return _plan_use(row, session_type_key(row.id), row.title, active, consequences)


def set_session_type_use(ctx: Ctx, *, session_type_id: int, active: bool, reason: str, shown: str) -> SessionType:
    """Let this be booked, or not any more."""
    require(ctx, Permission.SCHEDULE_MANAGE)
    why = plans.require_reason(reason)
    row = _locked(ctx, SessionType, session_type_id)
    _use(ctx, row, plan_session_type_use(ctx, session_type_id=session_type_id, active=active), active, why, shown)
    return row


def _plan_use(
    row: Practitioner | SessionType, record: str, name: str, active: bool, consequences: tuple[str, ...]
) -> Plan:
    refusal = None
    if row.active is active:
        refusal = f"{name} is {'in use' if active else 'out of use'} already."
    return Plan(
        title=f"{'Activate' if active else 'Deactivate'} {name}",
        outcome="activated" if active else "deactivated",
        lines=(PlanLine(record, "active", row.active, active, "chosen"),),
        consequences=consequences,
        fingerprint=plans.fingerprint(record, row.active, active),
        refusal=refusal,
    )


def _use(ctx: Ctx, row: Row, plan: Plan, active: bool, reason: str, shown: str) -> None:
    plans.require_same(shown, plan.fingerprint)
    if plan.refusal:
        raise Conflict(plan.refusal)
    changes = [audit.Change("active", row.active, active)]
    row.active = active
    row.version += 1
    word = "practitioner" if isinstance(row, Practitioner) else "session_type"
    _record(ctx, f"{word}.{plan.outcome}", row, changes, reason)


def _ahead(ctx: Ctx, practitioner_id: int) -> int:
    def count(table: type[Booking] | type[Meeting]) -> int:
        query = select(func.count()).where(
            table.practitioner_id == practitioner_id,
            table.starts_at > ctx.now,
            table.status.in_((BookingStatus.PENDING, BookingStatus.CONFIRMED)),
        )
        return ctx.session.scalar(query) or 0

    return count(Booking) + count(Meeting)


# -- rows ----------------------------------------------------------------------------------------------------------


def _locked(ctx: Ctx, model: type[Row], key: int) -> Row:
    query = (
        select(model).where(model.id == key).with_for_update(key_share=True).execution_options(populate_existing=True)
    )
    return _found(ctx.session.scalar(query), "practitioner" if model is Practitioner else "session type")


def _found(row: Row | None, noun: str) -> Row:
    if row is None:
        raise NotFound(f"There is no {noun} under this address. It may have been deleted.")
    return row


def _current(kind: _Kind, row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in kind.columns}


def _key(row: Practitioner | SessionType) -> str:
    return practitioner_key(row.id) if isinstance(row, Practitioner) else session_type_key(row.id)


def _own_email(ctx: Ctx, email: str, own_id: int | None) -> None:
    lock_names(ctx.session, f"practitioner_email:{email.lower()}")
    other = ctx.session.scalar(select(Practitioner).where(Practitioner.email == email))
    if other is not None and other.id != own_id:
        sentence = f"{other.name} has this e-mail already."
        raise Conflict(sentence, code="practitioner_exists", fields={"email": sentence})


def _own_event_type(ctx: Ctx, columns: Mapping[str, Any], own_id: int | None) -> None:
    """Calendly's event types lead to one session type each, or nobody could tell what was booked."""
    key = columns["calendly_event_type_id"]
    if key is None:
        return
    lock_names(ctx.session, f"calendly_event_type:{key}")
    other = ctx.session.scalar(select(SessionType).where(SessionType.calendly_event_type_id == key))
    if other is not None and other.id != own_id:
        sentence = f"“{other.title}” (session type {other.id}) has this event type already. Take it off there first."
        raise Conflict(sentence, code="event_type_taken", fields={"calendly_event_type_uri": sentence})


def _record(ctx: Ctx, event: str, row: Practitioner | SessionType, changes: list[audit.Change], reason: str) -> None:
    why = plans.require_reason(reason) if reason.strip() else None
    waiting_deliveries.release_waiting_for_schedule(ctx)
    if isinstance(row, Practitioner):
        records, facts = [practitioner_key(row.id)], {"name": row.name}
    else:
        records, facts = [session_type_key(row.id), practitioner_key(row.practitioner_id)], {"title": row.title}
    audit.record(ctx, event, records=records, reason=why, changes=changes, facts=facts)
