"""Support asks for a large refund, and finance lets it go on a phone with scripts switched off."""

import pytest
from playwright.sync_api import Browser, Page, expect

from models import Payment
from tests.browser.conftest import SCREENSHOTS, Site, sign_in, watch
from tests.services.money import add_paid, payment_now


@pytest.fixture
def payment(site: Site) -> Payment:
    return add_paid(site.db, amount=60_000)


def test_a_large_refund_takes_two_people(browser: Browser, page: Page, site: Site, payment: Payment) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    sign_in(page)
    page.goto(f"/admin/payments/{payment.id}")
    page.get_by_role("link", name="Refund", exact=True).click()
    page.get_by_label("Amount in EUR").fill("300")
    page.get_by_role("button", name="Show what happens").click()
    expect(page.get_by_text("Above 200.00 EUR a second person decides.")).to_be_visible()
    page.get_by_label("Reason").select_option("canceled_by_us")
    page.get_by_label("Note").fill("The practice was closed")
    page.screenshot(path=SCREENSHOTS / "refund-request.png", full_page=True)
    page.get_by_role("button", name="Ask for this refund").click()
    expect(page.get_by_text("waits for a second person")).to_be_visible()
    assert payment_now(site.db, payment.id).reserved_amount == 30_000

    # finance, on a phone without scripts
    phone = browser.new_context(
        base_url=site.address, viewport={"width": 390, "height": 844}, java_script_enabled=False
    )
    other = phone.new_page()
    watch(other, site)
    sign_in(other, "finance")
    other.screenshot(path=SCREENSHOTS / "refund-home.png", full_page=True)
    other.get_by_role("link", name="refund waits for a second person").click()
    other.get_by_role("link", name="300.00 EUR").click()
    expect(other.get_by_text("A second person decides about it.")).to_be_visible()
    other.screenshot(path=SCREENSHOTS / "refund-waiting.png", full_page=True)
    assert other.evaluate("document.documentElement.scrollWidth") <= 390
    other.get_by_role("link", name="Approve").click()
    expect(other.get_by_text("The practice was closed")).to_be_visible()
    other.get_by_label("Reason").fill("Agreed with the practice")
    other.screenshot(path=SCREENSHOTS / "refund-approve.png", full_page=True)
    other.get_by_role("button", name="Approve the refund").click()
    expect(other.get_by_text("is approved and on its way")).to_be_visible()
    other.screenshot(path=SCREENSHOTS / "refund-approved.png", full_page=True)
    phone.close()
    page.goto("/admin/refunds/")
    page.screenshot(path=SCREENSHOTS / "refund-list.png", full_page=True)
    page.get_by_role("cell").get_by_role("link").first.click()
    page.screenshot(path=SCREENSHOTS / "refund-page.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.reload()
    page.screenshot(path=SCREENSHOTS / "refund-dark.png", full_page=True)
