"""Switching a client off and on: at once or later, until a moment or until somebody switches it back.

The clock decides what holds (`flag_clock`). The booleans on `clients` are kept true for other readers: in the
transaction of every switch here, and by jobs at the moments at which the clock turns one (`flag_following`).
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import AlreadySo, Conflict, InvalidInput, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services.clients import flag_clock, flag_letters, flag_periods, flag_plans
from admin_app.services.clients.flag_periods import Effect, FlagState, effect_of
from admin_app.services.clients.flag_requests import FlagRequest, checked
from admin_app.services.clients.flag_words import WORDS
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import Plan, fingerprint, require_reason, require_same
from admin_app.services.core.records import client_key, flag_change_key
from models.clients import CLIENT_FLAGS, Client, FlagChange, FlagName

__all__ = ["Effect", "FlagRequest", "FlagState", "effect_of"]

BEGUN = "It has begun already. Switch it off instead."
GONE = "It was ended, canceled or replaced meanwhile."


def state(session: Session, client_ids: Collection[int], flag: FlagName, now: datetime) -> dict[int, FlagState]:
    """One flag of these clients at `now`, in two queries; who is no client is left out."""
    kept = session.execute(select(Client.id, getattr(Client, flag.value)).where(Client.id.in_(client_ids)))
    periods = flag_periods.open_periods(session, flag, client_ids)
    return {number: FlagState.of(flag, number, on, periods.get(number, []), now) for number, on in kept}


def plan_flag(ctx: Ctx, *, client_id: int, asked: FlagRequest, base_url: str) -> Plan:
    """What the request would change; its reason is asked for when it is acted on. What holds already is refused.

    `base_url` is where the console is, for the address in the mail that goes before the end.
    """
    require(ctx, Permission.CLIENTS_READ)
    asked = checked(_of_a_client(asked), ctx.now, needs_reason=False)
    client = ctx.session.get(Client, client_id, populate_existing=True)
    if client is None:
        raise NotFound("There is no such client.")
    found = _state(ctx, client, asked.flag)
    plan = flag_plans.of_request(client, found, asked, effect_of(found, asked, ctx.now), ctx.now)
    if not asked.turns_on:
        return plan
    to_be = flag_periods.of_request(ctx, client.id, asked)
    return replace(plan, mails=flag_letters.planned(ctx.session, client, to_be, base_url, ctx.now))


def set_flag(ctx: Ctx, *, client_id: int, asked: FlagRequest, shown: str, bulk_run_id: int | None = None) -> FlagChange:
    """Turn a flag of a client; returns the period that begins or ends, or the note when there was none to end.

    `shown` is the fingerprint of the flag as it was when it was decided on.
    """
    require(ctx, Permission.CLIENTS_SWITCH)
    asked = checked(_of_a_client(asked), ctx.now)
    client = locked(ctx, client_id)
    found = _state(ctx, client, asked.flag)
    require_same(shown, found.fingerprint)
    effect = effect_of(found, asked, ctx.now)
    if effect.already:
        raise AlreadySo(flag_plans.already(found, asked))
    note_ended(ctx, client, found)
    if asked.turns_on:
        return _turn_on(ctx, client, found, asked, effect, bulk_run_id)
    return _turn_off(ctx, client, found, asked, bulk_run_id)


def plan_cancel(ctx: Ctx, *, change_id: int) -> Plan:
    """What canceling a scheduled period changes."""
    require(ctx, Permission.CLIENTS_READ)
    period, client_id = _scheduled(ctx, change_id)
    client = ctx.session.get_one(Client, client_id)
    found = _state(ctx, client, period.flag)
    earlier = [each for each in (found.change, *found.scheduled) if each and each is not period]
    ends_there = any(flag_clock.ends_at(each) == period.since for each in earlier)
    refusal = _not_cancelable(ctx, period)
    return flag_plans.of_cancel(client, period, fingerprint(period), refusal, ends_there=ends_there)


def cancel(ctx: Ctx, *, change_id: int, reason: str, shown: str) -> FlagChange:
    """Take back a period that has not begun."""
    require(ctx, Permission.CLIENTS_SWITCH)
    reason = require_reason(reason)
    _, client_id = _scheduled(ctx, change_id)
    client = locked(ctx, client_id)
    period, _ = _scheduled(ctx, change_id)  # as it is now that nobody else may change it
    refusal = _not_cancelable(ctx, period)
    if refusal:
        raise Conflict(refusal)
    require_same(shown, fingerprint(period))
    change = flag_periods.lift(ctx, period, by=ctx.actor.label, reason=reason)
    note(ctx, client, period, "client.switch_canceled", reason=reason, changes=[change])
    return period


def locked(ctx: Ctx, client_id: int) -> Client:
    """The client, locked: their flags are turned one after another."""
    client = ctx.session.get(Client, client_id, with_for_update=True, populate_existing=True)
    if client is None:
        raise NotFound("There is no such client.")
    return client


def keep_true(ctx: Ctx, client: Client, flag: FlagName, is_on: bool) -> Change:
    """Set the boolean that other programs read to what holds."""
    before = getattr(client, flag.value)
    if before != is_on:
        setattr(client, flag.value, is_on)
        client.version += 1
        client.updated_at = ctx.now
    return Change(flag.value, before, is_on)


def note_ended(ctx: Ctx, client: Client, found: FlagState, changes: Collection[Change] = ()) -> None:
    """Say of the periods that the clock ended that it did."""
    flag_periods.note_ended(ctx, found.over)
    for period in found.over:
        note(ctx, client, period, "client.switch_ended", changes=changes)


def note(
    ctx: Ctx,
    client: Client,
    period: FlagChange,
    event: str,
    *,
    reason: str | None = None,
    changes: Collection[Change] = (),
) -> None:
    """Say in the audit what became of a client's flag."""
    audit.record(
        ctx,
        event,
        records=[client_key(client.id), flag_change_key(period.id)],
        reason=reason,
        changes=changes,
        facts={"client": client.name, "switch": WORDS[period.flag].name},
    )


