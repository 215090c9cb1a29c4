"""A customer buys, gets the mail, signs up and claims: every program on its own, and a browser as the customer."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import html5lib
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import create_engine

from admin_app.context import Job
from admin_app.db import Database
from admin_app.services import staff
from admin_app.simulator import control
from models import Role
from tests.browser.conftest import PASSWORD, SCREENSHOTS, Site, sign_in, watch
from tests.browser.keyboard import follow, tab_to
from tests.conftest import with_driver
from tests.programs import Programs, wait_for

PENDING = "SELECT * FROM pending_profiles WHERE whop_membership_id = %s"
PROFILE = "SELECT * FROM profiles WHERE whop_membership_id = %s"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def staffed(programs: Programs) -> Iterator[Database]:
    database = Database(create_engine(with_driver(programs.database)))
    with database.unit_of_work(Job("tests")) as ctx:
        staff.create_staff(ctx, email="support@demo.test", name="Kim", role=Role.SUPPORT, password=PASSWORD)
    yield database
    database.dispose()


@pytest.fixture
def site(programs: Programs, staffed: Database) -> Site:
    """In the place of the one that is served from the test's own process."""
    return Site(programs.url, staffed)


@contextmanager
def somebody(browser: Browser, site: Site, **options: Any) -> Iterator[Page]:
    """A window of a browser of one's own, its pop-ups watched as well."""
    context = browser.new_context(**({"base_url": site.address, "viewport": DESK} | options))
    context.on("page", lambda page: watch(page, site))
    yield context.new_page()
    context.close()
    assert site.complaints == []


def buy(programs: Programs, email: str) -> str:
    """A purchase made at the simulated Whop, known to the product and its mail sent; answers the membership."""
    made = control.purchase(programs.simulator, email=email, name="Mary Shelley", plan="yearly")
    programs.mail_to(email)
    # The payment, which comes in either order, does not tell the plan: the activation does.
    programs.wait_for(f"{PENDING} AND plan_duration = 'yearly'", made["membership_id"])
    return made["membership_id"]


def link_to(programs: Programs, email: str) -> str:
    found = re.search(r"http\S+/claim\?token=\S+", programs.mail_to(email)["text"])
    assert found
    return found[0]


def open_mail(page: Page, programs: Programs, email: str) -> None:
    page.goto(f"{programs.simulator}/_sim/")
    page.get_by_role("link", name="Mails that Backdesk sent").click()
    mail_row(page, email).get_by_role("link").click()


def mail_row(page: Page, email: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=email, exact=True))


def sign_up(page: Page, email: str, *, name: str = "Mary Godwin") -> None:
    """On the simulated sign-in page; comes back to where it was asked from."""
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in or sign up")
    page.get_by_label("Name").fill(name)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Continue").click()


