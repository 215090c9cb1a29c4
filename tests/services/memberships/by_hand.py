"""What staff give and take by hand, as tests do it: each step by its plan, and every rule looked at afterwards."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from admin_app.context import Ctx, Job
from admin_app.db import Database
from admin_app.services import purchases
from admin_app.services.invariants import about_people
from admin_app.services.invariants.rule import PATIENCE, Moments
from admin_app.services.memberships import adjustment_undo, complimentary, credit_adjusting
from admin_app.services.purchases import claims, credit_renewals
from models import Adjustment, ExtraPurchase, Membership, PendingProfile, Profile, ProviderMembership
from tests.services.factories import SUPPORT, WHOP, customer, facts, profile_of

KINDS: dict[str, type[Any]] = {
    "pending_profile": PendingProfile,
    "membership": ProviderMembership,
    "extra_purchase": ExtraPurchase,
}


def step(db: Database, plan: Callable[..., Any], act: Callable[..., Any], **what: Any) -> Any:
    """Plan, act, and hold every row against what the plan said of it."""
    actor, reason = what.pop("actor", SUPPORT), what.pop("reason", "asked for")
    with db.unit_of_work(SUPPORT) as ctx:
        shown = plan(ctx, **what)
    with db.unit_of_work(actor) as ctx:
        done = act(ctx, **what, reason=reason, shown=shown.fingerprint)
        number = done.id
    assert [(line.record, line.field, line.after) for line in shown.lines] == [
        (line.record, line.field, getattr(_of(db, line.record), line.field)) for line in shown.lines
    ]
    nothing_broken(db)
    return number


def _of(db: Database, record: str) -> Any:
    """The row that a plan's line is of."""
    kind, _, key = record.partition(":")
    if kind == "profile":
        return profile_of(db, key)
    with db.read_only() as session:
        return session.get_one(KINDS[kind], int(key))


def give(db: Database, until: datetime | None, user_id: str = "user_a", **more: Any) -> int:
    number: int = step(db, complimentary.plan_give, complimentary.give, user_id=user_id, until=until, **more)
    return number


def change_end(db: Database, number: int, until: datetime | None) -> None:
    step(db, complimentary.plan_end_change, complimentary.change_end, membership_id=number, until=until)


def end(db: Database, number: int) -> None:
    step(db, complimentary.plan_end, complimentary.end, membership_id=number)


def adjust(db: Database, way: str, amount: int | str = "", **more: Any) -> int:
    wish = {"user_id": "user_a", "way": way, "amount": str(amount)} | more
    number: int = step(db, credit_adjusting.plan, credit_adjusting.adjust, **wish)
    return number


def undo(db: Database, number: int | None = None) -> None:
    """Undo this adjustment, or the newest one."""
    if number is None:
        with db.read_only() as session:
            number = max(session.scalars(session.query(Adjustment.id).statement))
    step(db, adjustment_undo.plan, adjustment_undo.undo, adjustment_id=number)


def refusal(db: Database, plan: Callable[..., Any], **what: Any) -> str | None:
    with db.unit_of_work(SUPPORT) as ctx:
        said: str | None = plan(ctx, **what).refusal
        return said


def refused_undo(db: Database) -> str | None:
    with db.read_only() as session:
        number = max(session.scalars(session.query(Adjustment.id).statement))
    return refusal(db, adjustment_undo.plan, adjustment_id=number)


def told(db: Database, at: datetime, **values: object) -> None:
    db.clock = lambda: at
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(occurred_at=at, **values))
    nothing_broken(db)


def ended(db: Database, at: datetime, membership_id: str = "mem_1") -> None:
    db.clock = lambda: at
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(occurred_at=at, membership_id=membership_id))
    nothing_broken(db)


def tick(db: Database, at: datetime) -> int:
    """The jobs that run by the clock; how many complimentary memberships ended."""
    db.clock = lambda: at
    with db.read_only() as session:
        over, due = complimentary.due(session, at, limit=10), credit_renewals.due(session, at, limit=10)
    done = [within(db, lambda ctx, one=one: complimentary.end_due(ctx, membership_id=one)) for one in over]  # type: ignore[misc]
    for user_id in due:
        within(db, lambda ctx, user_id=user_id: credit_renewals.renew(ctx, user_id=user_id))  # type: ignore[misc]
    nothing_broken(db)
    return sum(done)


def within(db: Database, do: Callable[[Ctx], bool]) -> bool:
    with db.unit_of_work(Job("test")) as ctx:
        return do(ctx)


def signs_in(db: Database, user_id: str = "user_a", email: str = "buyer@example.com") -> str:
    with db.unit_of_work(customer(user_id, email)) as ctx:
        return claims.sign_in(ctx).outcome


def use(db: Database, used: int, user_id: str = "user_a") -> None:
    with db.unit_of_work(WHOP) as ctx:
        ctx.session.get_one(Profile, user_id).used_credits = used


def credits(db: Database, user_id: str = "user_a") -> tuple[int, int]:
    profile = profile_of(db, user_id)
    assert profile is not None
    return profile.usage_credits, profile.used_credits


def is_pro(db: Database, user_id: str = "user_a") -> bool:
    profile = profile_of(db, user_id)
    assert profile is not None
    return profile.membership is Membership.PRO


def open_extras(db: Database) -> list[str | None]:
    with db.read_only() as session:
        found = session.query(ExtraPurchase.replaced_membership_id).filter(ExtraPurchase.resolved_at.is_(None))
        return [name for (name,) in found]


def row_of(db: Database, number: int) -> ProviderMembership:
    with db.read_only() as session:
        return session.get_one(ProviderMembership, number)


def nothing_broken(db: Database) -> None:
    with db.read_only() as session:
        moments = Moments.at(db.clock(), PATIENCE)
        broken = {rule.name: list(rule.find(session, moments)) for rule in about_people.INVARIANTS}
    found = {name: records for name, records in broken.items() if records}
    assert found == {}, found
