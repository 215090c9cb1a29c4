"""Putting back what a run changed: what it turned on goes off, what it ended or replaced comes back with its own end.

Only clients whose flag is still as the run left it; what was decided about one since then stays. A run is undone
once, and an undo is not undone: the clients can be chosen anew.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import insert, literal, select

from admin_app.context import Ctx
from admin_app.errors import AlreadySo, Conflict
from admin_app.policies.permissions import Permission, require
from admin_app.services.clients import bulk_runs, flags
from admin_app.services.clients.bulk_rules import mark
from admin_app.services.clients.bulk_runs import Frozen
from admin_app.services.clients.flags import Effect, FlagRequest, FlagState
from admin_app.services.core.plans import Plan, fingerprint, require_reason
from models.clients import BulkItem, BulkOutcome, BulkRun, BulkState, FlagChange, OnExpiry

SWITCHED_SINCE = "Switched again since that run, or ended by the clock: it stays as it is now"
OUTSIDE = "It was on before, set outside Backdesk"


def undo(ctx: Ctx, *, run_id: int, reason: str) -> BulkRun:
    """Freeze the inverse of a run, to be looked at and started like any other."""
    require(ctx, Permission.CLIENTS_SWITCH)
    reason = require_reason(reason)
    run = bulk_runs.locked(ctx.session, run_id)
    refusal = not_undoable(ctx, run)
    if refusal:
        raise Conflict(refusal)
    inverse = bulk_runs.begin(
        ctx,
        BulkRun(
            flag=run.flag,
            turns_on=not run.turns_on,
            wish={"reason": reason},
            chosen_by=f"what run {run.id} changed",
            undoes_id=run.id,
        ),
    )
    columns = ("client_id", "seen", "former", "flag_change_id")
    changed = (
        select(literal(inverse.id), *(getattr(BulkItem, name) for name in columns))
        .where(BulkItem.run_id == run.id, BulkItem.outcome == BulkOutcome.CHANGED)
        .order_by(BulkItem.id)
    )
    ctx.session.execute(insert(BulkItem).from_select(["run_id", *columns], changed))
    bulk_runs.freeze(ctx, inverse, _still_as_left)
    bulk_runs.note(ctx, inverse, "bulk.chosen", reason=reason)
    return inverse


def plan_undo(ctx: Ctx, *, run_id: int) -> Plan:
    """That an undo is made, to be looked at; nothing is switched by it yet."""
    require(ctx, Permission.CLIENTS_READ)
    run = bulk_runs.found(ctx.session, run_id)
    changed = bulk_runs.counts(ctx.session, run.id)[BulkOutcome.CHANGED]
    said = (
        "Clients that are still as the run left them get back what they had before, with its own end date.",
        "Clients that were switched again since then stay as they are.",
        "The next page shows how many of each there are; nothing is switched before you say so there.",
    )
    return Plan(
        f"{bulk_runs.title_of(run)}: {bulk_runs.clients(run.size)}",
        "undo",
        (),
        said,
        fingerprint(run),
        not_undoable(ctx, run),
        adds=("bulk_run", *("bulk_item",) * changed),
    )


def not_undoable(ctx: Ctx, run: BulkRun) -> str | None:
    """Why this run cannot be undone now; None when it can."""
    if run.undoes_id is not None:
        return "This run is itself an undo. To switch these clients again, choose them in the list of clients."
    if run.state not in (BulkState.DONE, BulkState.STOPPED):
        return "Only a run that is over can be undone. Stop it first, or wait for its end."
    if not bulk_runs.counts(ctx.session, run.id)[BulkOutcome.CHANGED]:
        return "This run changed nothing, so there is nothing to undo."
    inverse = ctx.session.scalar(select(BulkRun.id).where(BulkRun.undoes_id == run.id))
    return f"There is an undo of this run already: run {inverse}." if inverse else None


def _still_as_left(frozen: Frozen) -> tuple[BulkOutcome, str | None]:
    if mark(frozen.state, frozen.ended) == frozen.item.seen:
        return BulkOutcome.WAITING, None
    return BulkOutcome.EXCLUDED, SWITCHED_SINCE


def former_of(state: FlagState, effect: Effect) -> dict[str, Any] | None:
    """The periods that a change is about to end or shorten, as they are kept to be put back; None: it was off."""
    periods = [_request_of(each) for each in (*effect.lifted, *effect.shortened)]
    if state.set_outside:
        # What is scheduled takes over from it, and must not be lost to it.
        until = state.scheduled[0].since if state.scheduled else None
        periods.append(FlagRequest(state.flag, turns_on=True, reason=OUTSIDE, until=until))
    return {"periods": [each.to_json() for each in periods]} if periods else None


def _request_of(period: FlagChange) -> FlagRequest:
    return FlagRequest(
        flag=period.flag,
        turns_on=True,
        reason=period.reason,
        since=period.since,
        until=period.until,
        on_expiry=period.on_expiry,
        tell_email=period.tell_email if period.told_at is None else None,
        tell_at=period.tell_at if period.told_at is None else None,
    )


def put_back(ctx: Ctx, run: BulkRun, item: BulkItem, state: FlagState) -> FlagChange:
    """Undo one client's change; the period that is in force again, or the one that ended."""
    reason = run.wish["reason"]
    periods = list(_to_come(ctx, item.former or {}))
    last = None if run.turns_on else _take_off(ctx, item, state, reason, any(each.since is None for each in periods))
    for asked in periods:
        now = flags.state(ctx.session, [item.client_id], run.flag, ctx.now)[item.client_id]
        try:
            last = flags.set_flag(ctx, client_id=item.client_id, asked=asked, shown=now.fingerprint, bulk_run_id=run.id)
        except AlreadySo:
            continue
    if last is None:
        raise AlreadySo("What it was before has ended by itself, so there is nothing to put back.")
    return last


def _take_off(ctx: Ctx, item: BulkItem, state: FlagState, reason: str, replaced: bool) -> FlagChange | None:
    """End what the run turned on, unless what comes back takes its place anyway."""
    scheduled = next((each for each in state.scheduled if each.id == item.flag_change_id), None)
    if scheduled is not None:
        return flags.cancel(ctx, change_id=scheduled.id, reason=reason, shown=fingerprint(scheduled))
    if replaced or not state.is_on:
        return None
    off = FlagRequest(state.flag, turns_on=False, reason=reason)
    return flags.set_flag(ctx, client_id=item.client_id, asked=off, shown=state.fingerprint)


def _to_come(ctx: Ctx, former: dict[str, Any]) -> Iterable[FlagRequest]:
    """What was arranged before and is not over by now, beginning at once where it had begun."""
    for kept in former.get("periods", ()):
        asked = FlagRequest.from_json(kept)
        if asked.until is not None and asked.until <= ctx.now:
            if asked.on_expiry is OnExpiry.LIFT:
                continue
            # It was past its end date and waited for a decision: it does so again, without a date.
            asked = replace(asked, until=None, on_expiry=OnExpiry.LIFT, tell_email=None, tell_at=None)
        if asked.since is not None and asked.since <= ctx.now:
            asked = replace(asked, since=None)
        if asked.tell_at is not None and asked.tell_at <= ctx.now:
            asked = replace(asked, tell_email=None, tell_at=None)
        yield asked
