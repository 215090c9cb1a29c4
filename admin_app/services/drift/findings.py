"""What we hold beside what a provider holds: what a comparison says of one object, and the findings that it leaves.

A `Side` knows one provider: how its objects are listed and asked for, which record here each of them is, and how one is
taken in, which is by the same function that its event would have called. What that changed is noted as repaired; what
still differs afterwards waits for a person as an open finding, of which there is one per object and field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import AnswerUnreadable
from admin_app.services.inbox.provider_calls import Work
from models.drift import DriftFinding, DriftRun, DriftState

PROVIDERS: Mapping[str, str] = {"stripe": "Stripe", "whop": "Whop", "calendly": "Calendly", "calcom": "Cal.com"}
# The field of a finding about an object that only one side has.
RECORD = "record"
# What is kept of theirs when it is first heard: not to have known it was no difference.
NOTED = frozenset({"host"})
Values = Mapping[str, str | None]


@dataclass(frozen=True)
class Ours:
    """Our record of an object. `settling`: it was changed here just now, and a job is still telling the provider."""

    subject: str
    values: Values
    settling: bool = False


@dataclass(frozen=True)
class Taken:
    """What became of taking an object in: why it was not, or that it is right not to hold it."""

    because: str | None = None
    left_out: bool = False
    outcome: str = "known"


class Thing(Protocol):
    """One object of the provider as it was fetched; `ids` are all ids under which it may be known here."""

    @property
    def external_id(self) -> str: ...
    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def theirs(self) -> Values:
        """The fields that are compared, as text."""

    def take_in(self, ctx: Ctx) -> Taken: ...


@dataclass(frozen=True)
class Unreadable:
    """An object that the provider has and nobody can read: a difference like any other."""

    external_id: str
    theirs: Values = field(default_factory=dict)

    @property
    def ids(self) -> Sequence[str]:
        return (self.external_id,)

    def take_in(self, ctx: Ctx) -> Taken:
        raise AnswerUnreadable


class Side(Protocol):
    """One provider. `listed`, `whole` and `ask` go over the network and raise ProviderUnavailable; AnswerUnreadable is
    about the one object alone.
    """

    @property
    def provider(self) -> str: ...
    def listed(self, since: datetime) -> Iterator[Thing]:
        """Everything that the provider has within reach, in an order that is the same the next time."""

    def whole(self, listed: Thing, work: Work) -> Thing:
        """The same with all that a list leaves out."""

    def ask(self, external_id: str) -> Thing | None: ...
    def held(self, session: Session, since: datetime, after: str | None, limit: int) -> Sequence[tuple[str, str]]:
        """A page of what we hold and is not final, as place in the order and the provider's id of it."""

    def ours(self, session: Session, ids: Sequence[str]) -> Ours | None: ...
    def differing(self, ours: Ours, theirs: Values, now: datetime) -> Sequence[str]:
        """The fields on which both sides say something that does not go together."""


@dataclass(frozen=True)
class Difference:
    """A field on which the two sides differ, as text; None: that side has no value. `because` says why it stays."""

    field: str
    ours: str | None
    theirs: str | None
    because: str | None = None


@dataclass(frozen=True)
class Compared:
    """One object after it was taken in."""

    external_id: str
    subject: str | None
    repaired: Sequence[Difference] = ()
    open: Sequence[Difference] = ()
    outcome: str = "known"


@dataclass
class Progress:
    """How far a run is; `outcomes` counts what became of the objects that were seen by this process."""

    compared: int = 0
    repaired: int = 0
    found: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    def add(self, found: Compared, still_open: int) -> None:
        self.compared += 1
        self.repaired += len(found.repaired)
        self.found += still_open
        self.outcomes[found.outcome] = self.outcomes.get(found.outcome, 0) + 1


def take_in(ctx: Ctx, side: Side, thing: Thing) -> Compared:
    """Take an object in, and say what that changed here and what differs still."""
    before = side.ours(ctx.session, thing.ids)
    taken = thing.take_in(ctx)
    ctx.session.flush()
    after = side.ours(ctx.session, thing.ids)
    if after is None:
        missing = () if taken.left_out else (Difference(RECORD, None, in_short(thing.theirs), taken.because),)
        return Compared(thing.external_id, None, open=missing, outcome=taken.outcome)
    theirs = thing.theirs
    changed = _changes(before, after, theirs)
    differs = () if after.settling else side.differing(after, theirs, ctx.now)
    left = tuple(Difference(name, after.values.get(name), theirs.get(name), taken.because) for name in differs)
    return Compared(thing.external_id, after.subject, changed, left, taken.outcome)


def missing_there(ctx: Ctx, side: Side, external_id: str) -> Compared:
    """An object that the provider does not know any more, or that it never knew and so has our own name."""
    ours = side.ours(ctx.session, (external_id,))
    if ours is None or ours.settling:
        return Compared(external_id, ours.subject if ours else None)
    because = "gone_there" if ours.subject != external_id else "not_made"
    return Compared(external_id, ours.subject, open=(Difference(RECORD, in_short(ours.values), None, because),))


