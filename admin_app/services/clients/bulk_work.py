"""A run at work: some clients per transaction, each with its outcome, until none waits.

What is still waiting is all that is left to do, so a run that was killed goes on where its last transaction ended. The
run's row is locked for the length of one: two workers take turns and none does a client twice.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Staff
from admin_app.errors import AlreadySo, DomainError, PlanMoved
from admin_app.policies.permissions import Permission, allows
from admin_app.services.clients import bulk_runs, bulk_undo, flags
from admin_app.services.clients.bulk_rules import MOVED, mark
from admin_app.services.clients.flags import FlagRequest, FlagState
from models.clients import BulkItem, BulkOutcome, BulkRun, BulkState, Client, FlagChange
from models.staff import StaffMember

# The audit takes one command after another: what a transaction of the run does, all others wait for.
AT_ONCE = 20

# A set from a set, never a join: what a backlog of jobs makes the planner believe must not matter.
FORGOTTEN = text(
    """
    SELECT lost.id FROM (
        SELECT r.id FROM bulk_runs r WHERE r.state = 'running' AND r.started_at < :before
        EXCEPT
        SELECT (j.args ->> 'run_id')::bigint FROM procrastinate_jobs j
        WHERE j.status IN ('todo', 'doing') AND j.task_name = 'run_bulk'
    ) lost
    ORDER BY lost.id LIMIT 100
    """
)


def forgotten(session: Session, *, older_than: timedelta, now: datetime) -> list[int]:
    """Runs at work that no job is going to continue: their last one was given up."""
    return list(session.scalars(FORGOTTEN, {"before": now - older_than}))


def next_clients(ctx: Ctx, *, run_id: int) -> bool:
    """Do the next few clients of the run; False when it has ended, with its last transaction or before."""
    run = ctx.session.get(BulkRun, run_id, with_for_update=True, populate_existing=True)
    if run is None or run.state is not BulkState.RUNNING:
        return False
    starter = _starter(ctx.session, run)
    if run.stop_asked or starter is None:
        _end(ctx, run, BulkState.STOPPED)
        return False
    items = _waiting(ctx.session, run)
    if not items:
        _end(ctx, run, BulkState.DONE)
        return False
    _do(replace(ctx, actor=starter), run, items)
    return True


def _starter(session: Session, run: BulkRun) -> Staff | None:
    """Whoever said go, as long as they may still do it."""
    member = session.get_one(StaffMember, run.by_id, populate_existing=True)
    staff = Staff(member.id, member.email, member.role)
    return staff if member.disabled_at is None and allows(staff, Permission.CLIENTS_SWITCH) else None


def _waiting(session: Session, run: BulkRun) -> list[BulkItem]:
    query = (
        select(BulkItem)
        .where(BulkItem.run_id == run.id, BulkItem.outcome == BulkOutcome.WAITING)
        .order_by(BulkItem.id)
        .limit(AT_ONCE)
    )
    return list(session.scalars(query))


def _do(ctx: Ctx, run: BulkRun, items: list[BulkItem]) -> None:
    ids = sorted(item.client_id for item in items)
    # All of them in order and before the first audit entry: whoever holds one of them may be waiting for the audit.
    ctx.session.scalars(select(Client).where(Client.id.in_(ids)).order_by(Client.id).with_for_update()).all()
    states = flags.state(ctx.session, ids, run.flag, ctx.now)
    for item in items:
        _do_one(ctx, run, item, states.get(item.client_id))
    left = flags.state(ctx.session, ids, run.flag, ctx.now)
    for item in items:
        if item.outcome is BulkOutcome.CHANGED:
            item.seen = mark(left[item.client_id])
    ctx.session.flush()


def _do_one(ctx: Ctx, run: BulkRun, item: BulkItem, state: FlagState | None) -> None:
    item.done_at = ctx.now
    if state is None or state.fingerprint != item.seen:
        item.outcome, item.because = BulkOutcome.MOVED, MOVED
        return
    try:
        with ctx.session.begin_nested():
            change = (_switch if run.undoes_id is None else bulk_undo.put_back)(ctx, run, item, state)
    except AlreadySo as refused:
        item.outcome, item.because = BulkOutcome.ALREADY, refused.sentence
    except PlanMoved:
        item.outcome, item.because = BulkOutcome.MOVED, MOVED
    except DomainError as refused:
        problems = " ".join(refused.fields.values())
        item.outcome, item.because = BulkOutcome.FAILED, problems or refused.sentence
    else:
        item.outcome, item.flag_change_id = BulkOutcome.CHANGED, change.id


def _switch(ctx: Ctx, run: BulkRun, item: BulkItem, state: FlagState) -> FlagChange:
    asked = FlagRequest.from_json(run.wish)
    former = bulk_undo.former_of(state, flags.effect_of(state, asked, ctx.now))
    change = flags.set_flag(ctx, client_id=item.client_id, asked=asked, shown=item.seen, bulk_run_id=run.id)
    item.former = former
    return change


def _end(ctx: Ctx, run: BulkRun, state: BulkState) -> None:
    run.state, run.finished_at = state, ctx.now
    run.version += 1
    counted = bulk_runs.counts(ctx.session, run.id)
    bulk_runs.note(
        ctx,
        run,
        "bulk.finished" if state is BulkState.DONE else "bulk.stopped",
        changed=counted[BulkOutcome.CHANGED],
        left=run.size - counted[BulkOutcome.CHANGED],
    )
