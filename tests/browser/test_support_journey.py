"""Support resolves a purchase bought under a misspelt address: found, merged, undone, merged again."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from admin_app.services.purchases import owners
from tests.browser.conftest import PASSWORD, SCREENSHOTS, Site, sign_in, watch
from tests.browser.keyboard import follow, tab_to
from tests.services.factories import OPERATOR, add_profile, add_user, buy, pending_of, profile_of


@pytest.fixture
def purchase(site: Site) -> int:
    """The oldest purchase is misspelt; its owner has an account, and there are others who resemble her."""
    db = site.db
    bought = db.clock() - timedelta(days=9)
    add_user(db, "user_jane", email="jane.doe@gmail.com", name="Jane Doe", created_at=bought + timedelta(minutes=6))
    add_profile(db, "user_jane", email="jane.doe@gmail.com", name="Jane Doe", usage_credits=20)
    add_user(db, "user_janet", email="janet.doe@outlook.com", name="Janet Doe")
    pending = buy(db, "jane.doe@gmial.com", occurred_at=bought, membership_id="mem_9f3", name="Jane Doe")
    for number in range(3):
        buy(db, f"buyer{number}@example.com", membership_id=f"mem_{number}", whop_user_id=None)
    with db.unit_of_work(OPERATOR) as ctx:
        for number in owners.stale(ctx.session, ctx.now, limit=10):
            owners.refresh_one(ctx, pending_profile_id=number)
        owners.refresh(ctx, ctx.session.merge(pending))
    return pending.id


def credits_of(site: Site) -> tuple[str, int]:
    profile = profile_of(site.db, "user_jane")
    assert profile is not None
    return profile.membership.value, profile.usage_credits


def test_by_mouse(page: Page, site: Site, purchase: int) -> None:
    sign_in(page)
    page.get_by_role("link", name="jane.doe@gmial.com").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("jane.doe@gmial.com")
    expect(page.get_by_text("Domain spelt almost the same: gmial.com / gmail.com")).to_be_visible()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "purchase.png", full_page=True)

    for reason in ("She wrote to us from gmail.com", "It was her after all"):
        page.get_by_role("link", name="Merge into this profile").click()
        expect(page.get_by_role("row", name="Membership free pro the purchase")).to_be_visible()
        page.get_by_label("Reason").fill(reason)
        page.get_by_role("button", name="Claim the purchase").click()
        expect(page.get_by_text("The purchase is merged into the profile of jane.doe@gmail.com.")).to_be_visible()
        assert credits_of(site) == ("pro", 1000)
        if reason == "It was her after all":
            break
        page.get_by_role("link", name="Undo the claim").click()
        page.get_by_label("Reason").fill("The wrong Jane?")
        page.get_by_role("button", name="Undo the claim").click()
        expect(page.get_by_text("The purchase of jane.doe@gmial.com waits again.")).to_be_visible()
        assert credits_of(site) == ("free", 20)
    row = pending_of(site.db, purchase)
    assert row is not None
    assert row.claimed_by_user_id == "user_jane"


def test_by_keyboard_alone(page: Page, site: Site, purchase: int) -> None:
    page.goto("/login")
    tab_to(page, "E-mail")
    page.keyboard.type("support@demo.test")
    tab_to(page, "Password")
    page.keyboard.type(PASSWORD)
    with page.expect_navigation(url="**/admin/"):
        page.keyboard.press("Enter")
    follow(page, "jane.doe@gmial.com")
    for reason in ("She wrote to us", "Again"):
        follow(page, "Merge into this profile")
        tab_to(page, "Reason")
        page.keyboard.type(reason)
        follow(page, "Claim the purchase")
        expect(page.get_by_text("The purchase is merged into the profile")).to_be_visible()
        if reason == "Again":
            break
        follow(page, "Undo the claim")
        tab_to(page, "Reason")
        page.keyboard.type("Wrong Jane")
        follow(page, "Undo the claim")
        expect(page.get_by_text("waits again")).to_be_visible()
    assert credits_of(site) == ("pro", 1000)


def test_the_shortcuts_and_the_skip_link(page: Page, site: Site, purchase: int) -> None:
    sign_in(page)
    page.goto("/admin/purchases/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to content"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("gmial")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="jane.doe@gmial.com")).to_be_visible()
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_page_without_sideways_scrolling(
    browser: Browser, site: Site, purchase: int, scheme: str
) -> None:
    context = browser.new_context(base_url=site.address, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    watch(page, site)
    sign_in(page)
    paths = ("", "purchases/", f"purchases/{purchase}", f"purchases/{purchase}/claim?user_id=user_jane")
    for path in (*paths, "purchase-numbers/", "bookings/", "audit-entries/", "profiles/user_jane"):
        page.goto(f"/admin/{path}")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
    context.close()
    assert site.complaints == []


def test_without_scripts_a_purchase_can_be_resolved(browser: Browser, site: Site, purchase: int) -> None:
    context = browser.new_context(base_url=site.address, java_script_enabled=False)
    page = context.new_page()
    sign_in(page)
    page.goto(f"/admin/purchases/{purchase}/claim?user_id=user_jane")
    page.get_by_label("Reason").fill("Without scripts")
    page.get_by_role("button", name="Claim the purchase").click()
    expect(page.get_by_text("The purchase is merged")).to_be_visible()
    context.close()
    assert credits_of(site) == ("pro", 1000)


def test_the_list_of_memberships_fits_a_desk_and_its_ids_stay_whole(page: Page, site: Site) -> None:
    """Ids and addresses as long as they come: one line each, the whole of it in the title, and copied."""
    told = {"membership_id": "mem_Vq7XkW3zRb81Ls", "period_end": datetime.now(UTC) + timedelta(days=20)}
    waits = buy(site.db, "a.rather.long.name.of.a.person@mail.some-company.example", **told, cancel_at_period_end=True)
    account, subscription = "user_2nJkQ8vZ0rYtLmXw5sBcD7eFgHi", "sub_1PqRsTuVwXyZaBcDeFgHiJkL"
    held = {"membership": "pro", "payment_provider": "stripe", "stripe_subscription_id": subscription}
    add_profile(site.db, account, email="ann@example.com", cancel_at_period_end=True, **held)
    sign_in(page)
    page.goto("/admin/memberships/")
    expect(page.get_by_role("link", name=waits.email)).to_be_visible()
    table = page.locator(".table-scroll")
    assert table.evaluate("scrolled => scrolled.scrollWidth - scrolled.clientWidth") <= 0
    for text in (account, subscription):
        cell = page.locator("td.code", has_text=text)
        assert cell.locator("[title]").get_attribute("title") == text
        assert cell.evaluate("cell => cell.getClientRects().length * cell.offsetHeight") < 60
        cell.evaluate("cell => getSelection().selectAllChildren(cell)")
        assert page.evaluate("getSelection().toString()") == text
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cell = page.locator("td.code", has_text=account)
    assert cell.evaluate("cell => cell.scrollWidth - cell.clientWidth") <= 0
