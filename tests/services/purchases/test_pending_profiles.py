"""What support does to a waiting purchase: correct its address, delete it, settle an extra one."""

from typing import Any

import pytest

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, InvalidToken, NotFound, PlanMoved
from admin_app.services.core import audit
from admin_app.services.purchases import claim_links, claims, pending_profiles
from models import ExtraPurchase, PendingProfile
from tests.services.factories import AUDITOR, SUPPORT, add_profile, buy, customer, pending_of


def correct(db: Database, pending_id: int, email: str, *, shown: str | None = None, actor: Any = SUPPORT) -> None:
    ids: dict[str, Any] = {"pending_profile_id": pending_id, "email": email}
    with db.unit_of_work(actor) as ctx:
        shown = shown or pending_profiles.plan_email(ctx, **ids).fingerprint
        pending_profiles.correct_email(ctx, **ids, reason="typo", shown=shown)


def delete(db: Database, pending_id: int, *, shown: str | None = None, actor: Any = SUPPORT) -> None:
    with db.unit_of_work(actor) as ctx:
        shown = shown or pending_profiles.plan_delete(ctx, pending_profile_id=pending_id).fingerprint
        pending_profiles.delete(ctx, pending_profile_id=pending_id, reason="refunded", shown=shown)


def claim(db: Database, user_id: str, email: str = "buyer@example.com") -> None:
    with db.unit_of_work(customer(user_id, email)) as ctx:
        claims.claim(ctx, email=email)


def with_link(db: Database, pending_id: int) -> None:
    with db.unit_of_work(SUPPORT) as ctx:
        ctx.session.get_one(PendingProfile, pending_id).token = claim_links.token_digest("secret-link")


def test_a_corrected_address_is_claimed_and_the_old_link_is_dead(db: Database) -> None:
    pending = buy(db, "jnae@example.com")
    with_link(db, pending.id)
    correct(db, pending.id, " Jane@Example.com")
    with pytest.raises(InvalidToken), db.unit_of_work(customer("user_b")) as ctx:
        claims.claim_by_token(ctx, token="secret-link")
    claim(db, "user_jane", "jane@example.com")
    row = pending_of(db, pending.id)
    assert row is not None
    assert (row.email, row.claimed_by_user_id) == ("jane@example.com", "user_jane")
    with db.read_only() as session:
        entry = audit.history(session, f"pending_profile:{pending.id}")[1]
        assert entry.sentence.endswith("from jnae@example.com to jane@example.com")


def test_what_the_doors_take_as_an_address_may_be_typed_too(db: Database) -> None:
    pending = buy(db)
    correct(db, pending.id, "buyer@shop.test")
    row = pending_of(db, pending.id)
    assert row is not None
    assert row.email == "buyer@shop.test"


@pytest.mark.parametrize("address", ["", "nobody", "a@b", "a b@example.com", "a@example.com\x00", "a@@example.com"])
def test_what_is_no_address_is_refused(db: Database, address: str) -> None:
    pending = buy(db)
    with pytest.raises(InvalidInput):
        correct(db, pending.id, address)


def test_an_address_that_is_taken_or_the_same_is_refused_by_name(db: Database) -> None:
    first, second = buy(db), buy(db, "second@example.com", membership_id="mem_2")
    with pytest.raises(Conflict) as refused:
        correct(db, first.id, "Second@example.com")
    assert f"Purchase {second.id} already waits" in refused.value.sentence
    with pytest.raises(Conflict) as refused:
        correct(db, first.id, "BUYER@example.com")
    assert "already has this address" in refused.value.sentence


def test_a_claimed_or_missing_purchase_is_left_alone(db: Database) -> None:
    pending = buy(db)
    claim(db, "user_a")
    for act in (lambda: correct(db, pending.id, "x@example.com"), lambda: delete(db, pending.id)):
        with pytest.raises(Conflict) as refused:
            act()
        assert "Undo the claim first" in refused.value.sentence
    with pytest.raises(NotFound):
        delete(db, pending.id + 1)
    with pytest.raises(NotFound):
        correct(db, pending.id + 1, "x@example.com")


