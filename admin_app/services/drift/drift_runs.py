"""Runs of comparisons: one at a time per provider, taken over when its process died, and gone on with where it was.

Network and transactions take turns: an object is fetched, then taken in by one short transaction that also moves the
run's place and its counts, so that both are never apart. Every such transaction holds on to the run by its lease;
whoever lost that to another process finds out before anything of theirs is kept.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Any, cast
from uuid import uuid4

import structlog
from sqlalchemy import CursorResult, select, update
from sqlalchemy.dialects.postgresql import insert

from admin_app.context import Ctx
from admin_app.errors import AnswerUnreadable, Conflict, DomainError, NotFound
from admin_app.integrations import job_queue
from admin_app.outages import outage_of
from admin_app.policies.permissions import Permission, require
from admin_app.services import drift
from admin_app.services.core import audit
from admin_app.services.core.records import provider_key
from admin_app.services.drift import PROVIDERS, RECORD, Compared, Difference, Progress, Side, Thing
from admin_app.services.inbox.provider_calls import Work
from models.drift import DriftFinding, DriftRun, DriftState

log = structlog.get_logger("backdesk.comparisons")

REACH = timedelta(days=30)
# Longer than one object takes with everything that is asked for it: after this silence nobody is at it any more.
SILENT = timedelta(minutes=2)
BEAT_SECONDS = 20
UNEXPECTED = "unexpected"
_PAGE = 200
_THEIRS, _OURS, _FINDINGS = "theirs", "ours", "findings"
_STAGES = (_THEIRS, _OURS, _FINDINGS)


class ComparisonRuns(Conflict):
    """A comparison with the provider runs, and two never do at a time: 409. Wait for its end."""

    code = "reconcile_running"
    sentence = "A comparison with this provider is running. Wait until it has ended."


class LostRun(Conflict):
    """Another worker took the run over, so this one stops and writes nothing more: 409."""

    code = "comparison_taken_over"
    sentence = "Another process goes on with this comparison."


class UnknownProvider(NotFound):
    """The name is none of the providers that are compared: 404, `not_found`."""

    sentence = "There is no such provider to compare with."


def request(ctx: Ctx, *, provider: str) -> DriftRun:
    """Have a comparison start right after the commit; refused while one runs."""
    require(ctx, Permission.DRIFT_RUN)
    if provider not in PROVIDERS:
        raise UnknownProvider
    run_id = _insert(ctx, provider)
    if run_id is None:
        raise ComparisonRuns
    queue(ctx, provider)
    facts = {"provider": PROVIDERS[provider]}
    audit.record(ctx, "drift.requested", records=[provider_key(provider)], facts=facts)
    return ctx.session.get_one(DriftRun, run_id)


def queue(ctx: Ctx, provider: str) -> None:
    """Have a job compare with the provider; one that waits already is not queued twice. The caller commits."""
    job_queue.defer(ctx.session, "compare_with", once_key=f"compare_with:{provider}", provider=provider)


def queue_unfinished(ctx: Ctx) -> int:
    """Runs that nobody is at any more are gone on with."""
    silent = (DriftRun.heartbeat_at.is_(None)) | (DriftRun.heartbeat_at < ctx.now - SILENT)
    providers = ctx.session.scalars(select(DriftRun.provider).where(DriftRun.finished_at.is_(None), silent)).all()
    for provider in providers:
        queue(ctx, provider)
    return len(providers)


def compare(side: Side, work: Work, *, seen: Callable[[Progress], None] = lambda _: None) -> Progress:
    """Compare with one provider, from where the last run stopped if it did not end; `seen` is told after each object.

    Raises ComparisonRuns while another process is at it, and what the provider's silence raises, after noting it.
    """
    with work() as ctx:
        run = _Run(side, work, begin(ctx, side.provider))
    run.compare(seen)
    return run.progress


def begin(ctx: Ctx, provider: str) -> DriftRun:
    """A new run, or the unfinished one that nobody is at; it is the caller's from now on."""
    run_id = _insert(ctx, provider)
    unfinished = (DriftRun.provider == provider, DriftRun.finished_at.is_(None))
    run = ctx.session.scalar(
        select(DriftRun).where(*unfinished).with_for_update().execution_options(populate_existing=True)
    )
    if run is None:
        raise ComparisonRuns  # it ended this very moment
    if run.id != run_id and run.heartbeat_at is not None and run.heartbeat_at > ctx.now - SILENT:
        raise ComparisonRuns
    run.lease, run.heartbeat_at = uuid4().hex, ctx.now
    ctx.session.flush()
    return run