def _changes(before: Ours | None, after: Ours, theirs: Values) -> tuple[Difference, ...]:
    if before is None:
        return (Difference(RECORD, None, in_short(theirs)),)
    return tuple(
        Difference(name, before.values.get(name), value)
        for name, value in after.values.items()
        if before.values.get(name) != value and not (name in NOTED and before.values.get(name) is None)
    )


def in_short(values: Values) -> str:
    """The values in a line, those that are there; `there` when none is."""
    return ", ".join(value for value in values.values() if value) or "there"


def note_repaired(ctx: Ctx, run_id: int, provider: str, found: Compared) -> dict[str, DriftFinding]:
    """Keep what a comparison changed of one object; answers the findings about it that are still open, by field."""
    known = {each.field: each for each in ctx.session.scalars(_open(provider, found.external_id).with_for_update())}
    for difference in found.repaired:
        _note_repaired(ctx, run_id, provider, found, difference, known.pop(difference.field, None))
    return known


def note(ctx: Ctx, run_id: int, provider: str, found: Compared) -> int:
    """Keep what a comparison found of one object; answers how many of its differences wait for a person."""
    known = note_repaired(ctx, run_id, provider, found)
    waiting = 0
    for difference in found.open:
        finding = known.pop(difference.field, None)
        if finding is not None:
            _seen_again(ctx, finding, found, difference)
            waiting += 1
        elif not _is_ignored(ctx, provider, found.external_id, difference):
            _insert(ctx, run_id, provider, found, difference, state=DriftState.OPEN)
            waiting += 1
    for finding in known.values():
        settle(ctx, finding, DriftState.GONE)
    return waiting


def settle(ctx: Ctx, finding: DriftFinding, state: DriftState, reason: str | None = None) -> None:
    """The finding waits for nobody any more."""
    finding.state, finding.resolved_at, finding.resolved_by = state, ctx.now, ctx.actor.label
    finding.reason = reason or finding.reason
    finding.wanted = None
    finding.version += 1


def _open(provider: str, external_id: str) -> Any:
    return (
        select(DriftFinding)
        .where(_about(provider, external_id), DriftFinding.state == DriftState.OPEN)
        .execution_options(populate_existing=True)
    )


def _about(provider: str, external_id: str) -> ColumnElement[bool]:
    return (DriftFinding.provider == provider) & (DriftFinding.external_id == external_id)


def _note_repaired(
    ctx: Ctx, run_id: int, provider: str, found: Compared, difference: Difference, finding: DriftFinding | None
) -> None:
    if finding is None:
        _insert(ctx, run_id, provider, found, difference, state=DriftState.REPAIRED)
        return
    finding.subject, finding.theirs, finding.last_seen_at = found.subject, difference.theirs, ctx.now
    settle(ctx, finding, DriftState.REPAIRED)


def _seen_again(ctx: Ctx, finding: DriftFinding, found: Compared, difference: Difference) -> None:
    said = (found.subject, difference.ours, difference.theirs, difference.because)
    if said != (finding.subject, finding.ours, finding.theirs, finding.because):
        finding.subject, finding.ours, finding.theirs, finding.because = said
        finding.version += 1
    finding.last_seen_at = ctx.now


def _is_ignored(ctx: Ctx, provider: str, external_id: str, difference: Difference) -> bool:
    """Whether a person said of these very values that they may stay; the finding moves on with the runs."""
    latest = ctx.session.scalar(
        select(DriftFinding)
        .where(
            _about(provider, external_id),
            DriftFinding.field == difference.field,
            DriftFinding.state == DriftState.IGNORED,
        )
        .order_by(DriftFinding.id.desc())
        .limit(1)
    )
    if latest is None or (latest.ours, latest.theirs) != (difference.ours, difference.theirs):
        return False
    latest.last_seen_at = ctx.now
    return True


def _insert(
    ctx: Ctx, run_id: int, provider: str, found: Compared, difference: Difference, *, state: DriftState
) -> None:
    values: dict[str, Any] = {
        "run_id": run_id,
        "provider": provider,
        "external_id": found.external_id,
        "subject": found.subject,
        "field": difference.field,
        "ours": difference.ours,
        "theirs": difference.theirs,
        "because": difference.because,
        "state": state,
        "found_at": ctx.now,
        "last_seen_at": ctx.now,
    }
    if state is not DriftState.OPEN:
        values |= {"resolved_at": ctx.now, "resolved_by": ctx.actor.label}
    ctx.session.execute(insert(DriftFinding).values(values).on_conflict_do_nothing())


def left_open(session: Session, run: DriftRun, after: int, limit: int) -> list[tuple[int, str]]:
    """A page of open findings whose objects this run has not met, with the ids of those."""
    query = (
        select(DriftFinding.id, DriftFinding.external_id)
        .where(
            DriftFinding.provider == run.provider,
            DriftFinding.state == DriftState.OPEN,
            DriftFinding.last_seen_at < run.started_at,
            DriftFinding.id > after,
        )
        .order_by(DriftFinding.id)
    )
    return [(row.id, row.external_id) for row in session.execute(query.limit(limit))]


def text_of(value: object) -> str | None:
    """A value as findings keep it: times in UTC, yes and no."""
    match value:
        case None | "":
            return None
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).isoformat()
    return str(getattr(value, "value", value))
