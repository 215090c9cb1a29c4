"""Runs that turn one flag for many clients: who is chosen, frozen as they are, then go, stop or discard.

A run does what its plan showed: clients that come to match the filter later are not in it, and one whose flag was
turned meanwhile is left as it is (`bulk_work`). What a run changed can be put back once (`bulk_undo`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Select, Text, and_, bindparam, func, insert, literal, or_, select, text
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Staff
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services.clients import bulk_rules, flags
from admin_app.services.clients.flag_periods import BY_THE_CLOCK
from admin_app.services.clients.flag_requests import checked
from admin_app.services.clients.flag_words import WORDS
from admin_app.services.clients.flags import FlagRequest
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_same
from admin_app.services.core.records import bulk_run_key
from models.clients import BillingStatus, BulkItem, BulkOutcome, BulkRun, BulkState, Client, FlagChange, OnExpiry

MOST_CLIENTS = 100_000
GONE = "There is no such run. It may have been discarded."
# So many are frozen by one statement.
AT_ONCE = 1000

_DECIDED = text(
    """
    UPDATE bulk_items i SET seen = d.seen, outcome = d.outcome, because = d.because
    FROM unnest(:ids, :seen, :outcomes, :because) AS d (id, seen, outcome, because) WHERE i.id = d.id
    """
).bindparams(
    bindparam("ids", type_=ARRAY(BigInteger)),
    *(bindparam(name, type_=ARRAY(Text)) for name in ("seen", "outcomes", "because")),
)


@dataclass(frozen=True)
class Part:
    """Clients of a run with the same outcome for the same reason."""

    outcome: BulkOutcome
    because: str | None
    count: int


@dataclass(frozen=True)
class Frozen:
    """One client as the run found it: what decides whether it is in.

    `ended`: for an undo, the periods beside the run's own that the clock alone has ended since the run.
    """

    item: BulkItem
    billing: BillingStatus
    state: flags.FlagState
    ended: Sequence[FlagChange] = ()


def choose(ctx: Ctx, *, asked: FlagRequest, client_ids: Select[Any], chosen_by: str) -> BulkRun:
    """Freeze the clients whose ids this statement finds, and what is to be done with them; nothing is switched yet."""
    require(ctx, Permission.CLIENTS_SWITCH)
    asked = checked(asked, ctx.now)
    run = begin(
        ctx,
        BulkRun(flag=asked.flag, turns_on=asked.turns_on, wish=asked.to_json(), chosen_by=chosen_by),
    )
    chosen = client_ids.subquery()
    found = select(literal(run.id), Client.id, literal("")).where(Client.id.in_(select(chosen))).order_by(Client.id)
    ctx.session.execute(insert(BulkItem).from_select(["run_id", "client_id", "seen"], found.limit(MOST_CLIENTS + 1)))
    freeze(ctx, run, lambda frozen: bulk_rules.before(asked, frozen.state, frozen.billing, ctx.now))
    note(ctx, run, "bulk.chosen", reason=asked.reason)
    return run


def begin(ctx: Ctx, run: BulkRun) -> BulkRun:
    """A run in the name of whoever chooses."""
    run.by, run.by_id = _somebody(ctx)
    run.created_at = ctx.now
    ctx.session.add(run)
    ctx.session.flush()
    return run


def freeze(ctx: Ctx, run: BulkRun, decide: Callable[[Frozen], bulk_rules.Decision]) -> None:
    """Keep of each client how its flag is now, and whether the run is going to touch it; a thousand at a time."""
    last = size = 0
    while rows := _next(ctx.session, run, last):
        ids = [item.client_id for item, _ in rows]
        states = flags.state(ctx.session, ids, run.flag, ctx.now)
        ended = _ended_since(ctx, run, ids) if run.undoes_id is not None else {}
        decided = [
            (item.id, state.fingerprint, *decide(Frozen(item, billing, state, ended.get(item.client_id, ()))))
            for item, billing in rows
            for state in (states[item.client_id],)
        ]
        columns = (list(column) for column in zip(*decided, strict=True))
        ctx.session.execute(_DECIDED, dict(zip(("ids", "seen", "outcomes", "because"), columns, strict=True)))
        size += len(rows)
        last = decided[-1][0]
    if not size:
        raise InvalidInput("No client was chosen, or none matches any more. Go to the list.", code="nothing_chosen")
    if size > MOST_CLIENTS:
        raise InvalidInput(f"A run takes at most {MOST_CLIENTS:,} clients. Narrow the list with a filter.")
    run.size = size
    ctx.session.flush()


def _ended_since(ctx: Ctx, run: BulkRun, client_ids: Sequence[int]) -> dict[int, list[FlagChange]]:
    """What the clock has ended since the run that is undone, noted or not; all else that ended, somebody ended."""
    by_the_clock = or_(
        FlagChange.lifted_by == BY_THE_CLOCK,
        and_(FlagChange.lifted_at.is_(None), FlagChange.on_expiry == OnExpiry.LIFT, FlagChange.until <= ctx.now),
    )
    query = (
        select(FlagChange)
        .join(BulkItem, BulkItem.client_id == FlagChange.client_id)
        .where(
            BulkItem.run_id == run.undoes_id,
            FlagChange.client_id.in_(client_ids),
            FlagChange.flag == run.flag,
            FlagChange.value,
            FlagChange.id.is_distinct_from(BulkItem.flag_change_id),
            by_the_clock,
            FlagChange.until > BulkItem.done_at,
        )
    )
    found: dict[int, list[FlagChange]] = {}
    for period in ctx.session.scalars(query):
        found.setdefault(period.client_id or 0, []).append(period)
    return found


def _next(session: Session, run: BulkRun, after: int) -> Sequence[Any]:
    query = (
        select(BulkItem, Client.billing_status)
        .join(Client, Client.id == BulkItem.client_id)
        .where(BulkItem.run_id == run.id, BulkItem.outcome == BulkOutcome.WAITING, BulkItem.id > after)
        .order_by(BulkItem.id)
        .limit(AT_ONCE)
    )
    return session.execute(query).all()


def plan_start(ctx: Ctx, *, run_id: int) -> Plan:
    """What the run is going to do, in numbers."""
    require(ctx, Permission.CLIENTS_READ)
    run = found(ctx.session, run_id)
    counted = counts(ctx.session, run_id)
    waiting = counted[BulkOutcome.WAITING]
    said = [f"{clients(waiting)} will change."]
    if already := counted[BulkOutcome.ALREADY]:
        said.append(f"{clients(already)} {_is(already)} so already and stay as they are.")
    if excluded := counted[BulkOutcome.EXCLUDED]:
        said.append(f"{clients(excluded)} {_is(excluded)} left out; the reasons stand below.")
    said += _told(ctx, run, waiting)
    said.append("A client whose flag is turned by somebody else in the meantime is left as it is then.")
    return Plan(
        title=title_of(run),
        outcome="runs",
        lines=(PlanLine(bulk_run_key(run.id), "state", run.state, BulkState.DONE, "when all of them are through"),),
        consequences=tuple(said),
        fingerprint=fingerprint(run),
        refusal=_not_startable(ctx, run, waiting),
    )


def _told(ctx: Ctx, run: BulkRun, waiting: int) -> list[str]:
    """The mails before the end of what the run turns on: each client has one of its own."""
    if run.undoes_id is not None:
        return ["Who was to be told before the end of what comes back is told, if that is still to come."]
    asked = FlagRequest.from_json(run.wish)
    if asked.tell_email is None or asked.tell_at is None:
        return []
    when = "at once, because that moment has passed" if asked.tell_at <= ctx.now else "before the end"
    many = "1 mail goes" if waiting == 1 else f"{waiting:,} mails go"
    return [f"{many} to {asked.tell_email} {when}, one about each client that changes."]


def start(ctx: Ctx, *, run_id: int, shown: str) -> BulkRun:
    """Let the run go as its plan was shown, or go on where it was stopped."""
    require(ctx, Permission.CLIENTS_SWITCH)
    run = locked(ctx.session, run_id)
    require_same(shown, fingerprint(run))
    refusal = _not_startable(ctx, run, counts(ctx.session, run_id)[BulkOutcome.WAITING])
    if refusal:
        raise Conflict(refusal)
    # It acts in the name of whoever said go, with what they may do then.
    run.by, run.by_id = _somebody(ctx)
    run.state, run.stop_asked, run.finished_at = BulkState.RUNNING, False, None
    run.started_at = run.started_at or ctx.now
    run.version += 1
    note(ctx, run, "bulk.started")
    queue(ctx, run.id)
    return run


def stop(ctx: Ctx, *, run_id: int) -> BulkRun:
    """Ask the run to stop after the clients it is at; those that wait stay as they are."""
    require(ctx, Permission.CLIENTS_SWITCH)
    run = locked(ctx.session, run_id)
    if run.state is not BulkState.RUNNING:
        raise Conflict("This run is not at work, so there is nothing to stop.")
    if not run.stop_asked:
        run.stop_asked = True
        run.version += 1
        note(ctx, run, "bulk.stop_asked")
    return run


def plan_stop(ctx: Ctx, *, run_id: int) -> Plan:
    """What stopping leaves undone."""
    require(ctx, Permission.CLIENTS_READ)
    run = found(ctx.session, run_id)
    said = "The clients that still wait stay as they are. The run can go on later, or be undone."
    asked = PlanLine(bulk_run_key(run.id), "stop_asked", run.stop_asked, True, "this command")
    ended = PlanLine(bulk_run_key(run.id), "state", run.state, BulkState.STOPPED, "after the clients it is at")
    return _plain(run, "stopped", said, (asked, ended))


def plan_discard(ctx: Ctx, *, run_id: int) -> Plan:
    """That the choice goes, with everyone in it."""
    require(ctx, Permission.CLIENTS_READ)
    run = found(ctx.session, run_id)
    said = "The choice of clients is thrown away. None of them was touched."
    return replace(_plain(run, "discarded", said), removes=("bulk_run", *("bulk_item",) * run.size))


def _plain(run: BulkRun, outcome: str, said: str, lines: tuple[PlanLine, ...] = ()) -> Plan:
    return Plan(f"{title_of(run)}: {clients(run.size)}", outcome, lines, (said,), fingerprint(run))


def discard(ctx: Ctx, *, run_id: int) -> None:
    """Throw away a choice that nobody let go: its clients were never touched."""
    require(ctx, Permission.CLIENTS_SWITCH)
    run = locked(ctx.session, run_id)
    if run.state is not BulkState.PLANNED:
        raise Conflict("This run has started, so it stays in the history. Stop it, or undo it.")
    note(ctx, run, "bulk.discarded")
    ctx.session.delete(run)
    ctx.session.flush()


def queue(ctx: Ctx, run_id: int) -> None:
    """Have a worker go on with it."""
    job_queue.defer(ctx.session, "run_bulk", run_id=run_id)


def counts(session: Session, run_id: int) -> dict[BulkOutcome, int]:
    """How many clients of the run have each outcome."""
    query = select(BulkItem.outcome, func.count()).where(BulkItem.run_id == run_id).group_by(BulkItem.outcome)
    found = dict.fromkeys(BulkOutcome, 0)
    for outcome, count in session.execute(query):
        found[outcome] = count
    return found


def with_parts(session: Session, run_id: int) -> tuple[BulkRun, list[Part]]:
    """A run and its clients by outcome and reason, the largest part of each outcome first; one query."""
    size = func.count(BulkItem.id)
    query = (
        select(BulkRun, BulkItem.outcome, BulkItem.because, size)
        .outerjoin(BulkItem, BulkItem.run_id == BulkRun.id)
        .where(BulkRun.id == run_id)
        .group_by(BulkRun.id, BulkItem.outcome, BulkItem.because)
        .order_by(BulkItem.outcome, size.desc())
    )
    rows = session.execute(query).all()
    if not rows:
        raise NotFound(GONE)
    return rows[0][0], [Part(*row[1:]) for row in rows if row.outcome is not None]


def found(session: Session, run_id: int) -> BulkRun:
    """The run, not locked. Raises NotFound."""
    run = session.get(BulkRun, run_id)
    if run is None:
        raise NotFound(GONE)
    return run


def locked(session: Session, run_id: int) -> BulkRun:
    """The run as the database has it now, its row locked until the commit. Raises NotFound."""
    run = session.get(BulkRun, run_id, with_for_update=True, populate_existing=True)
    if run is None:
        raise NotFound(GONE)
    return run


def note(ctx: Ctx, run: BulkRun, event: str, *, reason: str | None = None, **facts: Any) -> None:
    """Say in the audit what became of the run as a whole; its clients have their own entries."""
    facts = {"what": title_of(run), "size": run.size, **facts}
    audit.record(ctx, event, records=[bulk_run_key(run.id)], reason=reason, facts=facts)


def title_of(run: BulkRun) -> str:
    """What the run does, as a heading for staff."""
    if run.undoes_id is not None:
        return f"Undo of run {run.undoes_id}"
    words = WORDS[run.flag]
    return words.turn_on if run.turns_on else words.turn_off


def clients(count: int) -> str:
    """The number with its noun, as staff read it: `1 client`, `1,200 clients`."""
    return "1 client" if count == 1 else f"{count:,} clients"


def _somebody(ctx: Ctx) -> tuple[str, int]:
    if not isinstance(ctx.actor, Staff):
        raise InvalidInput("A run is somebody's: only a person of the business has one.")
    return ctx.actor.label, ctx.actor.id


def _outdated(ctx: Ctx, run: BulkRun) -> str | None:
    """What of the request cannot be meant any more, since it was chosen: each client would be refused for it."""
    try:
        checked(FlagRequest.from_json(run.wish), ctx.now)
    except InvalidInput as refused:
        return " ".join(refused.fields.values()) or refused.sentence
    return None


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _not_startable(ctx: Ctx, run: BulkRun, waiting: int) -> str | None:
    if run.state not in (BulkState.PLANNED, BulkState.STOPPED):
        return "This run was started already."
    if not waiting:
        return "There is nothing to do: no client of this run would change."
    if run.undoes_id is None and (outdated := _outdated(ctx, run)):
        return f"{outdated} Choose the clients anew, with other dates."
    undone = ctx.session.scalar(select(BulkRun.id).where(BulkRun.undoes_id == run.id))
    return f"This run is undone by run {undone}, so it does not go on." if undone else None
