"""What staff give and take by hand, on its pages: the plan first, with a reason, by whoever may, and undone."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from admin_app.db import Database
from admin_app.services.purchases import account_deletion
from models import Adjustment, Membership, MembershipStatus, Profile, ProviderMembership, Role
from tests.console.purchases.test_purchases import hidden, post
from tests.services.factories import OPERATOR, add_profile, buy, profile_of


@pytest.fixture
def account(db: Database) -> str:
    add_profile(db, "user_a", email="ann@example.com")
    return "/admin/profiles/user_a"


def seen(db: Database) -> tuple[Membership, int, int]:
    profile = profile_of(db, "user_a")
    assert profile is not None
    return profile.membership, profile.usage_credits, profile.used_credits


def newest(db: Database) -> int:
    with db.read_only() as session:
        return max(number for (number,) in session.query(Adjustment.id))


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.FINANCE, Role.ADMIN])
def test_given_changed_ended_and_undone(db: Database, client_for: Any, account: str, role: Role) -> None:
    client = client_for(role)
    assert f"{account}/give" in client.get(account).text
    form = client.get(f"{account}/give").text
    assert 'name="fingerprint"' not in form
    wish = {"runs": "until", "until": "2036-01-01T09:00", "zone": "UTC"}
    shown = client.get(f"{account}/give", query_string=wish).text
    assert "It gives 1,000 credits now and each 28 days" in shown
    assert "The account is pro until 01 Jan 2036 09:00 UTC, and free afterwards." in shown
    address = f"{account}/give?runs=until&until=2036-01-01T09%3A00&zone=UTC"
    assert post(client, address, **wish, reason="a prize").status_code == 303
    assert seen(db) == (Membership.PRO, 1000, 0)
    with db.read_only() as session:
        number = session.query(ProviderMembership.id).scalar()
    page = f"/admin/memberships/{number}"
    shown = client.get(page).text
    assert f"{page}/change-end" in shown
    assert f"<h1>Complimentary membership {number}</h1>" in shown
    assert re.search(r"Until</dt>\s*<dd[^>]*><time[^>]*>01 Jan 2036", shown)
    assert re.search(rf"Given by</dt>\s*<dd[^>]*>{role.value}@", shown)
    assert "At the provider" not in shown
    listed = client.get("/admin/memberships/").text
    assert re.search(r"<td[^>]*>complimentary</td>", listed)
    assert "01 Jan 2036" in listed
    assert (
        post(client, f"{page}/change-end?runs=ever&zone=UTC", runs="ever", zone="UTC", reason="longer").status_code
        == 303
    )
    assert post(client, f"{page}/end", reason="abuse").status_code == 303
    assert seen(db)[0] is Membership.FREE
    over = client.get(page).text
    assert f"{page}/end" not in over
    assert re.search(r"Next credits</dt>\s*<dd[^>]*>–", re.sub(r"<span[^>]*>|</span>", "", over))
    for done, reason in (
        ("gave user_a a complimentary membership", "a prize"),
        ("changed the end of the complimentary membership of user_a", "longer"),
        ("ended the complimentary membership of user_a", "abuse"),
    ):
        assert done in over
        assert reason in over
    assert post(client, f"/admin/adjustments/{newest(db)}/undo", reason="no abuse").status_code == 303
    assert seen(db)[0] is Membership.PRO
    assert f"/admin/adjustments/{newest(db)}/undo" not in client.get(f"/admin/adjustments/{newest(db)}").text


def test_credits_are_added_taken_and_the_second_tab_is_refused(db: Database, client_for: Any, account: str) -> None:
    support = client_for(Role.SUPPORT)
    add = f"{account}/credits?way=add&amount=500"
    assert "0 are left now." in support.get(add).text
    assert post(support, add, way="add", amount="500", reason="goodwill").status_code == 303
    assert seen(db) == (Membership.FREE, 500, 0)
    too_many = support.get(f"{account}/credits?way=take&amount=501")
    assert too_many.status_code == 422
    assert "Take at most 500: no more are left." in too_many.text
    first = support.get(f"{account}/credits?way=take&amount=200").text
    sent = {"csrf_token": hidden(first, "csrf_token"), "fingerprint": hidden(first, "fingerprint")}
    wish = {"way": "take", "amount": "200", "reason": "too many"}
    assert support.post(f"{account}/credits", data=sent | wish).status_code == 303
    assert support.post(f"{account}/credits", data=sent | wish).status_code == 409
    assert seen(db) == (Membership.FREE, 300, 0)
    listed = support.get("/admin/adjustments/?account=user_a").text
    assert "credits taken" in listed
    assert "Credits changed" in listed
    assert f"<h1>Adjustment {newest(db)}</h1>" in support.get(f"/admin/adjustments/{newest(db)}").text
    assert "Reason" in support.get(f"/admin/adjustments/{newest(db)}").text


@pytest.mark.parametrize("role", [Role.OPS, Role.AUDITOR])
def test_who_may_not_sees_no_command(client_for: Any, account: str, role: Role) -> None:
    client = client_for(role)
    assert f"{account}/give" not in client.get(account).text
    refused = client.get(f"{account}/give")
    assert refused.status_code == 403
    assert "Only support, finance and administrators give memberships and adjust credits." in refused.text


def test_what_was_not_said_is_asked_for_at_its_field(client_for: Any, account: str) -> None:
    support = client_for(Role.SUPPORT)
    for query, said in {
        "runs=": "Choose how long it runs.",
        "runs=until&until=": "Write day and time like 2026-11-30T09:00.",
        "runs=until&until=2001-01-01T00:00": "The end must be in the future.",
        "runs=ever&until=2036-01-01T00:00": "Leave this empty where it runs for ever.",
    }.items():
        shown = support.get(f"{account}/give?{query}")
        assert (shown.status_code, said in shown.text) == (422, True), query
    assert "Choose what is to happen." in support.get(f"{account}/credits?way=").text


def test_a_legacy_row_and_a_sold_membership_have_no_such_command(db: Database, client_for: Any) -> None:
    support = client_for(Role.SUPPORT)
    add_profile(db, "temp_1", email="old@example.com", membership="pro", whop_membership_id="mem_old")
    add_profile(db, "user_b", email="b@example.com", membership="pro", whop_membership_id="mem_b")
    assert "/give" not in support.get("/admin/profiles/temp_1").text
    assert support.get("/admin/profiles/temp_1/give").status_code == 422
    with db.read_only() as session:
        number = session.query(ProviderMembership.id).filter_by(external_id="mem_b").scalar()
    assert "change-end" not in support.get(f"/admin/memberships/{number}").text
    assert support.get(f"/admin/memberships/{number}/end").status_code == 404


def test_a_deleted_account_offers_nothing_that_would_be_refused_and_leads_to_what_waits(
    db: Database, client_for: Any
) -> None:
    support = client_for(Role.SUPPORT)
    paid = {"membership": "pro", "status": "active", "payment_provider": "whop", "whop_membership_id": "mem_gone"}
    add_profile(db, "user_gone", email="gone@example.com", **paid)
    before = support.get("/admin/profiles/user_gone").text
    commands = ("Give a membership", "Adjust credits", "Refund a membership payment", "Cancel now")
    assert [word in before for word in commands] == [True] * 4
    assert "Waits under its last address" not in before
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Profile, "user_gone").account_deleted_at = ctx.now
    waits = buy(db, "gone@example.com", membership_id="mem_other")
    after = support.get("/admin/profiles/user_gone").text
    assert [word in after for word in commands] == [False] * 4
    assert f'href="/admin/purchases/{waits.id}"' in after


def test_what_is_over_shows_no_dates_to_come(db: Database, client_for: Any) -> None:
    support = client_for(Role.SUPPORT)
    ahead = datetime(2036, 1, 1, 9, tzinfo=UTC)
    held = {"membership": "pro", "whop_membership_id": "mem_over", "payment_provider": "whop", "status": "inactive"}
    add_profile(db, "user_over", email="over@example.com", billing_cycle_end=ahead, next_credit_renewal=ahead, **held)
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.query(ProviderMembership).filter_by(external_id="mem_over").one()
        row.status, row.cancel_at_period_end = MembershipStatus.INACTIVE, True
        row.period_end = row.next_credits_at = ahead
        number = row.id
    for page in (f"memberships/{number}", "memberships/?account=user_over", "profiles/user_over"):
        assert "2036" not in support.get(f"/admin/{page}").text, page
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(ProviderMembership, number).status = MembershipStatus.ACTIVE
    assert "2036" in support.get("/admin/memberships/?account=user_over").text


def test_each_button_of_one_that_waits_leads_to_a_page_and_of_one_that_is_nobodys_there_is_none(
    db: Database, client_for: Any, account: str
) -> None:
    admin = client_for(Role.ADMIN)
    assert (
        post(admin, f"{account}/give?runs=ever&zone=UTC", runs="ever", zone="UTC", reason="a prize").status_code == 303
    )
    with db.unit_of_work(OPERATOR) as ctx:
        account_deletion.let_go(ctx, user_id="user_a")
    with db.read_only() as session:
        number, waits = session.query(ProviderMembership.id, ProviderMembership.pending_profile_id).one()
    page, purchase = f"/admin/memberships/{number}", f"/admin/purchases/{waits}"
    for shown in (page, purchase, f"/admin/adjustments/{newest(db)}"):
        buttons = re.findall(r'class="btn[^"]*" href="(/admin/[^"]+)"', admin.get(shown).text)
        assert buttons
        assert [(href, admin.get(href).status_code) for href in buttons] == [(href, 200) for href in buttons]
    assert {f"{page}/change-end", f"{page}/end"} <= set(re.findall(r'href="([^"]+)"', admin.get(page).text))
    assert "Whoever claims the purchase does not become pro by it." in admin.get(f"{page}/end").text
    wish = {"runs": "until", "until": "2036-01-01T09:00", "zone": "UTC"}
    changed = f"{page}/change-end?runs=until&until=2036-01-01T09%3A00&zone=UTC"
    assert post(admin, changed, **wish, reason="a year").status_code == 303
    assert "01 Jan 2036" in admin.get(page).text
    sold = re.search(r"Paid through</dt>\s*<dd[^>]*>([^<]*)", admin.get(purchase).text)
    assert sold is not None
    assert sold[1] == "nobody: staff gave it"
    assert f'href="/admin/memberships/?purchase={waits}"' in admin.get(purchase).text
    deleting = admin.get(f"{purchase}/delete").text
    assert f"The complimentary membership {number} waits with it" in deleting
    assert "charging" not in deleting
    assert post(admin, f"{purchase}/delete", reason="not wanted").status_code == 303
    nobodys = admin.get(page).text
    assert "/change-end" not in nobodys
    assert f"{page}/end" not in nobodys


def test_credits_of_a_deleted_account_have_no_undo(db: Database, client_for: Any, account: str) -> None:
    support = client_for(Role.SUPPORT)
    assert post(support, f"{account}/credits?way=add&amount=5", way="add", amount="5", reason="kind").status_code == 303
    page = f"/admin/adjustments/{newest(db)}"
    assert f"{page}/undo" in support.get(page).text
    with db.unit_of_work(OPERATOR) as ctx:
        account_deletion.let_go(ctx, user_id="user_a")
    assert f"{page}/undo" not in support.get(page).text
    assert "Account deleted" in support.get(page).text
