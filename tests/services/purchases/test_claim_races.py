"""Many at once on separate connections: one winner, nothing lost, nobody waits for each other crosswise."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

from sqlalchemy import func, select

from admin_app.context import Actor
from admin_app.db import Database
from admin_app.errors import DomainError
from admin_app.services import inbox, purchases
from admin_app.services.core import audit
from admin_app.services.purchases import claims, owners, pending_profiles, undo
from models import AuditEntry, ExtraPurchase, Membership, Merge, PendingProfile, Profile, WebhookEvent
from tests.services import deliveries
from tests.services.factories import (
    NOON,
    OPERATOR,
    SUPPORT,
    WHOP,
    add_profile,
    add_user,
    buy,
    customer,
    facts,
    profile_of,
)

HOUR = timedelta(hours=1)


def at_once(calls: list[Callable[[], str]]) -> Counter[str]:
    """Run all from one start; a refusal counts by its code, anything else that escapes fails the test."""
    start = Barrier(len(calls))

    def run(call: Callable[[], str]) -> str:
        start.wait()
        try:
            return call()
        except DomainError as refused:
            return refused.code

    with ThreadPoolExecutor(len(calls)) as crowd:
        return Counter(crowd.map(run, calls))


def claiming(db: Database, user_id: str, email: str) -> Callable[[], str]:
    def call() -> str:
        with db.unit_of_work(customer(user_id, email)) as ctx:
            return claims.claim(ctx, email=email).outcome

    return call


def signing_in(db: Database, user_id: str, *emails: str) -> Callable[[], str]:
    def call() -> str:
        with db.unit_of_work(customer(user_id, *emails)) as ctx:
            return claims.sign_in(ctx).outcome

    return call


def telling(db: Database, verb: Any = purchases.record, **values: Any) -> Callable[[], str]:
    def call() -> str:
        with db.unit_of_work(WHOP) as ctx:
            return str(verb(ctx, facts(**values)).value)

    return call


def planned(db: Database, actor: Actor, plan: Callable[..., Any], act: Callable[..., Any], **ids: Any) -> str:
    """Look at the plan in one transaction and act on it in the next, as the console does."""
    with db.unit_of_work(actor) as ctx:
        shown = plan(ctx, **ids).fingerprint
    with db.unit_of_work(actor) as ctx:
        act(ctx, **ids, reason="race", shown=shown)
    return act.__name__


def undoing(db: Database, pending_id: int) -> Callable[[], str]:
    def call() -> str:
        with db.unit_of_work(SUPPORT) as ctx:
            merge = select(Merge.id).where(Merge.pending_profile_id == pending_id, Merge.undone_at.is_(None))
            merge_id = ctx.session.scalar(merge)
        return planned(db, SUPPORT, undo.plan, undo.undo, merge_id=merge_id) if merge_id else "nothing to undo"

    return call


def merging(db: Database, pending_id: int, user_id: str) -> Callable[[], str]:
    ids = {"pending_profile_id": pending_id, "user_id": user_id}
    return lambda: planned(db, SUPPORT, claims.plan_for_user, claims.claim_for_user, **ids)


def correcting(db: Database, pending_id: int, email: str) -> Callable[[], str]:
    ids = {"pending_profile_id": pending_id, "email": email}
    return lambda: planned(db, SUPPORT, pending_profiles.plan_email, pending_profiles.correct_email, **ids)


def deleting(db: Database, pending_id: int) -> Callable[[], str]:
    return lambda: planned(
        db, SUPPORT, pending_profiles.plan_delete, pending_profiles.delete, pending_profile_id=pending_id
    )


def count(db: Database, table: type, *conditions: Any) -> int:
    with db.read_only() as session:
        return session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


def require_whole(db: Database) -> None:
    """What must hold whatever happened: claimed exactly while one merge is in force, no membership twice, the chain."""
    with db.read_only() as session:
        assert audit.first_broken_link(session) is None
        merges = session.scalars(select(Merge).where(Merge.undone_at.is_(None))).all()
        claimed = session.scalars(select(PendingProfile).where(PendingProfile.claimed)).all()
        assert {(m.pending_profile_id, m.user_id) for m in merges} == {(p.id, p.claimed_by_user_id) for p in claimed}
        assert len(merges) == len(claimed)
        waiting = session.scalars(select(PendingProfile.whop_membership_id).where(~PendingProfile.claimed)).all()
        held = session.scalars(select(Profile.whop_membership_id).where(Profile.whop_membership_id.is_not(None))).all()
        assert len(set(held)) == len(held)
        assert not set(held) & set(waiting)


def test_one_winner_of_two_hundred_claims(real_db: Database) -> None:
    buy(real_db)
    crowd = [claiming(real_db, f"user_{n}", "buyer@example.com") for n in range(200)]
    assert at_once(crowd) == {"created": 1, "already_claimed": 199}
    assert (count(real_db, Profile), count(real_db, Merge)) == (1, 1)
    assert count(real_db, AuditEntry, AuditEntry.event == "purchase.claimed") == 1
    require_whole(real_db)


def test_one_winner_of_two_hundred_claims_of_a_legacy_row(real_db: Database) -> None:
    add_profile(real_db, "temp_1", email="old@example.com", membership="pro", usage_credits=700)
    crowd = [claiming(real_db, f"user_{n}", "old@example.com") for n in range(200)]
    assert at_once(crowd) == {"created": 1, "already_claimed": 199}
    with real_db.read_only() as session:
        (profile,) = session.scalars(select(Profile))
        assert (profile.usage_credits, profile.user_id.startswith("user_")) == (700, True)
    require_whole(real_db)


def test_the_same_person_twenty_times_is_told_yes_each_time(real_db: Database) -> None:
    buy(real_db)
    assert at_once([claiming(real_db, "user_a", "buyer@example.com")] * 20) == {"created": 1, "already_claimed": 19}
    require_whole(real_db)


def test_claims_undos_events_and_corrections_mixed_break_nothing(real_db: Database) -> None:
    """Two addresses, two purchases, one of them legacy, two people who own both addresses in turn."""
    first, second = buy(real_db, "one@example.com"), buy(real_db, "two@example.com", membership_id="mem_2")
    add_profile(real_db, "temp_3", email="three@example.com", membership="pro", whop_membership_id="mem_3")
    for user_id in ("user_a", "user_b"):
        add_user(real_db, user_id)
    emails = ("one@example.com", "two@example.com", "three@example.com")
    for tour in range(6):
        late = NOON + (tour + 1) * HOUR
        answers = at_once(
            [
                signing_in(real_db, "user_a", *emails),
                signing_in(real_db, "user_b", *reversed(emails)),
                signing_in(real_db, "user_a", *emails[1:]),
                claiming(real_db, "user_b", "three@example.com"),
                undoing(real_db, first.id),
                undoing(real_db, second.id),
                merging(real_db, first.id, "user_b"),
                merging(real_db, second.id, "user_b"),
                correcting(real_db, first.id, f"right{tour}@example.com"),
                telling(real_db, email="one@example.com", occurred_at=late),
                telling(real_db, email="two@example.com", membership_id="mem_2", occurred_at=late),
                telling(real_db, email="three@example.com", membership_id="mem_3", occurred_at=late),
                telling(real_db, verb=purchases.end, membership_id="mem_2", occurred_at=late),
            ]
        )
        assert sum(answers.values()) == 13
        require_whole(real_db)


def test_two_staff_merge_different_purchases_into_one_profile(real_db: Database) -> None:
    add_profile(real_db, "user_a", email="a@example.com")
    pendings = [buy(real_db, f"{n}@example.com", membership_id=f"mem_{n}") for n in range(2)]
    answers = at_once([merging(real_db, pending.id, "user_a") for pending in pendings])
    assert answers.keys() <= {"claim_for_user", "plan_moved"}
    assert answers["claim_for_user"] >= 1
    claimed = count(real_db, PendingProfile, PendingProfile.claimed)
    assert claimed == answers["claim_for_user"]
    # whoever came second replaced the first one's membership, which then is on the worklist
    assert count(real_db, ExtraPurchase) == claimed - 1
    require_whole(real_db)


def test_sign_ins_with_two_waiting_addresses_while_likely_owners_are_looked_for(real_db: Database) -> None:
    pairs = [(f"a{n}@example.com", f"b{n}@example.com") for n in range(6)]
    numbers = [buy(real_db, email, membership_id=f"mem_{email[:2]}").id for pair in pairs for email in pair]

    def looking(in_order: list[int]) -> Callable[[], str]:
        def call() -> str:
            for _ in range(5):
                with real_db.unit_of_work(OPERATOR) as ctx:
                    for number in in_order:
                        owners.refresh_one(ctx, pending_profile_id=number)
            return "looked"

        return call

    crowd = [signing_in(real_db, f"user_{n}", *pair[:: (-1) ** n]) for n, pair in enumerate(pairs) for _ in range(2)]
    looks = [looking(numbers), looking(numbers[::-1])]
    assert at_once([*crowd, *looks]).keys() <= {"created", "already_claimed", "already_pro", "looked"}
    require_whole(real_db)
    assert count(real_db, Profile, Profile.membership == Membership.PRO) == len(pairs)


def test_a_sign_in_and_a_purchase_of_the_same_address_lose_nothing(real_db: Database) -> None:
    for tour in range(10):
        email, user_id = f"new{tour}@example.com", f"user_{tour}"
        at_once(
            [
                signing_in(real_db, user_id, email),
                telling(real_db, email=email, membership_id=f"mem_{tour}"),
                signing_in(real_db, user_id, email),
            ]
        )
        profile = profile_of(real_db, user_id)
        assert profile is not None
        assert (profile.membership, profile.whop_membership_id) == (Membership.PRO, f"mem_{tour}")
        assert profile.usage_credits == 1000
        require_whole(real_db)


def test_a_delete_and_a_late_event_of_the_same_purchase(real_db: Database) -> None:
    for tour in range(5):
        pending = buy(real_db, f"{tour}@example.com", membership_id=f"mem_{tour}")
        late = {"email": f"{tour}@example.com", "membership_id": f"mem_{tour}", "occurred_at": NOON + HOUR}
        answers = at_once([deleting(real_db, pending.id), telling(real_db, **late), telling(real_db, **late)])
        left = count(real_db, PendingProfile, PendingProfile.email == late["email"])
        assert left == (0 if answers["delete"] else 1)
        require_whole(real_db)


def test_the_same_delivery_in_parallel_is_one_event_and_one_job(real_db: Database) -> None:
    body = deliveries.membership("activated", NOON, user=deliveries.BUYER)
    ids = at_once([lambda: str(deliveries.receive(real_db, body, "msg_1"))] * 20)
    assert ids["None"] == 19
    assert count(real_db, WebhookEvent) == 1
    assert deliveries.work(real_db) == 2  # the event, and the mail of the purchase that it makes
    assert count(real_db, PendingProfile) == 1


def test_purchases_of_one_new_address_make_one_row(real_db: Database) -> None:
    crowd = [telling(real_db, occurred_at=NOON + timedelta(seconds=n)) for n in range(20)]
    answers = at_once(crowd)
    assert answers.keys() <= {"done", "superseded"}
    with real_db.read_only() as session:
        (pending,) = session.scalars(select(PendingProfile))
        assert (pending.provider_event_at, pending.usage_credits) == (NOON + timedelta(seconds=19), 1000)
    assert count(real_db, AuditEntry, AuditEntry.event == "purchase.received") == 1


def test_one_event_applied_by_two_workers_counts_once(real_db: Database) -> None:
    event_id = deliveries.receive(real_db, deliveries.membership("activated", NOON, user=deliveries.BUYER), "msg_1")
    assert event_id is not None

    def apply() -> str:
        with real_db.unit_of_work(OPERATOR) as ctx:
            return inbox.apply(ctx, event_id=event_id).value

    assert at_once([apply] * 8) == {"processed": 8}
    with real_db.read_only() as session:
        assert session.get_one(WebhookEvent, event_id).attempts == 1
    assert count(real_db, PendingProfile) == 1


def test_sixteen_writers_keep_the_audit_chain(real_db: Database) -> None:
    def write() -> str:
        for _ in range(10):
            with real_db.unit_of_work(OPERATOR) as ctx:
                audit.record(ctx, "staff.password_changed", records=["staff:1"], facts={"sessions_ended": 0})
        return "written"

    assert at_once([write] * 16) == {"written": 16}
    assert count(real_db, AuditEntry) == 160
    require_whole(real_db)