def test_nothing_is_done_when_the_plan_moved(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(SUPPORT) as ctx:
        ids: dict[str, Any] = {"pending_profile_id": pending.id}
        to_email = pending_profiles.plan_email(ctx, **ids, email="x@example.com").fingerprint
        to_delete = pending_profiles.plan_delete(ctx, **ids).fingerprint
    with pytest.raises(PlanMoved):
        correct(db, pending.id, "y@example.com", shown=to_email)  # another address than was shown
    with db.unit_of_work(SUPPORT) as ctx:
        ctx.session.get_one(PendingProfile, pending.id).version += 1
    with pytest.raises(PlanMoved):
        correct(db, pending.id, "x@example.com", shown=to_email)
    with pytest.raises(PlanMoved):
        delete(db, pending.id, shown=to_delete)
    assert pending_of(db, pending.id) is not None


def test_only_those_who_resolve_purchases_may(db: Database) -> None:
    pending = buy(db)
    for act in (
        lambda: correct(db, pending.id, "x@example.com", actor=AUDITOR),
        lambda: delete(db, pending.id, actor=AUDITOR),
    ):
        with pytest.raises(Forbidden):
            act()


def test_a_deleted_purchase_is_kept_whole_in_the_audit_but_for_its_link(db: Database) -> None:
    pending = buy(db, name="Bea")
    with_link(db, pending.id)
    row = pending_of(db, pending.id)
    assert row is not None
    held = pending_profiles.snapshot(row)
    delete(db, pending.id)
    assert pending_of(db, pending.id) is None
    with db.read_only() as session:
        entry = session.query(audit.AuditEntry).filter_by(event="purchase.deleted").one()
        kept = {change["field"]: change["before"] for change in entry.changes}
        assert kept == {name: value for name, value in held.items() if value is not None and name != "token"}
        assert claim_links.token_digest("secret-link") not in str(entry.changes)
        assert audit.history(session, "whop_membership:mem_1")[0].reason == "refunded"


def test_an_extra_purchase_is_settled_once_with_what_was_done(db: Database) -> None:
    add_profile(db, "user_a", email="a@example.com", membership="pro")
    buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
    with db.read_only() as session:
        extra_id = session.query(ExtraPurchase).one().id
    for actor, reason, resolution, refusal in (
        (AUDITOR, "x", "refunded", Forbidden),
        (SUPPORT, "", "refunded", InvalidInput),
        (SUPPORT, "x", " ", InvalidInput),
    ):
        with pytest.raises(refusal), db.unit_of_work(actor) as ctx:
            pending_profiles.settle_extra(ctx, extra_id=extra_id, resolution=resolution, reason=reason)
    with db.unit_of_work(SUPPORT) as ctx:
        extra = pending_profiles.settle_extra(ctx, extra_id=extra_id, resolution="refunded", reason="asked")
        assert (extra.resolved_by, extra.resolution) == ("support@demo.test", "refunded")
    with pytest.raises(Conflict), db.unit_of_work(SUPPORT) as ctx:
        pending_profiles.settle_extra(ctx, extra_id=extra_id, resolution="refunded", reason="asked")
    with db.read_only() as session:
        assert "settled the extra purchase" in audit.history(session, "profile:user_a")[0].sentence


def test_what_support_decided_on_a_waiting_purchase_is_asked_again_when_more_waits_in_it(db: Database) -> None:
    add_profile(db, "user_a", email="a@example.com", membership="pro")
    pending = buy(db)

    def come_by_link() -> list[tuple[str, str | None]]:
        with_link(db, pending.id)
        with db.unit_of_work(customer("user_a", "a@example.com")) as ctx:
            assert claims.claim_by_token(ctx, token="secret-link").outcome == "already_pro"
        with db.read_only() as session:
            return [(one.user_id, one.resolution) for one in session.query(ExtraPurchase)]

    assert come_by_link() == [("user_a", None)]
    with db.unit_of_work(SUPPORT) as ctx:
        extra_id = ctx.session.query(ExtraPurchase).one().id
        pending_profiles.settle_extra(ctx, extra_id=extra_id, resolution="kept", reason="asked")
    assert come_by_link() == [("user_a", "kept")]
    buy(db, membership_id="mem_2")
    assert come_by_link() == [("user_a", None)]
    with db.read_only() as session:
        assert audit.history(session, f"pending_profile:{pending.id}")[0].event == "purchase.extra"
