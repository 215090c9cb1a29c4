"""Support's pages: the list, the purchase, and every command with its plan, its refusals and its reason."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.services import inbox, purchases
from admin_app.services.memberships import complimentary, moving
from admin_app.services.purchases import account_deletion, claims
from models import EventState, ExtraPurchase, Merge, PendingProfile, ProviderMembership, Role, WebhookEvent
from tests.console.conftest import counted_queries, form_token
from tests.services.factories import (
    CLERK,
    LATER,
    NOON,
    SUPPORT,
    WHOP,
    add_profile,
    add_user,
    buy,
    customer,
    facts,
    pending_of,
    profile_of,
)


@pytest.fixture
def support(client_for: Any) -> Any:
    return client_for(Role.SUPPORT)


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, name
    return found[1]


def post(client: Any, address: str, **fields: str) -> Any:
    """Send the form of the page as a browser would, with its token and its plan."""
    page = client.get(address).text
    plan = {"fingerprint": hidden(page, "fingerprint")} if 'name="fingerprint"' in page else {}
    return client.post(address.partition("?")[0], data={"csrf_token": hidden(page, "csrf_token")} | plan | fields)


def test_the_list_shows_the_oldest_first_and_finds_by_any_part(db: Database, support: Any) -> None:
    buy(db, "young@example.com", occurred_at=NOON, membership_id="mem_young", whop_user_id="user_y")
    buy(db, "old@example.com", occurred_at=NOON - LATER, membership_id="mem_old", whop_user_id="user_o")
    page = support.get("/admin/purchases/").text
    assert page.index("old@example.com") < page.index("young@example.com")
    for part, found in (("oung@ex", "young"), ("em_ol", "old"), ("user_y", "young"), ("OLD@example.com", "old")):
        page = support.get(f"/admin/purchases/?q={part}").text
        assert f"{found}@example.com</a>" in page
        assert page.count("@example.com</a>") == 1


def test_a_list_page_costs_few_queries_however_many_rows(db: Database, support: Any) -> None:
    counts = []
    for number in (1, 30):
        for i in range(number):
            buy(db, f"b{number}-{i}@example.com", membership_id=f"mem_{number}_{i}", whop_user_id=None)
        support.get("/admin/purchases/")
        with counted_queries(db) as statements:
            support.get("/admin/purchases/")
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 4


def test_the_purchase_page_ranks_the_likely_owners_with_their_evidence(db: Database, support: Any) -> None:
    pending = buy(db, "jane.doe@gmial.com", name="Jane Doe")
    add_user(db, "user_jane", email="jane.doe@gmail.com", name="Jane Doe")
    add_user(db, "user_other", email="someone@example.org", name="Jane Doe")
    page = support.get(f"/admin/purchases/{pending.id}").text
    assert "Domain spelt almost the same" in page
    assert page.index("user_jane") < page.index("user_other")
    assert f"/admin/purchases/{pending.id}/claim?user_id=user_jane" in page


def test_the_purchase_page_reads_for_an_auditor_without_any_command(db: Database, client_for: Any) -> None:
    pending = buy(db, "jane.doe@gmial.com", name="Jane Doe")
    add_user(db, "user_jane", email="jane.doe@gmail.com", name="Jane Doe")
    auditor = client_for(Role.AUDITOR)
    page = auditor.get(f"/admin/purchases/{pending.id}").text
    assert "Domain spelt almost the same" in page
    for word in ("/claim?", "/email", "/delete", "/mail", 'name="find"'):
        assert f"/admin/purchases/{pending.id}{word}" not in page
    assert auditor.get(f"/admin/purchases/{pending.id}/claim?user_id=user_jane").status_code == 403


def test_claim_undo_and_claim_again(db: Database, support: Any) -> None:
    pending = buy(db, "jane.doe@gmial.com", name="Jane Doe")
    add_profile(db, "user_jane", email="jane.doe@gmail.com", usage_credits=20)
    claim = f"/admin/purchases/{pending.id}/claim?user_id=user_jane"
    for _ in range(2):
        page = support.get(claim).text
        assert "Merge into the profile of jane.doe@gmail.com" in page
        answer = post(support, claim, user_id="user_jane", reason="She wrote from this address")
        assert answer.status_code == 303
        assert answer.headers["Location"] == f"/admin/purchases/{pending.id}"
        page = support.get(answer.headers["Location"]).text
        assert "The purchase is merged into the profile of jane.doe@gmail.com." in page
        undo = re.search(r"/admin/purchases/undo/\d+", page)
        assert undo
        answer = post(support, undo[0], reason="Wrong person")
        assert "waits again" in support.get(answer.headers["Location"]).text
    profile = profile_of(db, "user_jane")
    assert profile is not None
    assert profile.usage_credits == 20
    history = support.get(f"/admin/purchases/{pending.id}").text
    assert history.count("She wrote from this address") == 2


def test_a_missing_reason_keeps_the_choices_and_changes_nothing(db: Database, support: Any) -> None:
    pending = buy(db)
    add_profile(db, "user_a", email="a@example.com", usage_credits=20)
    address = f"/admin/purchases/{pending.id}/claim?user_id=user_a"
    answer = post(support, address, user_id="user_a", reason=" ", choice_usage_credits="profile")
    assert answer.status_code == 422
    assert '<a href="#reason">Write a reason.</a>' in answer.text
    assert "<title>Error: Claim the purchase" in answer.text
    assert re.search(r'name="choice_usage_credits" value="profile" checked', answer.text)
    row = pending_of(db, pending.id)
    assert row is not None
    assert not row.claimed


def test_a_plan_that_moved_is_refused_and_shown_anew_with_what_was_typed(db: Database, support: Any) -> None:
    pending = buy(db)
    add_profile(db, "user_a", email="a@example.com")
    address = f"/admin/purchases/{pending.id}/claim?user_id=user_a"
    page = support.get(address).text
    with db.unit_of_work(WHOP) as ctx:
        purchases.set_cancellation(ctx, facts(occurred_at=NOON + LATER, cancel_at_period_end=True))
    form = {name: hidden(page, name) for name in ("csrf_token", "fingerprint", "user_id")}
    answer = support.post(address.partition("?")[0], data=form | {"reason": "typed before"})
    assert answer.status_code == 409
    assert "Something changed since this plan was shown" in answer.text
    assert "typed before" in answer.text
    assert hidden(answer.text, "fingerprint") != form["fingerprint"]


def test_a_claimed_purchase_says_so_instead_of_offering_the_act(db: Database, support: Any) -> None:
    pending = buy(db)
    add_profile(db, "user_b", email="b@example.com")
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
    page = support.get(f"/admin/purchases/{pending.id}/claim?user_id=user_b").text
    assert "already claimed" in page
    assert 'name="fingerprint"' not in page
    assert "Undo the claim" in support.get(f"/admin/purchases/{pending.id}").text


def test_an_undo_that_is_too_late_names_what_depends_on_it(db: Database, support: Any) -> None:
    buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        merge_id = claims.claim(ctx, email="buyer@example.com").merge_id
    add_profile(db, "user_b", email="b@example.com")
    with db.unit_of_work(SUPPORT) as ctx:
        (row,) = ctx.session.query(ProviderMembership)
        ids = {"membership_id": row.id, "user_id": "user_b"}
        moving.move(ctx, **ids, reason="hers", shown=moving.plan_move(ctx, **ids).fingerprint)
    page = support.get(f"/admin/purchases/undo/{merge_id}").text
    assert "This cannot be undone any more" in page
    assert "The membership mem_1 went to somebody else since" in page


def test_a_claim_of_an_earlier_system_says_that_there_is_nothing_to_undo(db: Database, support: Any) -> None:
    buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
    with db.read_only() as session:
        page = f"/admin/purchases/{session.scalars(select(PendingProfile.id)).one()}"
    assert "in an earlier system" not in support.get(page).text
    with db.unit_of_work(SUPPORT) as ctx:
        # As an import leaves it.
        ctx.session.delete(ctx.session.scalars(select(Merge)).one())
    said = support.get(page).text
    assert "It was claimed in an earlier system" in said
    assert "Undo the claim" not in said
    account = support.get("/admin/profiles/user_a").text
    membership = re.search(r"/admin/memberships/\d+", account)
    assert membership
    assert "Move to another account" in support.get(membership[0]).text


def test_a_membership_is_moved_after_its_plan_was_shown_and_moved_back(db: Database, support: Any) -> None:
    buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
        number = ctx.session.query(ProviderMembership).one().id
    add_profile(db, "user_b", email="b@example.com")
    assert f"/admin/memberships/{number}" in support.get("/admin/profiles/user_a").text
    assert "Move to another account" in support.get(f"/admin/memberships/{number}").text
    address = f"/admin/memberships/{number}/move"
    assert 'name="fingerprint"' not in support.get(address).text
    for wrong in ("user_nobody", "nobody@example.com", "temp_1"):
        refused = support.get(f"{address}?user_id={wrong}")
        assert refused.status_code == 422, wrong
        assert 'href="#user_id"' in refused.text
    shown = support.get(f"{address}?user_id=user_b").text
    assert "buyer@example.com loses pro access." in shown
    assert re.findall(r'scope="rowgroup"[^>]*>([^<]*)', shown) == [
        "buyer@example.com",
        "b@example.com",
        "The membership mem_1",
    ]
    assert hidden(support.get(f"{address}?user_id=B@example.com").text, "fingerprint") == hidden(shown, "fingerprint")
    assert post(support, f"{address}?user_id=user_b", user_id="b@example.com", reason="hers").status_code == 303
    record = support.get(f"/admin/memberships/{number}").text
    assert "The membership is held by b@example.com now." in record
    assert "Move it back" in record
    assert (profile_of(db, "user_a").membership, profile_of(db, "user_b").membership) == ("free", "pro")
    assert post(support, f"{address}-back", reason="wrong").status_code == 303
    assert (profile_of(db, "user_a").membership, profile_of(db, "user_b").membership) == ("pro", "free")
    record = support.get(f"/admin/memberships/{number}").text
    assert "The membership is held by buyer@example.com again." in record
    assert "Move it back" not in record
    assert support.get(f"{address}-back").status_code == 409


def test_an_address_that_two_accounts_have_names_none(db: Database, support: Any) -> None:
    buy(db)
    with db.read_only() as session:
        number = session.query(ProviderMembership).one().id
    add_profile(db, "user_b", email="b@example.com")
    add_profile(db, "user_c", email="b@example.com")
    refused = support.get(f"/admin/memberships/{number}/move?user_id=b@example.com")
    assert refused.status_code == 422
    assert "More than one account has this e-mail address" in refused.text


def test_one_that_nobody_sold_is_called_by_its_number(db: Database, support: Any) -> None:
    add_profile(db, "user_a", email="a@example.com", membership="pro")
    add_profile(db, "user_b", email="b@example.com")
    with db.unit_of_work(SUPPORT) as ctx:
        shown = complimentary.plan_give(ctx, user_id="user_b", until=None).fingerprint
        number = complimentary.give(ctx, user_id="user_b", until=None, reason="for her", shown=shown).id
    page = support.get(f"/admin/memberships/{number}/move?user_id=user_a").text
    assert f"Move the membership {number} to a@example.com" in page
    assert f"Membership {number}" in page
    assert "embership membership" not in page


def test_the_address_is_corrected_after_its_plan_was_shown(db: Database, support: Any) -> None:
    pending = buy(db, "jane@gmial.com")
    buy(db, "taken@example.com", membership_id="mem_2", whop_user_id=None)
    address = f"/admin/purchases/{pending.id}/email"
    assert 'name="fingerprint"' not in support.get(address).text
    assert "already waits under this address" in support.get(f"{address}?email=taken@example.com").text
    refused = support.get(f"{address}?email=nonsense")
    assert refused.status_code == 422
    assert re.search(r'id="email"[^>]* value="nonsense"', refused.text)
    assert 'href="#email"' in refused.text
    answer = post(support, f"{address}?email=jane@gmail.com", email="jane@gmail.com", reason="typing mistake")
    assert answer.status_code == 303
    row = pending_of(db, pending.id)
    assert row is not None
    assert row.email == "jane@gmail.com"


def test_a_deleted_purchase_stays_readable_in_the_audit(db: Database, support: Any) -> None:
    pending = buy(db)
    answer = post(support, f"/admin/purchases/{pending.id}/delete", reason="Refunded at Whop")
    assert answer.status_code == 303
    assert pending_of(db, pending.id) is None
    assert support.get(f"/admin/purchases/{pending.id}").status_code == 404
    assert (
        "Refunded at Whop" in support.get("/admin/audit-entries/").text
        or "deleted the purchase" in support.get("/admin/audit-entries/").text
    )


def test_a_claim_mail_is_asked_for_with_a_reason(db: Database, support: Any) -> None:
    pending = buy(db)
    answer = post(support, f"/admin/purchases/{pending.id}/mail", reason="She lost it")
    assert answer.status_code == 303
    assert "She lost it" in support.get(f"/admin/purchases/{pending.id}").text


def test_an_extra_purchase_is_settled_from_the_worklist(db: Database, support: Any) -> None:
    buy(db)
    add_profile(db, "user_a", email="a@example.com", membership="pro")
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.sign_in(ctx)
    with db.read_only() as session:
        extra_id = session.scalar(select(ExtraPurchase.id))
    assert "user_a" in support.get("/admin/extra-purchases/?open=yes").text
    address = f"/admin/purchases/extra/{extra_id}/settle"
    assert post(support, address, resolution="", reason="x").status_code == 422
    assert post(support, address, resolution="refunded at Whop", reason="double purchase").status_code == 303
    assert "refunded at Whop" in support.get(f"/admin/extra-purchases/{extra_id}").text
    assert post(support, address, resolution="again", reason="again").status_code == 409


def parked_event(db: Database) -> int:
    body = b'{"action":"membership.went_valid","api_version":"v5","data":{"id":"mem_p","status":"active"}}'
    with db.unit_of_work(WHOP) as ctx:
        event_id = inbox.receive(
            ctx,
            provider="whop",
            external_id="v5:1",
            type="membership.went_valid",
            body=body,
            occurred_at=NOON,
            subject="mem_p",
        )
        assert event_id is not None
        assert inbox.apply(ctx, event_id=event_id, lookup_failed=True) is EventState.PARKED
        return event_id


def test_a_parked_event_gets_an_address_and_goes_on(db: Database, support: Any) -> None:
    event_id = parked_event(db)
    page = support.get(f"/admin/webhook-events/{event_id}").text
    assert "Attach the buyer’s address" in page.replace("&#39;", "’") or "Attach the buyer" in page
    address = f"/admin/webhook-events/{event_id}/attach-email"
    assert post(support, address, email="no address", reason="x").status_code == 422
    assert post(support, address, email="New@Example.com", reason="asked Whop").status_code == 303
    with db.unit_of_work(CLERK) as ctx:
        assert inbox.apply(ctx, event_id=event_id) is EventState.PROCESSED
        assert ctx.session.scalar(select(PendingProfile.email)) == "new@example.com"
        assert ctx.session.get_one(WebhookEvent, event_id).attached_email == "new@example.com"


def test_numbers_open_to_exactly_their_rows(db: Database, support: Any) -> None:
    for i in range(3):
        buy(
            db,
            f"b{i}@example.com",
            membership_id=f"mem_{i}",
            whop_user_id=None,
            occurred_at=db.clock() - LATER * 40 * i,
        )
    with db.unit_of_work(customer("user_a", "b0@example.com")) as ctx:
        claims.sign_in(ctx)
    page = support.get("/admin/purchase-numbers/").text
    bars = re.findall(r'<a href="(/admin/[^"]+)" aria-label="[^:]+: ([\d,.]+) (purchases|claims)"', page)
    assert len(bars) > 20
    for href, count, _ in bars:
        listed = support.get(href.replace("&amp;", "&")).text
        rows = len(re.findall(r"<tr><td", listed))
        assert rows == int(count.replace(",", "")), href


def test_the_first_page_shows_what_waits(db: Database, support: Any) -> None:
    buy(db)
    parked_event(db)
    page = support.get("/admin/").text
    assert "purchase waits for its owner" in page
    assert 'href="/admin/webhook-events/?state=parked"' in page


def test_acts_need_the_form_token(db: Database, support: Any) -> None:
    pending = buy(db)
    answer = support.post(f"/admin/purchases/{pending.id}/delete", data={"reason": "x", "fingerprint": "y"})
    assert answer.status_code == 400
    assert pending_of(db, pending.id) is not None
    with db.read_only() as session:
        assert session.scalar(select(Merge.id)) is None


def test_odd_ids_are_not_found(support: Any) -> None:
    for odd in ("0", "-1", "9" * 19, "9" * 30, "1,2", "x", "%00"):
        assert support.get(f"/admin/purchases/{odd}").status_code in (404, 422), odd
        assert support.get(f"/admin/purchases/{odd}/claim?user_id=a").status_code in (404, 422), odd
    assert form_token(support, "/admin/my-account/password")


def test_a_profile_shows_its_addresses_and_that_its_account_was_deleted(db: Database, support: Any) -> None:
    for email in ("old@example.com", "new@example.com"):
        with db.unit_of_work(customer("user_a", email)) as ctx:
            claims.sign_in(ctx)
    page = support.get("/admin/profiles/user_a").text
    assert "old@example.com" in page
    assert "This account was deleted" not in page
    with db.unit_of_work(CLERK) as ctx:
        account_deletion.let_go(ctx, user_id="user_a")
    assert "This account was deleted" in support.get("/admin/profiles/user_a").text
    assert support.get("/admin/person-addresses/?given_up=yes").text.count("<tr><td") == 2
