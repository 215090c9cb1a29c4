"""The comparison with Whop: every membership there, beside the profile or waiting purchase that holds it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.ports import WhopMembership, WhopPort
from admin_app.services import inbox
from admin_app.services.drift import Ours, Taken, Thing, Values, text_of
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.memberships.periods import plan_duration
from admin_app.services.purchases import holders, reconcile
from admin_app.services.purchases.reconcile import Outcome
from models.memberships import MembershipStatus, PaymentProvider, ProviderMembership

# Came and went before anybody here knew, or deleted by staff: not held, and rightly so.
_LEFT_OUT = (Outcome.ENDED_UNSEEN, Outcome.DELETED_BY_STAFF, Outcome.IGNORED)


@dataclass(frozen=True)
class WhopThing:
    """A membership; whatever happened here since `as_of` knows better."""

    membership: WhopMembership
    as_of: datetime

    @property
    def external_id(self) -> str:
        return self.membership.id

    @property
    def ids(self) -> Sequence[str]:
        return (self.membership.id,)

    @property
    def theirs(self) -> Values:
        found = self.membership
        return {
            "status": found.status,
            "plan_duration": found.plan_duration,
            "billing_cycle_end": text_of(found.period_end),
            "cancel_at_period_end": text_of(found.cancel_at_period_end),
        }

    def take_in(self, ctx: Ctx) -> Taken:
        outcome = reconcile.bring_in(ctx, membership=self.membership, as_of=self.as_of)
        if outcome in _LEFT_OUT or holders.shown(ctx.session, self.membership.id) is not None:
            return Taken(None, True, outcome.value)
        # One whose buyer is not known waits in the inbox.
        return Taken(inbox.parked_because(ctx.session, "whop", self.membership.id), False, outcome.value)


class WhopSide:
    """Whop's side of a comparison: memberships."""

    provider = "whop"

    def __init__(self, port: WhopPort, clock: Callable[[], datetime]) -> None:
        self._port, self._clock = port, clock

    def _as_of(self) -> datetime:
        """Whop's times have whole seconds at times: an event of this very second is the newer one."""
        return self._clock().replace(microsecond=0)

    def listed(self, since: datetime) -> Iterator[Thing]:
        as_of = self._as_of()
        return (WhopThing(membership, as_of) for membership in self._port.memberships())

    def whole(self, listed: Thing, work: Work) -> Thing:
        """Whop's list leaves the e-mail out: asked for one by one, and only for what is not known yet."""
        if not isinstance(listed, WhopThing):
            raise TypeError("only what this side listed")
        if listed.membership.email or listed.membership.status != "active":
            return listed
        with work() as ctx:
            if holders.is_held(ctx.session, listed.external_id):
                return listed
        return self.ask(listed.external_id) or listed

    def ask(self, external_id: str) -> Thing | None:
        as_of = self._as_of()
        found = self._port.membership(external_id)
        return None if found is None else WhopThing(found, as_of)

    def held(self, session: Session, since: datetime, after: str | None, limit: int) -> Sequence[tuple[str, str]]:
        """The live memberships that somebody holds, in the order of our numbers."""
        query = select(ProviderMembership.id, ProviderMembership.external_id).where(
            ProviderMembership.id > int(after or 0),
            ProviderMembership.provider == PaymentProvider.WHOP,
            ProviderMembership.external_id.is_not(None),
            ProviderMembership.status == MembershipStatus.ACTIVE,
            ProviderMembership.ignored_at.is_(None),
        )
        rows = session.execute(query.order_by(ProviderMembership.id).limit(limit))
        return [(str(number), external_id or "") for number, external_id in rows]

    def ours(self, session: Session, ids: Sequence[str]) -> Ours | None:
        found = holders.shown(session, ids[0])
        if found is None:
            return None
        row, holder = found
        values = {
            "status": row.status.value,
            "plan_duration": text_of(plan_duration(row)),
            "billing_cycle_end": text_of(row.period_end),
            "cancel_at_period_end": text_of(row.cancel_at_period_end),
        }
        return Ours(holders.key(holder), values)

    def differing(self, ours: Ours, theirs: Values, now: datetime) -> Sequence[str]:
        """Of a membership that is over, only that; what Whop leaves open differs from nothing."""
        if ours.values["status"] != theirs["status"]:
            return ["status"]
        if theirs["status"] == MembershipStatus.INACTIVE.value:
            return []
        return [name for name, value in theirs.items() if value is not None and ours.values.get(name) != value]
