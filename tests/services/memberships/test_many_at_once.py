"""What many holders' columns tell of becomes rows by a few statements, the same ones as holder by holder."""

from collections.abc import Callable, Sequence
from itertools import product

from sqlalchemy import event, select

from admin_app.context import Ctx
from admin_app.db import Database
from admin_app.services.memberships.rows import Holder, of, of_each
from models import Membership, MembershipStatus, PaymentProvider, PendingProfile, Profile, ProviderMembership
from tests.services.factories import NOON, OPERATOR, buy

Told = list[tuple[object, ...]]


def holders(ctx: Ctx, *, times: int = 1) -> list[Holder]:
    """Accounts and purchases of every shape that the columns can have; some name what others name as well."""
    shapes = product((None, "mem_{0}", "mem_same"), (None, "sub_{0}"), (Membership.FREE, Membership.PRO))
    made: list[Holder] = []
    for number, (whop, stripe, membership) in enumerate([*shapes] * times):
        values = {
            "membership": membership,
            "status": MembershipStatus.INACTIVE if number % 3 == 0 else MembershipStatus.ACTIVE,
            "payment_provider": PaymentProvider.STRIPE if stripe and not whop else PaymentProvider.WHOP,
            "whop_membership_id": whop and whop.format(f"a{number}"),
            "stripe_subscription_id": stripe and stripe.format(f"a{number}"),
            "plan_duration": "monthly" if number % 2 else None,
            "billing_cycle_start": NOON if number % 2 else None,
        }
        made.append(Profile(user_id=f"user_many_{number:03}", email=f"a{number}@many.example.com", **values))
        waiting = {name: value for name, value in values.items() if name not in ("whop_membership_id", "status")}
        if number % 5 == 0:
            waiting |= {"claimed": True, "claimed_by_user_id": f"user_many_{number:03}", "claimed_at": NOON}
        made.append(PendingProfile(email=f"w{number}@many.example.com", **waiting))
    ctx.session.add_all(made)
    ctx.session.flush()
    return made


def rows(ctx: Ctx) -> Told:
    """Every membership, but its number and when it was written; the purchase that has it by its address."""
    written = {"id", "updated_at", "pending_profile_id"}
    names = [column.key for column in ProviderMembership.__table__.c if column.key not in written]
    told = select(PendingProfile.email, *(getattr(ProviderMembership, name) for name in names))
    found = ctx.session.execute(told.select_from(ProviderMembership).outerjoin(PendingProfile))
    return sorted((tuple(row) for row in found), key=repr)


def given(db: Database, give: Callable[[Ctx, Sequence[Holder]], object]) -> Told:
    """What is there after it; nothing of it stays."""
    told: Told = []

    class Over(Exception):
        pass

    try:
        with db.unit_of_work(OPERATOR) as ctx:
            mine = holders(ctx)
            bought = ctx.session.scalars(
                select(PendingProfile).where(PendingProfile.whop_membership_id == "mem_1")
            ).one()
            # Claimed by somebody who knows no rows: its membership is left with the purchase.
            bought.claimed, bought.claimed_by_user_id, bought.claimed_at = True, "user_many_001", NOON
            ctx.session.flush()
            give(ctx, mine)
            told = rows(ctx)
            raise Over
    except Over:
        return told


def one_by_one(ctx: Ctx, mine: Sequence[Holder]) -> None:
    for holder in mine:
        of(ctx, holder)


def test_the_same_rows_as_holder_by_holder(db: Database) -> None:
    buy(db)
    each, together = given(db, one_by_one), given(db, of_each)
    assert together == each
    assert len(each) > 12
    assert given(db, lambda ctx, mine: (of_each(ctx, mine), of_each(ctx, mine))) == each


def test_as_many_statements_for_many_as_for_few(db: Database) -> None:
    buy(db)
    counts = []
    for times in (1, 5):
        seen: list[str] = []

        def look(*args: object, seen: list[str] = seen) -> None:
            seen.append(str(args[2]))

        with db.unit_of_work(OPERATOR) as ctx:
            mine = holders(ctx, times=times)
            event.listen(ctx.session.connection(), "before_cursor_execute", look)
            of_each(ctx, mine)
            counts.append(len([one for one in seen if one.startswith("SELECT")]))
            for holder in mine:
                ctx.session.delete(holder)
            ctx.session.rollback()
    assert counts == [3, 3]
