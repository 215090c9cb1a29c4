"""Compares Whop's memberships with what the product knows, so that an outage of the webhook loses nothing.

Whop gives a delivery up after about 70 seconds. Here the network and the transactions take turns: one page from
Whop, then one short transaction for each membership on it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select

from admin_app.context import Ctx
from admin_app.errors import Conflict, DomainError
from admin_app.integrations.ports import WhopMembership, WhopPort
from admin_app.services import holders, reconcile

RUN_LOCK = 0x77686F70  # one number known to all processes: two comparisons never run at once

Work = Callable[[], AbstractContextManager[Ctx]]


class ComparisonRuns(Conflict):
    code = "reconcile_running"
    sentence = "Another comparison with Whop is running. Wait until it has ended."


@dataclass
class Counts:
    """What became of the memberships seen, by outcome; `refused` could not be applied."""

    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        return sum(self.outcomes.values())

    def add(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


def compare(whop: WhopPort, work: Work, *, seen: Callable[[Counts], None] = lambda _: None) -> Counts:
    """Bring in what no event brought. `work` opens a unit of work; `seen` is told after every membership."""
    counts = Counts()
    with work() as guard:
        # Held by a transaction that reads and writes nothing else: it ends with the run, also when that dies.
        if not guard.session.scalar(select(func.pg_try_advisory_xact_lock(RUN_LOCK))):
            raise ComparisonRuns
        # Whop's times have whole seconds at times: an event of this very second is the newer one.
        as_of = guard.now.replace(microsecond=0)
        for membership in whop.memberships():
            counts.add(_bring_in(whop, work, membership, as_of))
            seen(counts)
        with work() as ctx:
            reconcile.finish(ctx, provider="whop", counts=counts.outcomes)
    return counts


def _bring_in(whop: WhopPort, work: Work, listed: WhopMembership, as_of: datetime) -> str:
    try:
        with work() as ctx:
            if not _must_ask(ctx, listed):
                return reconcile.bring_in(ctx, membership=listed, as_of=as_of).value
        # Whop's list leaves the e-mail out: asked for one by one, and only for what is not known yet.
        detailed = whop.membership(listed.id)
        with work() as ctx:
            return reconcile.bring_in(ctx, membership=detailed or listed, as_of=as_of).value
    except DomainError as refused:
        if refused.status >= 500:
            raise
        return "refused"


def _must_ask(ctx: Ctx, listed: WhopMembership) -> bool:
    if listed.email or listed.status != "active":
        return False
    return not holders.is_held(ctx.session, listed.id)
