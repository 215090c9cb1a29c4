"""What came along with a membership stands on its row while whoever it came to by the move holds it."""

from datetime import timedelta

from admin_app.db import Database
from admin_app.services import memberships, purchases
from admin_app.services.purchases import account_deletion, claims, undo
from models import Profile, ProviderMembership
from tests.services.factories import NOON, OPERATOR, SUPPORT, WHOP, add_profile, buy, customer, facts
from tests.services.memberships import by_hand
from tests.services.memberships.moves import act, credits, pass_time, row_of, use

DAY = timedelta(days=1)


def came(db: Database, external_id: str = "mem_a") -> tuple[str | None, int | None, int | None]:
    row = row_of(db, external_id)
    return row.moved_to, row.came_credits, row.came_withheld


def test_news_of_the_holder_leave_what_came_and_the_next_move_says_its_own(both: Database) -> None:
    assert came(both) == (None, None, None)
    act(both, "user_b")
    pass_time(both, 7)
    for amount in (100, 53):
        with both.unit_of_work(WHOP) as ctx:
            purchases.record(ctx, facts("a@example.com", membership_id="mem_a", occurred_at=both.clock()))
        use(both, "user_b", amount)
        assert came(both) == ("profile:user_b", 840, 0)
    act(both, "user_c")
    assert came(both) == ("profile:user_c", 840, 0)
    assert (credits(both, "user_b"), credits(both, "user_c")) == ((1000, 206), (840, 0))
    act(both, None)
    assert came(both) == ("profile:user_b", 840, 0)


def test_an_early_renewal_that_is_undone_leaves_what_came(both: Database) -> None:
    with both.unit_of_work(WHOP) as ctx:
        longer = {"occurred_at": NOON + DAY / 24, "period_end": NOON + 90 * DAY}
        purchases.record(ctx, facts("a@example.com", membership_id="mem_a", **longer))
    act(both, "user_b")
    by_hand.adjust(both, "renew", user_id="user_b")
    by_hand.undo(both)
    assert credits(both, "user_b") == (1840, 53)
    act(both, None)
    assert (credits(both, "user_a"), credits(both, "user_b")) == ((1000, 160), (1000, 53))


def test_what_another_gets_otherwise_did_not_come_by_the_move(both: Database) -> None:
    act(both, "user_c")
    with both.unit_of_work(OPERATOR) as ctx:
        account_deletion.let_go(ctx, user_id="user_c")
    assert came(both) == ("profile:user_c", None, None)
    assert by_hand.signs_in(both, "user_again", "c@example.com") == "created"
    by_hand.adjust(both, "add", 300, user_id="user_again")
    act(both, "user_b")
    assert came(both) == ("profile:user_b", 1000, 0)
    assert credits(both, "user_again") == (140, 0)


def test_what_came_to_a_purchase_did_not_come_to_who_claims_it(db: Database) -> None:
    buy(db)
    add_profile(db, "user_b", email="b@example.com", created_at=NOON, updated_at=NOON)
    act(db, "user_b", "mem_1")
    use(db, "user_b", 600)
    act(db, None, "mem_1")
    assert came(db, "mem_1")[1:] == (400, 0)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        merge_id = claims.sign_in(ctx).merge_id or 0
    assert came(db, "mem_1")[1:] == (None, None)
    with db.unit_of_work(SUPPORT) as ctx:
        shown = undo.plan(ctx, merge_id=merge_id).fingerprint
        undo.undo(ctx, merge_id=merge_id, reason="wrong", shown=shown)
    act(db, "user_b", "mem_1")
    assert came(db, "mem_1")[1:] == (400, 0)
    assert credits(db, "user_b") == (1000, 600)


def test_whoever_writes_the_holder_alone_leaves_what_came_to_another(both: Database) -> None:
    act(both, "user_b")
    with both.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.query(ProviderMembership).filter_by(external_id="mem_a").one()
        row.profile_user_id, row.came_credits = "user_c", 5
        ctx.session.get_one(Profile, "user_c").usage_credits = 700
        for user_id in ("user_b", "user_c"):
            memberships.settle(ctx, profile := ctx.session.get_one(Profile, user_id), memberships.of(ctx, profile))
    act(both, None)
    assert credits(both, "user_c") == (0, 0)