def _insert(ctx: Ctx, provider: str) -> int | None:
    values = {"provider": provider, "by": ctx.actor.label, "started_at": ctx.now}
    made = insert(DriftRun).values(values).on_conflict_do_nothing().returning(DriftRun.id)
    return ctx.session.scalar(made)


class _Run:
    """One process at one run."""

    def __init__(self, side: Side, work: Work, run: DriftRun) -> None:
        self._side, self._work, self._row = side, work, run
        self._since = run.started_at - REACH
        place = run.cursor or {}
        self._stage, self._after = str(place.get("stage", _THEIRS)), place.get("after")
        self._met: set[str] = set()
        self._beat_at = monotonic()
        self.progress = Progress(run.compared, run.repaired, run.found)

    def compare(self, seen: Callable[[Progress], None]) -> None:
        try:
            for _ in self._objects():
                self._tell(seen)
        except LostRun:
            raise
        except _Told as told:
            self._release()
            raise told.cause from None
        except Exception as error:
            self._end(error.code if isinstance(error, DomainError) else UNEXPECTED)
            raise
        except BaseException:
            self._release()
            raise
        self._end(None)

    def _tell(self, seen: Callable[[Progress], None]) -> None:
        """What the listener raises stops this process and not the run."""
        try:
            seen(self.progress)
        except Exception as error:
            raise _Told(error) from error

    def _objects(self) -> Iterator[None]:
        for stage in _STAGES[_STAGES.index(self._stage) :]:
            if stage != self._stage:
                self._stage, self._after = stage, None
            yield from {_THEIRS: self._theirs, _OURS: self._ours, _FINDINGS: self._findings}[stage]()

    def _theirs(self) -> Iterator[None]:
        for listed in self._from_here(self._alive(self._side.listed(self._since))):
            thing = self._whole(listed)
            if thing.external_id in self._met:
                continue
            self._one(thing, thing.external_id, listed.external_id)
            yield

    def _alive(self, listed: Iterator[Thing]) -> Iterator[Thing]:
        """What is listed, with a sign of life now and then: going through what is known already takes long too."""
        for thing in listed:
            if monotonic() - self._beat_at > BEAT_SECONDS:
                with self._work() as ctx:
                    self._hold(ctx)
            yield thing

    def _from_here(self, listed: Iterator[Thing]) -> Iterator[Thing]:
        """What is listed after the last one that was compared; everything when that is not listed any more."""
        if self._after is not None:
            passed = []
            for thing in listed:
                passed.append(thing)
                if thing.external_id == self._after:
                    self._met.update(each.external_id for each in passed)
                    passed.clear()
                    break
            yield from passed
        yield from listed

    def _ours(self) -> Iterator[None]:
        while True:
            with self._work() as ctx:
                page = self._side.held(ctx.session, self._since, self._after, _PAGE)
            for place, external_id in page:
                if external_id in self._met:
                    self._after = place
                    continue
                self._one(self._ask(external_id), external_id, place)
                yield
            if len(page) < _PAGE:
                return

    def _findings(self) -> Iterator[None]:
        while True:
            with self._work() as ctx:
                page = drift.left_open(ctx.session, self._row, int(self._after or 0), _PAGE)
            for finding_id, external_id in page:
                thing = self._ask(external_id)
                self._one(thing, external_id, str(finding_id))
                if thing is not None and thing.external_id != external_id:
                    self._follow(finding_id)
                yield
            if len(page) < _PAGE:
                return

    def _follow(self, finding_id: int) -> None:
        """The object has another id by now, under which its differences are noted."""
        with self._work() as ctx:
            finding = ctx.session.get(DriftFinding, finding_id, with_for_update=True, populate_existing=True)
            if finding is not None and finding.state is DriftState.OPEN:
                drift.settle(ctx, finding, DriftState.GONE)

    def _one(self, thing: Thing | None, external_id: str, place: str) -> None:
        """Compare one object. What differs is asked for once more: it may have changed between the two looks."""
        if self._settled(thing, external_id, place, last=False):
            return
        self._settled(self._ask(external_id), external_id, place, last=True)

    def _ask(self, external_id: str) -> Thing | None:
        """The object, or its name where it cannot be read: the others are compared all the same."""
        try:
            return self._side.ask(external_id)
        except AnswerUnreadable:
            return drift.Unreadable(external_id)

    def _whole(self, listed: Thing) -> Thing:
        try:
            return self._side.whole(listed, self._work)
        except AnswerUnreadable:
            return drift.Unreadable(listed.external_id)

    def _settled(self, thing: Thing | None, external_id: str, place: str, *, last: bool) -> bool:
        try:
            with self._work() as ctx:
                found = self._look(ctx, thing, external_id)
                if found.open and not last:
                    drift.note_repaired(ctx, self._row.id, self._side.provider, found)
                    self.progress.repaired += len(found.repaired)
                    self._hold(ctx, repaired=self.progress.repaired)
                    return False
                self._keep(ctx, found, place)
        except _Refused as refused:
            if not last:
                return False
            with self._work() as ctx:
                self._keep(ctx, self._as_refused(ctx, thing, external_id, refused.code), place)
        return True

    def _look(self, ctx: Ctx, thing: Thing | None, external_id: str) -> Compared:
        try:
            if thing is None:
                return drift.missing_there(ctx, self._side, external_id)
            return drift.take_in(ctx, self._side, thing)
        except DomainError as refused:
            raise _Refused(refused.code) from refused
        except Exception as error:
            if outage_of(error) is not None:
                raise  # the database is away or busy: that says nothing about the object
            # One object that we cannot read must not keep all that come after it from being compared.
            log.warning("not taken in", provider=self._side.provider, kind=type(error).__name__)
            raise _Refused(UNEXPECTED) from error

    def _as_refused(self, ctx: Ctx, thing: Thing | None, external_id: str, code: str) -> Compared:
        ours = self._side.ours(ctx.session, thing.ids if thing else (external_id,))
        shown = [
            drift.in_short(values) if values else None for values in (ours and ours.values, thing and thing.theirs)
        ]
        difference = Difference(RECORD, shown[0], shown[1], code)
        return Compared(external_id, ours.subject if ours else None, open=(difference,), outcome="refused")

    def _keep(self, ctx: Ctx, found: Compared, place: str) -> None:
        waiting = drift.note(ctx, self._row.id, self._side.provider, found)
        self.progress.add(found, waiting)
        self._met.add(found.external_id)
        self._after = place
        counted = {"compared": self.progress.compared, "repaired": self.progress.repaired, "found": self.progress.found}
        self._hold(ctx, cursor={"stage": self._stage, "after": place}, **counted)

    def _hold(self, ctx: Ctx, **values: Any) -> None:
        """Move the run on, in the transaction of what moved it; refused when another process has it."""
        held = (DriftRun.id == self._row.id, DriftRun.lease == self._row.lease, DriftRun.finished_at.is_(None))
        moved = ctx.session.execute(update(DriftRun).where(*held).values({"heartbeat_at": ctx.now} | values))
        if cast(CursorResult[Any], moved).rowcount != 1:
            raise LostRun
        self._beat_at = monotonic()

    def _release(self) -> None:
        """Nobody is at it from now on, so that whoever comes goes on at once."""
        with suppress(Exception), self._work() as ctx:
            self._hold(ctx, heartbeat_at=None)

    def _end(self, error_code: str | None) -> None:
        with self._work() as ctx:
            self._hold(ctx, finished_at=ctx.now, error_code=error_code, cursor=None)
            facts = {
                "provider": PROVIDERS[self._side.provider],
                "compared": self.progress.compared,
                "repaired": self.progress.repaired,
                "found": self.progress.found,
                "error_code": error_code,
            }
            audit.record(ctx, "drift.compared", records=[provider_key(self._side.provider)], facts=facts)


class _Refused(Exception):
    """Our own rules refuse what the provider has, by this code."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class _Told(Exception):
    """What the listener raised."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__()
