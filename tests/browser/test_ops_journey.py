"""Ops pauses forty clients until Monday, watches it happen, sees why one of them is blocked, and puts it all back."""

from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from models import BillingStatus
from tests.browser.conftest import SCREENSHOTS, Site, sign_in, watch
from tests.browser.keyboard import follow, tab_to
from tests.services.clients import bulk
from tests.services.clients.flags import state_of


@pytest.fixture
def clients(site: Site) -> list[int]:
    """Forty that pay, and some whom the filter must not find."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    bulk.add_clients(site.db, 3, billing_status=BillingStatus.TRIAL)
    return bulk.add_clients(site.db, 40, billing_status=BillingStatus.ACTIVE, onboarding_complete=True)


def monday(site: Site) -> datetime:
    today = site.db.clock().replace(hour=8, minute=0, second=0, microsecond=0)
    return today + timedelta(days=7 - today.weekday())


def paused(site: Site, clients: list[int]) -> int:
    return sum(state_of(site.db, client).is_on for client in clients)


def test_forty_are_paused_until_monday_and_put_back(page: Page, site: Site, clients: list[int]) -> None:
    until = monday(site)
    sign_in(page, "ops")
    page.goto("/admin/clients/?billing=active")
    page.get_by_label("For", exact=True).select_option("matching")
    page.screenshot(path=SCREENSHOTS / "bulk-list.png", full_page=True)
    page.get_by_role("button", name="Pause outbound").click()
    page.get_by_label("At once").check()
    page.get_by_label("At a moment").check()
    page.get_by_label("Day and time of the end").fill(f"{until:%Y-%m-%dT%H:%M}")
    page.get_by_label("Reason").fill("The phone company moves its lines")
    page.screenshot(path=SCREENSHOTS / "bulk-choose.png", full_page=True)
    page.get_by_role("button", name="Show what would happen").click()
    expect(page.get_by_text("40 clients will change.")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "bulk-plan.png", full_page=True)
    page.get_by_role("button", name="Switch 40 clients").click()

    # it is watched without a hand on the page
    run_id = int(page.url.rsplit("/", 1)[1])
    expect(page.get_by_text("0 of 40 clients are through")).to_be_visible()
    bulk.work(site.db, run_id, transactions=1)
    expect(page.get_by_text("20 of 40 clients are through")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "bulk-at-work.png", full_page=True)
    bulk.work(site.db, run_id)
    expect(page.get_by_role("link", name="40 changed")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "bulk-done.png", full_page=True)
    assert paused(site, clients) == 40

    # why is this one blocked?
    page.get_by_role("link", name="40 changed").click()
    page.get_by_role("link", name="Client 0007", exact=True).click()
    expect(page.get_by_role("region", name="What is allowed now").get_by_text("outbound_paused")).to_be_visible()
    switches = page.get_by_role("region", name="Flags")
    expect(switches.get_by_text("The phone company moves its lines")).to_be_visible()
    expect(switches.get_by_text(f"{until:%d %b %Y} 08:00").first).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "bulk-client.png", full_page=True)

    # and back, by the keyboard alone
    page.goto(f"/admin/bulk-runs/{run_id}")
    follow(page, "Undo")
    tab_to(page, "Reason")
    page.keyboard.type("It was the other phone company")
    follow(page, "Show what would be put back")
    expect(page.get_by_text("40 clients will change.")).to_be_visible()
    follow(page, "Switch 40 clients")
    bulk.work(site.db, run_id + 1)
    expect(page.get_by_role("link", name="40 changed")).to_be_visible()
    assert paused(site, clients) == 0
    page.goto(f"/admin/bulk-runs/{run_id}")
    expect(page.get_by_role("heading", name="Undone by")).to_be_visible()


def test_three_are_chosen_on_a_phone_without_scripts(browser: Browser, site: Site, clients: list[int]) -> None:
    phone = browser.new_context(
        base_url=site.address, viewport={"width": 390, "height": 844}, java_script_enabled=False
    )
    page = phone.new_page()
    watch(page, site)
    sign_in(page, "ops")
    page.goto("/admin/clients/")
    for number in (1, 2, 3):
        page.get_by_label(f"Choose Client {number:04}").last.check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=SCREENSHOTS / "bulk-list-phone.png")
    page.get_by_role("button", name="Disable AI").scroll_into_view_if_needed()
    page.screenshot(path=SCREENSHOTS / "bulk-bar-phone.png")
    page.get_by_role("button", name="Disable AI").click()
    page.get_by_label("At once").check()
    page.get_by_label("When somebody switches it back").check()
    page.get_by_label("Reason").fill("It answers in the wrong language")
    page.screenshot(path=SCREENSHOTS / "bulk-choose-phone.png", full_page=True)
    page.get_by_role("button", name="Show what would happen").click()
    page.screenshot(path=SCREENSHOTS / "bulk-plan-phone.png", full_page=True)
    page.get_by_role("button", name="Switch 3 clients").click()
    bulk.work(site.db, int(page.url.rsplit("/", 1)[1]))
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("link", name="3 changed")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=SCREENSHOTS / "bulk-done-phone.png", full_page=True)
    phone.close()
    assert site.complaints == []
