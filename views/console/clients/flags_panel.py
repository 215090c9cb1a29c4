"""The flags of a client: what is on, since when, until when, why, and what is scheduled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from admin_app.policies.permissions import Permission
from admin_app.services.clients import flag_clock
from admin_app.services.clients.flag_words import OUTSIDE, UNTIL_SWITCHED_BACK, WORDS, end_words
from admin_app.services.clients.flags import FlagState
from models import CLIENT_FLAGS, Client, FlagChange, FlagName
from views.console.framework.columns import record_address, time_text
from views.console.framework.current_staff import Viewer

_OF_CLIENT = (
    select(Client.outbound_paused, Client.ai_disabled, FlagChange)
    .outerjoin(FlagChange, and_(FlagChange.client_id == Client.id, FlagChange.lifted_at.is_(None), FlagChange.value))
    .order_by(FlagChange.since, FlagChange.id)
)


@dataclass(frozen=True)
class Scheduled:
    words: str
    reason: str
    cancel: str


@dataclass(frozen=True)
class ShownFlag:
    """One flag as the panel shows it; `facts` are pairs, and the addresses are those of its commands."""

    name: str
    on: bool
    state: str
    facts: Sequence[tuple[str, str]]
    waits: bool
    scheduled: Sequence[Scheduled]
    turn_on: tuple[str, str]
    turn_off: tuple[str, str] | None


def panel(session: Session, client_id: int, now: datetime, viewer: Viewer) -> dict[str, Any]:
    """What `console/clients/flags_panel.html` shows, by one query."""
    rows = session.execute(_OF_CLIENT.where(Client.id == client_id)).all()
    if not rows:
        return {"switches": [], "may": False}
    kept = {FlagName.OUTBOUND_PAUSED: rows[0].outbound_paused, FlagName.AI_DISABLED: rows[0].ai_disabled}
    periods = [row.FlagChange for row in rows if row.FlagChange is not None]
    shown = []
    for flag in CLIENT_FLAGS:
        of_flag = [each for each in periods if each.flag is flag]
        state = FlagState.of(flag, client_id, kept[flag], of_flag, now)
        shown.append(_shown(client_id, state, now, viewer.zone))
    return {
        "switches": shown,
        "may": viewer.may(Permission.CLIENTS_SWITCH),
        "history": f"/admin/flag-changes/?client={client_id}",
    }


def _shown(client_id: int, state: FlagState, now: datetime, zone: ZoneInfo) -> ShownFlag:
    words, change = WORDS[state.flag], state.change
    commands = f"{record_address('clients', client_id)}/switches/{state.flag.value}"
    again = "Change or schedule" if state.is_on else words.turn_on
    return ShownFlag(
        name=words.name,
        on=state.is_on,
        state=words.on if state.is_on else words.off,
        facts=_facts(state, zone),
        waits=change is not None and flag_clock.waits_for_decision(change, now),
        scheduled=[_scheduled(each, zone) for each in state.scheduled],
        turn_on=(again, f"{commands}/on"),
        turn_off=(words.turn_off, f"{commands}/off") if state.is_on else None,
    )


def _facts(state: FlagState, zone: ZoneInfo) -> list[tuple[str, str]]:
    change = state.change
    if change is None:
        return [("By", OUTSIDE), ("Until", UNTIL_SWITCHED_BACK)] if state.is_on else []
    facts = [
        ("Why", change.reason),
        ("By", change.by),
        ("Since", time_text(change.since, zone)),
        ("Until", _until(change, zone)),
    ]
    then = end_words(change.on_expiry, change.until is not None)
    if then:
        facts.append(("Then", then))
    if change.tell_email and change.tell_at:
        told = f"told {time_text(change.told_at, zone)}" if change.told_at else f"at {time_text(change.tell_at, zone)}"
        facts.append(("Told before it ends", f"{change.tell_email}, {told}"))
    return facts


def _scheduled(period: FlagChange, zone: ZoneInfo) -> Scheduled:
    return Scheduled(
        words=f"From {time_text(period.since, zone)} until {_until(period, zone).removeprefix('until ')}",
        reason=f"{period.reason} ({period.by})",
        cancel=f"{record_address('flag-changes', period.id)}/cancel",
    )


def _until(period: FlagChange, zone: ZoneInfo) -> str:
    return time_text(period.until, zone) if period.until else UNTIL_SWITCHED_BACK