def test_the_mail_says_the_same_as_text_and_as_plain_html(programs: Programs) -> None:
    buy(programs, "reads@example.com")
    mail, link = programs.mail_to("reads@example.com"), link_to(programs, "reads@example.com")
    html5lib.HTMLParser(strict=True).parse(mail["html"])
    page = BeautifulSoup(mail["html"], "html.parser")
    assert page.html is not None
    assert page.html["lang"] == "en"
    assert [a["href"] for a in page.find_all("a")] == [link]
    # Nothing that a mail program would have to load, style or refuse.
    assert {tag.name for tag in page.body.find_all()} == {"h1", "p", "strong", "a"}
    spoken = " ".join(page.body.get_text(" ", strip=True).split())
    # The plan is named when the event that tells it was applied before the mail was written.
    offered = re.search(r"Your (yearly )?membership with 1,000 credits waits for you", spoken)
    assert offered
    for sentence in (offered[0], "works once and for 14 days"):
        assert sentence in spoken
        assert sentence in mail["text"]


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_a_purchase_is_claimed_under_another_address(browser: Browser, site: Site, programs: Programs) -> None:
    bought, own, other = "mary@work.example", "mary@home.example", "percy@home.example"
    membership = buy(programs, bought)
    link = link_to(programs, bought)
    with somebody(browser, site) as page:
        open_mail(page, programs, bought)
        heading(page, "Claim your membership")
        with page.expect_popup() as opened:
            page.frame_locator("iframe").get_by_role("link", name="Claim your membership").click()
        page = opened.value
        heading(page, "Your purchase is waiting")
        assert page.url == link
        expect(page.get_by_text("m•••@w•••.example")).to_be_visible()
        page.get_by_role("link", name="Sign in to claim it").click()
        sign_up(page, own)

        heading(page, "Your purchase is waiting")
        assert page.url == link
        before = programs.row(PENDING, membership)
        for _ in range(3):
            page.reload()
        assert programs.row(PENDING, membership) == before
        assert before is not None
        assert before["claimed"] is False

        page.get_by_role("button", name="Claim this purchase").click()
        heading(page, "Done: the purchase is yours")
        profile = programs.row(PROFILE, membership)
        assert profile is not None
        assert (profile["membership"], profile["usage_credits"], profile["plan_duration"]) == ("pro", 1000, "yearly")
        claimed = programs.row(PENDING, membership)
        assert claimed is not None
        assert (claimed["claimed"], claimed["claimed_by_user_id"]) == (True, profile["user_id"])

    with somebody(browser, site) as page:
        page.goto(link)
        heading(page, "This purchase was already claimed")
        page.goto(f"{programs.simulator}/clerk/sign-in?redirect_url={link}")
        sign_up(page, other, name="Percy")
        heading(page, "This purchase was already claimed")
        assert programs.row(PENDING, membership) == claimed

    with somebody(browser, site) as page:
        sign_in(page)
        page.goto(f"/admin/purchases/{claimed['id']}")
        heading(page, bought)
        expect(page.get_by_text("claimed", exact=True).first).to_be_visible()
        history = page.locator("section", has=page.get_by_role("heading", name="History"))
        for part in ("brought in the purchase of", "handed over a claim mail", f"claimed the purchase of {bought} for"):
            expect(history).to_contain_text(part)
        expect(page.get_by_role("link", name="Undo the claim")).to_be_visible()
        page.get_by_role("link", name="Claim your membership").click()
        expect(page.get_by_text("[link in the mail only]").first).to_be_visible()
        assert link.partition("token=")[2] not in page.content()


def test_by_keyboard_alone(browser: Browser, site: Site, programs: Programs) -> None:
    membership = buy(programs, "ada@work.example")
    with somebody(browser, site) as page:
        open_mail(page, programs, "ada@work.example")
        link = link_to(programs, "ada@work.example")
        tab_to(page, link)
        with page.expect_popup() as opened:
            page.keyboard.press("Enter")
        page = opened.value
        follow(page, "Sign in to claim it")
        tab_to(page, "Name")
        page.keyboard.type("Ada")
        tab_to(page, "E-mail address")
        page.keyboard.type("ada@home.example")
        follow(page, "Continue")
        follow(page, "Claim this purchase")
        heading(page, "Done: the purchase is yours")
    assert programs.row(f"{PENDING} AND claimed", membership)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_without_scripts(browser: Browser, site: Site, programs: Programs, scheme: str) -> None:
    bought = f"{scheme}.a.rather.long.address.that.goes.on@customers-of-ours.example"
    membership = buy(programs, bought)
    with somebody(browser, site, viewport=PHONE, color_scheme=scheme, java_script_enabled=False) as page:
        open_mail(page, programs, bought)
        fits(page)
        page.goto(link_to(programs, bought))
        picture(page, "new", scheme)
        page.get_by_role("link", name="Sign in to claim it").click()
        fits(page)
        sign_up(page, f"{scheme}@home.example")
        picture(page, "ready", scheme)
        page.get_by_role("button", name="Claim this purchase").click()
        picture(page, "done", scheme)
        page.goto(f"{programs.simulator}/clerk/sign-out?redirect_url={link_to(programs, bought)}")
        heading(page, "This purchase was already claimed")
        picture(page, "taken", scheme)
    assert programs.row(f"{PENDING} AND claimed", membership)