def _turn_on(
    ctx: Ctx, client: Client, found: FlagState, asked: FlagRequest, effect: Effect, bulk_run_id: int | None
) -> FlagChange:
    changes = flag_periods.make_room(ctx, effect, reason=asked.reason)
    period = flag_periods.begin(ctx, client.id, asked, bulk_run_id=bulk_run_id)
    later = flag_clock.is_scheduled(period, ctx.now)
    changes.insert(0, keep_true(ctx, client, asked.flag, found.is_on if later else True))
    about = flag_change_key(period.id)
    changes += [Change(name, None, value, about) for name, value in flag_plans.kept(period).items()]
    event = "client.switch_scheduled" if later else "client.switched_on"
    note(ctx, client, period, event, reason=asked.reason, changes=changes)
    return period


def _turn_off(ctx: Ctx, client: Client, found: FlagState, asked: FlagRequest, bulk_run_id: int | None) -> FlagChange:
    changes = [keep_true(ctx, client, asked.flag, False)]
    period = found.change
    if period is not None:
        changes.append(flag_periods.lift(ctx, period, by=ctx.actor.label, reason=asked.reason))
    else:
        period = FlagChange(
            client_id=client.id,
            flag=asked.flag,
            value=False,
            reason=asked.reason,
            by=ctx.actor.label,
            since=ctx.now,
            bulk_run_id=bulk_run_id,
            created_at=ctx.now,
        )
        ctx.session.add(period)
    ctx.session.flush()
    note(ctx, client, period, "client.switched_off", reason=asked.reason, changes=changes)
    return period


def _state(ctx: Ctx, client: Client, flag: FlagName) -> FlagState:
    periods = flag_periods.open_periods(ctx.session, flag, [client.id]).get(client.id, [])
    return FlagState.of(flag, client.id, getattr(client, flag.value), periods, ctx.now)


def _of_a_client(asked: FlagRequest) -> FlagRequest:
    if asked.flag not in CLIENT_FLAGS:
        raise InvalidInput("This is no flag of a single client.")
    return asked


def _scheduled(ctx: Ctx, change_id: int) -> tuple[FlagChange, int]:
    period = ctx.session.get(FlagChange, change_id, populate_existing=True)
    if period is None or period.client_id is None or not period.value:
        raise NotFound("There is no such period.")
    return period, period.client_id


def _not_cancelable(ctx: Ctx, period: FlagChange) -> str | None:
    if not flag_clock.is_open(period):
        return GONE
    return None if flag_clock.is_scheduled(period, ctx.now) else BEGUN
