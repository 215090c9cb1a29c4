"""The comparison with Whop: every membership there, beside the profile or waiting purchase that holds it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.ports import WhopMembership, WhopPort
from admin_app.services import holders, inbox, legacy, reconcile
from admin_app.services.drift import Ours, Taken, Thing, Values, text_of
from admin_app.services.provider_calls import Work
from admin_app.services.reconcile import Outcome
from models.people import MembershipStatus, PendingProfile, Profile

# Came and went before anybody here knew, or deleted by staff: not held, and rightly so.
_LEFT_OUT = (Outcome.ENDED_UNSEEN, Outcome.DELETED_BY_STAFF)


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
        # One that gave way to another is on support's worklist; one whose buyer is not known waits in the inbox.
        given_way = holders.was_held(ctx.session, self.membership.id)
        because = None if given_way else inbox.parked_because(ctx.session, "whop", self.membership.id)
        return Taken(because, given_way, outcome.value)


class WhopSide:
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
        """Who is served by a membership, profiles first."""
        kind, _, place = (after or "profile:").partition(":")
        rows: list[tuple[str, str]] = []
        if kind == "profile":
            rows = _profiles(session, place, limit)
            place = "0"
        return rows + _purchases(session, int(place), limit - len(rows)) if len(rows) < limit else rows

    def ours(self, session: Session, ids: Sequence[str]) -> Ours | None:
        holder = holders.shown(session, ids[0])
        if holder is None:
            return None
        values = {
            "status": holder.status.value,
            "plan_duration": text_of(holder.plan_duration),
            "billing_cycle_end": text_of(holder.billing_cycle_end),
            "cancel_at_period_end": text_of(holder.cancel_at_period_end),
        }
        return Ours(holders.key(holder), values)

    def differing(self, ours: Ours, theirs: Values, now: datetime) -> Sequence[str]:
        """Of a membership that is over, only that; what Whop leaves open differs from nothing."""
        if ours.values["status"] != theirs["status"]:
            return ["status"]
        if theirs["status"] == MembershipStatus.INACTIVE.value:
            return []
        return [name for name, value in theirs.items() if value is not None and ours.values.get(name) != value]


def _profiles(session: Session, after: str, limit: int) -> list[tuple[str, str]]:
    query = select(Profile.user_id, Profile.whop_membership_id).where(
        Profile.user_id > after,
        Profile.whop_membership_id.is_not(None),
        Profile.status == MembershipStatus.ACTIVE,
        ~legacy.IS_LEGACY,
    )
    rows = session.execute(query.order_by(Profile.user_id).limit(limit))
    return [(f"profile:{user_id}", membership_id or "") for user_id, membership_id in rows]


def _purchases(session: Session, after: int, limit: int) -> list[tuple[str, str]]:
    query = select(PendingProfile.id, PendingProfile.whop_membership_id).where(
        PendingProfile.id > after,
        PendingProfile.whop_membership_id.is_not(None),
        PendingProfile.status == MembershipStatus.ACTIVE,
        ~PendingProfile.claimed,
    )
    rows = session.execute(query.order_by(PendingProfile.id).limit(limit))
    return [(f"purchase:{number}", membership_id or "") for number, membership_id in rows]