def picture(page: Page, state: str, scheme: str) -> None:
    """On a desk and on a phone, where nothing may lie beyond the edge."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size(DESK)
    page.screenshot(path=SCREENSHOTS / f"claim-{state}-{scheme}.png")
    page.set_viewport_size(PHONE)
    fits(page)
    page.screenshot(path=SCREENSHOTS / f"claim-{state}-{scheme}-phone.png")


def fits(page: Page) -> None:
    page.wait_for_load_state()  # without its style sheet no page fits
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, page.url


def test_signing_up_under_the_same_address_claims_without_a_click(
    browser: Browser, site: Site, programs: Programs
) -> None:
    membership = buy(programs, "Same@Example.com")
    with somebody(browser, site) as page:
        page.goto(f"{programs.simulator}/_sim/")
        page.get_by_role("link", name="Sign in or sign up as a customer").click()
        sign_up(page, "same@example.com")
        claimed = programs.wait_for(f"{PENDING} AND claimed", membership)
        profile = programs.row("SELECT * FROM profiles WHERE user_id = %s", claimed["claimed_by_user_id"])
        assert profile is not None
        assert (profile["membership"], profile["email"].lower()) == ("pro", "same@example.com")
        page.goto(link_to(programs, claimed["email"]))
        heading(page, "This purchase is on your account")


def test_support_sends_a_fresh_link_and_the_old_one_ends(browser: Browser, site: Site, programs: Programs) -> None:
    membership = buy(programs, "lost@example.com")
    old = link_to(programs, "lost@example.com")
    pending = programs.row(PENDING, membership)
    assert pending is not None
    with somebody(browser, site) as page:
        sign_in(page)
        page.goto(f"/admin/purchases/{pending['id']}")
        page.get_by_role("link", name="Send claim mail").click()
        page.get_by_label("Reason").fill("She lost the first one")
        page.get_by_role("button", name="Send the claim mail").click()
        expect(page.get_by_text("She lost the first one")).to_be_visible()
    programs.wait_for(f"{PENDING} AND token <> %s", membership, pending["token"])
    fresh = wait_for(lambda: (link := link_to(programs, "lost@example.com")) != old and link, "a fresh link")
    with refused(browser, site) as page:
        page.goto(old)
        heading(page, "This link does not work any more")
        page.goto(fresh)
        heading(page, "Your purchase is waiting")


def test_who_presses_second_is_told_so_and_gets_nothing(browser: Browser, site: Site, programs: Programs) -> None:
    membership = buy(programs, "two@example.com")
    link = link_to(programs, "two@example.com")
    with somebody(browser, site) as first, refused(browser, site) as second:
        for page, email in ((first, "first@example.com"), (second, "second@example.com")):
            page.goto(link)
            page.get_by_role("link", name="Sign in to claim it").click()
            sign_up(page, email)
            expect(page.get_by_role("button", name="Claim this purchase")).to_be_visible()
        first.get_by_role("button", name="Claim this purchase").click()
        heading(first, "Done: the purchase is yours")
        before = programs.row(PENDING, membership)
        second.get_by_role("button", name="Claim this purchase").click()
        heading(second, "This purchase was already claimed")
        assert programs.row(PENDING, membership) == before
        first.goto(link)
        heading(first, "This purchase is on your account")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_link_that_is_none_says_what_to_do(browser: Browser, site: Site, scheme: str) -> None:
    with refused(browser, site, color_scheme=scheme) as page:
        for path in ("/claim", "/claim?token=", "/claim?token=made-up", "/claim?token=%00%ff", "/claim?token=a%20b"):
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 403
            heading(page, "This link does not work any more")
        picture(page, "invalid", scheme)


@contextmanager
def refused(browser: Browser, site: Site, **options: Any) -> Iterator[Page]:
    """A window on which a page is refused: Chromium itself notes that as an error."""
    context = browser.new_context(base_url=site.address, **options)
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda said: heard.append(said.text))
    yield page
    context.close()
    assert all("Failed to load resource" in said for said in heard), heard
