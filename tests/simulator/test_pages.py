"""The simulator's own pages: the demo customer's sign-in and the home page."""

import re
from urllib.parse import quote

import html5lib
import httpx
import pytest

from admin_app.simulator import control


@pytest.fixture
def browser(simulator):
    with httpx.Client(base_url=simulator) as client:
        yield client


def sign_in(browser, back: str, **form: str) -> httpx.Response:
    return browser.post("/clerk/sign-in", data={"redirect_url": back, **form})


def test_a_new_customer_signs_up_and_comes_back_with_a_session(browser, receiver, providers, simulator):
    answer = sign_in(browser, f"{receiver.url}/claim?x=1", name="Ada Byron", email="Ada@Example.com", verified="yes")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{receiver.url}/claim?x=1")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/"))
    session = providers.clerk.verify_session_token(answer.cookies["__session"])
    assert providers.clerk.user(session.user_id).verified_emails == {"ada@example.com"}
    receiver.wait_for(1)
    assert control.deliveries(simulator)[0]["event"] == "clerk user.created"


def test_a_known_customer_signs_in_again_as_the_same_person(browser, receiver, providers, simulator):
    person = control.create_user(simulator, name="Ada", email="ada@example.com", verified=False)
    answer = sign_in(browser, receiver.url, email="ADA@example.com", verified="yes")
    session = providers.clerk.verify_session_token(answer.cookies["__session"])
    assert session.user_id == person["id"]
    assert providers.clerk.user(person["id"]).verified_emails == {"ada@example.com"}


def test_an_unverified_address_stays_so(browser, receiver, providers):
    answer = sign_in(browser, receiver.url, name="Eve", email="ada@example.com")
    session = providers.clerk.verify_session_token(answer.cookies["__session"])
    assert providers.clerk.user(session.user_id).verified_emails == set()


@pytest.mark.parametrize("email", ["", "ada", "ada@", "a b@example.com", "ada@example"])
def test_what_is_no_address_is_said_beside_the_field(browser, email):
    answer = sign_in(browser, "", email=email, name='"><script>')
    assert answer.status_code == 422
    assert 'aria-describedby="email-problem"' in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "back",
    [
        "",
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "{base}@evil.example/",
        "{base}.evil.example/",
        "{base}\\@evil.example",
        "{base}/\r\nX: y",
        "http://[",
    ],
)
def test_the_way_back_leads_to_the_product_only(browser, receiver, back):
    wanted = back.format(base=receiver.url)
    answer = sign_in(browser, wanted, email="ada@example.com")
    assert answer.headers["location"] == receiver.url
    out = browser.get(f"/clerk/sign-out?redirect_url={quote(wanted)}")
    assert out.headers["location"] == receiver.url


def test_signing_out_ends_the_session(browser, receiver):
    sign_in(browser, receiver.url, email="ada@example.com")
    answer = browser.get("/clerk/sign-out", params={"redirect_url": f"{receiver.url}/bye"})
    assert answer.headers["location"] == f"{receiver.url}/bye"
    assert "__session" not in browser.cookies


@pytest.mark.parametrize("path", ["/clerk/sign-in", "/_sim/"])
def test_pages_are_valid_and_hold_nothing_inline(browser, simulator, path):
    control.purchase(simulator, email="<b>@example.com", name="<i>", deliver=False)
    control.create_user(simulator, name="<i>Ada", email="ada@example.com")
    answer = browser.get(path)
    assert answer.status_code == 200
    html5lib.HTMLParser(strict=True).parse(answer.text)
    assert len(re.findall("<h1", answer.text)) == 1
    assert not re.search(r"<script|<style|\son\w+=|\sstyle=|<i>|<b>", answer.text)
    fields = re.findall(r'<(?:input|select)\s+id="(\w+)"', answer.text)
    assert all(f'<label for="{name}"' in answer.text for name in fields)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_style_sheet_is_served(browser):
    href = re.search(r'rel="stylesheet" href="([^"]+)"', browser.get("/_sim/").text)
    assert href
    assert browser.get(href[1]).headers["content-type"].startswith("text/css")


def test_the_home_page_buys_cancels_and_ends(browser, simulator, providers):
    browser.post("/_sim/pages/purchase", data={"email": "ada@example.com", "name": "Ada", "plan": "yearly"})
    (bought,) = providers.whop.memberships()
    assert (bought.plan_duration, bought.status) == ("yearly", "active")
    browser.post(f"/_sim/pages/memberships/{bought.id}", data={"act": "cancel"})
    browser.post(f"/_sim/pages/memberships/{bought.id}", data={"act": "deactivate"})
    (ended,) = providers.whop.memberships()
    assert (ended.status, ended.cancel_at_period_end) == ("inactive", True)


def test_other_sites_and_other_names_for_this_machine_are_refused(browser):
    answer = browser.post("/_sim/whop/purchases", json={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 422
    assert browser.get("/_sim/", headers={"Host": "evil.example"}).status_code == 400
