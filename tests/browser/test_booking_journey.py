"""A client books on the web site and pays; support calls it off and gives the money back: every program on its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import create_engine

from admin_app.context import Job
from admin_app.db import Database
from admin_app.services import staff
from admin_app.simulator.stripe import control_stripe
from models import Practitioner, Role, SessionType
from tests.browser.conftest import PASSWORD, SCREENSHOTS, Site, sign_in, watch
from tests.browser.keyboard import follow, tab_to
from tests.conftest import with_driver
from tests.programs import Programs

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
EVERY_DAY = {day: [["08:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
BOOKING = "SELECT * FROM bookings WHERE client_email = %s AND status = %s"
REFUND = """
    SELECT r.* FROM refunds r JOIN payments p ON p.id = r.payment_id JOIN bookings b ON b.id = p.booking_id
    WHERE b.client_email = %s AND r.state = %s
"""


@pytest.fixture(scope="module")
def staffed(programs: Programs) -> Iterator[Database]:
    """Somebody of each kind that is needed, and one practitioner who can be booked on every day."""
    database = Database(create_engine(with_driver(programs.database)))
    with database.unit_of_work(Job("tests")) as ctx:
        for role in (Role.SUPPORT, Role.OPS):
            staff.create_staff(ctx, email=f"{role}@demo.test", name=f"Kim {role}", role=role, password=PASSWORD)
        person = Practitioner(name="Dr. Ingrid Solheim", email="ingrid@practice.example", working_hours=EVERY_DAY)
        ctx.session.add(person)
        ctx.session.flush()
        ctx.session.add(
            SessionType(practitioner_id=person.id, title="First consultation", minutes=60, price_amount=9500)
        )
    yield database
    database.dispose()


@pytest.fixture
def site(programs: Programs, staffed: Database) -> Site:
    """In the place of the one that is served from the test's own process."""
    return Site(programs.url, staffed)


@contextmanager
def somebody(browser: Browser, site: Site, **options: Any) -> Iterator[Page]:
    """A window of a browser of one's own; at the end nothing may have been reported or printed to its console."""
    context = browser.new_context(**({"base_url": site.address, "viewport": DESK} | options))
    context.on("page", lambda page: watch(page, site))
    yield context.new_page()
    context.close()
    assert site.complaints == []


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"booking-{name}.png", full_page=True)


def book(programs: Programs, email: str, *, hour: int) -> int:
    """Booked and paid without a browser; answers the booking's number."""
    offered = httpx.get(f"{programs.url}/api/practitioners").json()["practitioners"][0]
    day = datetime.now(UTC) + timedelta(days=4)
    wanted = {
        "practitioner_id": offered["id"],
        "session_type_id": offered["session_types"][0]["id"],
        "starts_at": day.replace(hour=hour, minute=0, second=0, microsecond=0).isoformat(),
        "client_name": "Ann Client",
        "client_email": email,
    }
    answer = httpx.post(f"{programs.url}/api/bookings", json=wanted, timeout=30)
    assert answer.status_code == 201, answer.text
    number = int(answer.json()["booking"]["id"])
    row = programs.row("SELECT stripe_checkout_session_id AS id FROM payments WHERE booking_id = %s", number)
    assert row
    control_stripe.pay(programs.simulator, row["id"])
    programs.wait_for(BOOKING, email, "confirmed")
    return number


