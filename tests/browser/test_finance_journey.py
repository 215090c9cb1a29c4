"""Finance finds a client who is past due, sees why, overrides that for a week, and closes the month."""

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from admin_app.services import billing
from admin_app.services.core.utc_months import begins, following, month_of, month_text, month_words
from models import BillingStatus, Payment
from tests.browser.conftest import SCREENSHOTS, Site, sign_in, watch
from tests.browser.keyboard import follow, tab_to
from tests.services.client_rows import add_client, client_now, subscription
from tests.services.factories import OPERATOR
from tests.services.finance.test_months import add_paid
from tests.services.money import STRIPE

DAY = timedelta(days=1)
NAME = "Studio Late"
OWES_SINCE = 9 * DAY


@pytest.fixture
def client_id(site: Site) -> int:
    """A client who owes since nine days, beside one who pays; and money of last month."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    now = site.db.clock()
    last_month = begins(following(month_of(now), -1))
    late = add_client(site.db, name=NAME, stripe_customer_id="cus_1")
    add_client(site.db, name="Pays in time", stripe_customer_id="cus_2")
    owes = {"amount_due": 9900, "past_due_since": now - OWES_SINCE, "next_payment_attempt": now + DAY}
    with site.db.unit_of_work(STRIPE) as ctx:
        billing.apply_subscription(ctx, subscription("past_due", trial_end=None, **owes), cause="stripe")
        billing.apply_subscription(ctx, subscription("active", id="sub_2", customer_id="cus_2"), cause="stripe")
    with site.db.unit_of_work(OPERATOR) as ctx:
        for amount in (9_500, 12_000):
            add_paid(ctx, amount, last_month + 3 * DAY)
    return late


def test_a_past_due_client_is_understood_and_overridden_and_the_month_is_closed(
    browser: Browser, page: Page, site: Site, client_id: int
) -> None:
    until = site.db.clock().replace(hour=9, minute=0) + 7 * DAY
    sign_in(page, "finance")

    # by mouse: from the first page to the client, and why
    page.get_by_role("link", name="1 subscription is past due").click()
    expect(page.get_by_role("cell", name="99.00 EUR")).to_be_visible()
    page.get_by_role("link", name=NAME).click()
    expect(page.get_by_text("past due").first).to_be_visible()
    expect(page.get_by_text("for 9 days").first).to_be_visible()

    # by keyboard: the override
    follow(page, "Override the status")
    page.get_by_label("Counts as").select_option("active")
    page.get_by_label("Until", exact=True).fill(f"{until:%Y-%m-%dT%H:%M}")
    follow(page, "Show what happens")
    expect(page.get_by_text("whatever Stripe says")).to_be_visible()
    tab_to(page, "Reason")
    page.keyboard.type("Pays by transfer this month")
    page.screenshot(path=SCREENSHOTS / "finance-override.png", full_page=True)
    follow(page, "Put it in force")
    expect(page.get_by_text("The client counts as active now.")).to_be_visible()
    assert client_now(site.db, client_id).billing_status is BillingStatus.ACTIVE

    # the morning's page knows it, and leads to the months
    page.goto("/admin/")
    follow(page, "Finance")
    expect(page.get_by_text("here active")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "finance.png", full_page=True)
    close_last_month(page, site)
    look_by_phone(browser, site)


def close_last_month(page: Page, site: Site) -> None:
    now = site.db.clock()
    month = following(month_of(now), -1)
    # Two payments; and, in the first days of a month, the debt that began in the last one.
    lines = 2 + (now - OWES_SINCE < begins(month_of(now)))
    follow(page, "Months")
    follow(page, month_words(month))
    follow(page, "Close the month")
    expect(page.get_by_text(f"{lines} lines are kept as they are now")).to_be_visible()
    tab_to(page, "Note")
    page.keyboard.type("Agreed with the bank")
    page.screenshot(path=SCREENSHOTS / "finance-close.png", full_page=True)
    follow(page, f"Close {month_words(month)}")
    expect(page.get_by_text(f"{month_words(month)} is closed with {lines} lines.")).to_be_visible()

    # what is taken away is the same before and after a change; the page lists the change
    first = exported(page)
    with site.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.query(Payment).filter_by(captured_amount=9_500).one().captured_amount = 9_600
    page.reload()
    expect(page.get_by_role("row", name="changed 95.00 EUR 96.00 EUR 1.00 EUR")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "finance-month.png", full_page=True)
    assert exported(page) == first
    assert first.startswith(b"\xef\xbb\xbfLine,Kind")


def exported(page: Page) -> bytes:
    with page.expect_download() as begun:
        page.get_by_role("button", name="Export as CSV").click()
    assert begun.value.suggested_filename.startswith("backdesk-month-")
    return begun.value.path().read_bytes()


def look_by_phone(browser: Browser, site: Site) -> None:
    """The same pages on a phone without scripts: nothing runs out of the frame."""
    phone = browser.new_context(
        base_url=site.address, viewport={"width": 390, "height": 844}, java_script_enabled=False
    )
    page = phone.new_page()
    watch(page, site)
    sign_in(page, "finance")
    last = month_text(following(month_of(site.db.clock()), -1))
    for address, name in (("/admin/finance/", "finance-phone"), (f"/admin/months/{last}", "finance-month-phone")):
        page.goto(address)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.close()
