"""The emergency stop: one flag that stops everyone, with a reason and an end date."""

from datetime import datetime

from sqlalchemy import func, select

from admin_app.context import Ctx
from admin_app.errors import AlreadySo, InvalidInput
from admin_app.policies.permissions import Permission, require
from admin_app.services.clients import flag_clock, flag_periods, flag_plans
from admin_app.services.clients.flag_periods import Effect
from admin_app.services.clients.flag_requests import FlagRequest, checked
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import EVERYONE, flag_change_key, lock_names
from models.clients import Client, FlagChange, FlagName

NOT_ON = "There is no emergency stop in force, so there is nothing to end."
ALREADY = "Everyone is stopped already until that moment."


def plan_start(ctx: Ctx, *, until: datetime | None) -> Plan:
    """Whom stopping everyone until then would affect."""
    require(ctx, Permission.CLIENTS_READ)
    _checked(ctx, "", until, needs_reason=False)
    current = _current(_periods(ctx), ctx.now)
    clients = ctx.session.scalar(select(func.count()).select_from(Client)) or 0
    said = [
        f"All clients are stopped at once, {clients:,} in number.",
        "No outbound calls are made and the AI does not answer, whatever their own flags say.",
        "Their own flags stay as they are and hold again afterwards.",
        "The reason, your name and the end stand on every page of this console while it is on.",
        "At the end date it ends by itself, at that very moment. It can be ended earlier.",
    ]
    if current is not None:
        said.insert(0, f"Everyone is stopped already, by {current.by}: {current.reason}. This replaces it.")
    return Plan(
        title="Stop everyone",
        outcome="stopped",
        lines=(
            PlanLine(EVERYONE, "emergency_stop", current is not None, True, "this command"),
            PlanLine(EVERYONE, "until", current.until if current else None, until, "this command"),
            *flag_plans.ended(current, ctx.now, flag_plans.REPLACED),
        ),
        consequences=tuple(said),
        fingerprint=_fingerprint(current),
        refusal=ALREADY if current is not None and current.until == until else None,
        adds=flag_plans.ADDS,
    )


def start(ctx: Ctx, *, reason: str, until: datetime | None, shown: str) -> FlagChange:
    """Stop everyone until then."""
    require(ctx, Permission.EMERGENCY_STOP)
    asked = _checked(ctx, reason, until)
    periods = locked_periods(ctx)
    current = _current(periods, ctx.now)
    require_same(shown, _fingerprint(current))
    if current is not None and current.until == until:
        raise AlreadySo(ALREADY)
    note_ended(ctx, periods)
    room = Effect(lifted=(current,) if current else ())
    changes = flag_periods.make_room(ctx, room, reason=asked.reason)
    period = flag_periods.begin(ctx, None, asked)
    changes.insert(0, Change("emergency_stop", current is not None, True))
    changes.append(Change("until", current.until if current else None, until))
    _note(ctx, period, "everyone.stopped", asked.reason, changes)
    return period


def plan_end(ctx: Ctx) -> Plan:
    """What ending the emergency stop early changes."""
    require(ctx, Permission.CLIENTS_READ)
    current = _current(_periods(ctx), ctx.now)
    lines = [PlanLine(EVERYONE, "emergency_stop", current is not None, False, "this command")]
    said = ["Every client is served again as their own flags say."]
    if current is not None:
        lines.append(PlanLine(EVERYONE, "until", current.until, None, "this command"))
        lines += flag_plans.ended(current, ctx.now, "this command")
        said.append(f"{current.by} stopped everyone: {current.reason}")
    return Plan(
        title="End the emergency stop",
        outcome="ended",
        lines=tuple(lines),
        consequences=tuple(said),
        fingerprint=_fingerprint(current),
        refusal=None if current else NOT_ON,
    )


def end(ctx: Ctx, *, reason: str, shown: str) -> FlagChange:
    """End the emergency stop before its end date."""
    require(ctx, Permission.EMERGENCY_STOP)
    reason = require_reason(reason)
    current = _current(locked_periods(ctx), ctx.now)
    require_same(shown, _fingerprint(current))
    if current is None:
        raise AlreadySo(NOT_ON)
    change = flag_periods.lift(ctx, current, by=ctx.actor.label, reason=reason)
    _note(ctx, current, "everyone.released", reason, [Change("emergency_stop", True, False), change])
    return current


def locked_periods(ctx: Ctx) -> list[FlagChange]:
    """The open periods of the emergency stop, which one transaction at a time changes."""
    lock_names(ctx.session, EVERYONE)
    return _periods(ctx)


def note_ended(ctx: Ctx, periods: list[FlagChange]) -> None:
    """Say of the stops among these that the clock ended that it did."""
    for each in periods:
        if flag_clock.is_over(each, ctx.now):
            flag_periods.note_ended(ctx, [each])
            audit.record(ctx, "everyone.stop_ended", records=[EVERYONE, flag_change_key(each.id)], facts={})


def _periods(ctx: Ctx) -> list[FlagChange]:
    return flag_periods.open_periods(ctx.session, FlagName.EMERGENCY_STOP, None).get(None, [])


def _current(periods: list[FlagChange], now: datetime) -> FlagChange | None:
    """The stop that is on. None is scheduled: one ahead was begun while this transaction waited its turn."""
    return next((each for each in periods if not flag_clock.is_over(each, now)), None)


def _checked(ctx: Ctx, reason: str, until: datetime | None, *, needs_reason: bool = True) -> FlagRequest:
    if until is None:
        raise InvalidInput(fields={"until": "Say until when everyone is stopped. It can be ended earlier."})
    asked = FlagRequest(flag=FlagName.EMERGENCY_STOP, turns_on=True, reason=reason, until=until)
    return checked(asked, ctx.now, needs_reason=needs_reason)


def _fingerprint(current: FlagChange | None) -> str:
    return fingerprint(EVERYONE, current.id if current else None, current.version if current else None)


def _note(ctx: Ctx, period: FlagChange, event: str, reason: str, changes: list[Change]) -> None:
    audit.record(ctx, event, records=[EVERYONE, flag_change_key(period.id)], reason=reason, changes=changes, facts={})