def test_from_the_web_site_through_the_pay_page_to_the_refund(browser: Browser, site: Site, programs: Programs) -> None:
    earlier = [refund["id"] for refund in control_stripe.refunds(programs.simulator)]
    email = "mary@example.com"
    with somebody(browser, site) as page:
        page.goto(f"{programs.simulator}/site/")
        page.get_by_role("link", name="First consultation").click()
        page.get_by_label("Day").fill(f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}")
        page.get_by_role("button", name="Show the free times").click()
        page.get_by_role("radio").first.check()
        page.get_by_label("Your name").fill("Mary Shelley")
        page.get_by_label("Your e-mail address").fill(email)
        page.get_by_role("button", name="Book").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Pay 95.00 USD")
        page.get_by_role("button", name="Pay", exact=True).click()
        page.wait_for_url(f"{site.address}/booking**")
        programs.wait_for(BOOKING, email, "confirmed")
        assert "First consultation" in programs.mail_to(email)["subject"]

        sign_in(page)
        page.get_by_role("link", name="Bookings", exact=True).click()
        page.get_by_role("link", name="Next 7 days").click()
        page.get_by_role("link", name="Mary Shelley").click()
        expect(page.get_by_text("Confirmed. It begins in")).to_be_visible()
        expect(page.get_by_text("95.00 USD were paid")).to_be_visible()
        picture(page, "paid")
        page.get_by_role("link", name="In the week calendar").click()
        page.get_by_role("link", name="Mary Shelley").click()

        page.get_by_role("link", name="Cancel", exact=True).click()
        page.get_by_label("Who called it off?").select_option("The client")
        page.get_by_label("All that is left: 95.00 USD").check()
        page.get_by_role("button", name="Show what happens").click()
        expect(page.get_by_text("95.00 USD go back to what was paid with")).to_be_visible()
        expect(page.get_by_text(f"A mail about it goes to {email}.")).to_be_visible()
        page.get_by_label("Reason").fill("She wrote that she is ill")
        picture(page, "cancel")
        page.get_by_role("button", name="Cancel the booking").click()
        expect(page.get_by_text("The booking is canceled. A refund of 95.00 USD was asked for.")).to_be_visible()
        programs.wait_for(REFUND, email, "succeeded")
        page.reload()
        expect(page.get_by_text("and all of it went back.")).to_be_visible()
        expect(page.get_by_text("The refund of 95.00 USD went through")).to_be_visible()
        picture(page, "refunded")
        page.locator(".story").get_by_role("link", name="Refund").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("95.00 USD")
    made = [refund for refund in control_stripe.refunds(programs.simulator) if refund["id"] not in earlier]
    assert [(refund["amount"], refund["status"]) for refund in made] == [(9500, "succeeded")]
    assert programs.mail_to(email)["subject"].startswith("Canceled:")


def test_by_keyboard_alone(browser: Browser, site: Site, programs: Programs) -> None:
    book(programs, "keys@example.com", hour=9)
    with somebody(browser, site) as page:
        page.goto("/login")
        tab_to(page, "E-mail")
        page.keyboard.type("support@demo.test")
        tab_to(page, "Password")
        page.keyboard.type(PASSWORD)
        with page.expect_navigation(url="**/admin/"):
            page.keyboard.press("Enter")
        page.keyboard.press("/")
        page.keyboard.type("keys@example.com")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        follow(page, "Ann Client")
        follow(page, "Cancel", exactly=True)  # and not “Cancellations”, on the way there
        tab_to(page, "Who called it off?")
        page.keyboard.type("The client")
        tab_to(page, "No money goes back")
        page.keyboard.press("ArrowDown")
        follow(page, "Show what happens")
        tab_to(page, "Reason")
        page.keyboard.type("She cannot come")
        follow(page, "Cancel the booking")
        expect(page.get_by_text("A refund of 95.00 USD was asked for.")).to_be_visible()
    programs.wait_for(REFUND, "keys@example.com", "succeeded")


def test_without_scripts_it_is_moved_on_a_phone(browser: Browser, site: Site, programs: Programs) -> None:
    number = book(programs, "phone@example.com", hour=11)
    with somebody(browser, site, viewport=PHONE, java_script_enabled=False) as page:
        sign_in(page, "ops")
        page.goto(f"/admin/bookings/{number}")
        page.get_by_role("link", name="Reschedule").click()
        page.locator(".free a").last.click()
        expect(page.get_by_text("The old time is free for others at once.")).to_be_visible()
        page.get_by_label("Reason").fill("Asked for a later hour")
        page.get_by_role("button", name="Reschedule the booking").click()
        expect(page.get_by_text("The booking is rescheduled to")).to_be_visible()
        expect(page.get_by_text("Moved to another time")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_page_without_sideways_scrolling(
    browser: Browser, site: Site, programs: Programs, scheme: str
) -> None:
    number = book(programs, f"{scheme}@example.com", hour=13 if scheme == "light" else 14)
    with somebody(browser, site, viewport=PHONE, color_scheme=scheme) as page:
        sign_in(page, "ops")
        for path in (
            "bookings/",
            f"bookings/{number}",
            f"bookings/{number}/cancel?because=by_client",
            f"bookings/{number}/reschedule",
            "calendar/",
            "practitioners/1/edit",
            "session-types/1/edit",
            "sent-emails/",
            "webhook-events/",
        ):
            page.goto(f"/admin/{path}")
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, path
