"""What the nightly look found, kept from the first time until it is whole again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.services.invariants.rule import SHOWN, Broken
from models.invariants import InvariantCheck, InvariantFinding

KEPT_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Standing:
    """What is broken as far as the last look saw, and when that was; None: nobody has looked yet."""

    findings: Sequence[InvariantFinding]
    checked_at: datetime | None
    unanswered: Sequence[str]


def keep(
    ctx: Ctx, found: Sequence[Broken], *, started_at: datetime, checked: Collection[str], unanswered: Sequence[str]
) -> InvariantCheck:
    """Note one look at everything: when it was, what could not be looked at, and what `note` notes."""
    note(ctx, found, checked=checked)
    before = ctx.now - KEPT_FOR
    ctx.session.execute(delete(InvariantCheck).where(InvariantCheck.started_at < before))
    check = InvariantCheck(
        started_at=started_at,
        finished_at=ctx.now,
        checked=len(checked),
        broken=len(found),
        unanswered=list(unanswered),
    )
    ctx.session.add(check)
    ctx.session.flush()
    return check


def note(ctx: Ctx, found: Sequence[Broken], *, checked: Collection[str]) -> None:
    """Note what is new, what still stands, and what is whole again of the rules that were `checked`."""
    for each in found:
        _note(ctx, each)
    whole = set(checked) - {each.invariant.name for each in found}
    is_open = InvariantFinding.cleared_at.is_(None)
    clear = update(InvariantFinding).where(is_open, InvariantFinding.name.in_(whole))
    ctx.session.execute(clear.values(cleared_at=ctx.now))


def standing(session: Session) -> Standing:
    """What the last look left, for whoever shows it: two short reads."""
    open_ones = select(InvariantFinding).where(InvariantFinding.cleared_at.is_(None))
    findings = session.scalars(open_ones.order_by(InvariantFinding.first_found_at, InvariantFinding.id)).all()
    newest = select(InvariantCheck).order_by(InvariantCheck.started_at.desc(), InvariantCheck.id.desc()).limit(1)
    last = session.scalars(newest).one_or_none()
    return Standing(findings, last.finished_at if last else None, last.unanswered if last else ())


def _note(ctx: Ctx, found: Broken) -> None:
    of_rule = select(InvariantFinding).where(
        InvariantFinding.name == found.invariant.name, InvariantFinding.cleared_at.is_(None)
    )
    finding = ctx.session.scalars(of_rule.with_for_update()).one_or_none()
    if finding is None:
        finding = InvariantFinding(name=found.invariant.name, first_found_at=ctx.now)
        ctx.session.add(finding)
    finding.last_found_at, finding.count = ctx.now, len(found.records)
    finding.records = list(found.records[:SHOWN])
