"""The page on which a payer pays, as a browser without scripts uses it."""

import re

import html5lib
import httpx
import pytest

from admin_app.simulator.stripe import control_stripe
from tests.simulator.test_stripe import wish

SHOP = "http://127.0.0.1:8000/booking"


@pytest.fixture
def browser(simulator):
    with httpx.Client(base_url=simulator) as client:
        yield client


@pytest.fixture
def checkout(providers):
    return providers.stripe.create_checkout(wish(title="<b>Deep</b> & quiet"), idempotency_key="k")


def press(browser, checkout, act: str) -> httpx.Response:
    return browser.post(f"/stripe/pay/{checkout.id}", data={"act": act})


def test_it_says_what_is_bought_by_whom_for_how_much(browser, checkout):
    page = browser.get(checkout.url)
    assert page.status_code == 200
    html5lib.HTMLParser(strict=True).parse(page.text)
    assert "<h1>Pay 150.00 EUR</h1>" in page.text
    assert "&lt;b&gt;Deep&lt;/b&gt; &amp; quiet" in page.text
    assert "ada@example.com" in page.text
    assert re.findall(r'name="act" value="([\w-]+)"', page.text) == ["pay", "pay-later", "decline", "cancel"]
    assert not re.search(r"<script|<style|\son\w+=|\sstyle=", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(("act", "paid"), [("pay", "paid"), ("pay-later", "unpaid")])
def test_paying_leads_back_with_the_sessions_id(browser, checkout, providers, act, paid):
    answer = press(browser, checkout, act)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{SHOP}?session_id={checkout.id}")
    now = providers.stripe.checkout(checkout.id)
    assert (now.status, now.payment_status) == ("complete", paid)
    over = browser.get(f"/stripe/pay/{checkout.id}")
    html5lib.HTMLParser(strict=True).parse(over.text)
    assert f'href="{SHOP}?session_id={checkout.id}"' in over.text
    assert press(browser, checkout, act).status_code == 422


def test_a_declined_card_is_said_and_another_may_follow(browser, checkout, providers):
    answer = press(browser, checkout, "decline")
    assert answer.status_code == 303
    page = browser.get(answer.headers["location"])
    html5lib.HTMLParser(strict=True).parse(page.text)
    assert "The card was declined." in page.text
    press(browser, checkout, "pay")
    assert providers.stripe.checkout(checkout.id).payment_status == "paid"


def test_leaving_changes_nothing(browser, checkout, providers):
    answer = press(browser, checkout, "cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, SHOP)
    assert providers.stripe.checkout(checkout.id).status == "open"


def test_an_expired_checkout_says_so(browser, checkout, simulator):
    control_stripe.expire(simulator, checkout.id)
    page = browser.get(f"/stripe/pay/{checkout.id}")
    assert "time ran out" in page.text
    assert f'href="{SHOP}"' in page.text
    assert press(browser, checkout, "pay").status_code == 422


def test_what_is_no_checkout_or_no_act_is_said(browser, checkout):
    assert browser.get("/stripe/pay/cs_test_nobody").status_code == 404
    for identity, act in (("cs_test_nobody", "pay"), ("cs_test_nobody", "cancel"), (checkout.id, "steal")):
        answer = browser.post(f"/stripe/pay/{identity}", data={"act": act})
        assert answer.status_code == 422
        html5lib.HTMLParser(strict=True).parse(answer.text)


def test_other_sites_cannot_pay(browser, checkout, providers):
    answer = browser.post(f"/stripe/pay/{checkout.id}", data={"act": "pay"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 422
    assert providers.stripe.checkout(checkout.id).status == "open"


def test_the_home_page_settles_refunds_and_disputes(browser, checkout, providers):
    press(browser, checkout, "pay-later")
    home = browser.get("/_sim/").text
    html5lib.HTMLParser(strict=True).parse(home)
    assert "complete, unpaid" in home
    browser.post(f"/_sim/pages/stripe/settle-async/{checkout.id}")
    payment = providers.stripe.checkout(checkout.id).payment_intent_id
    browser.post(f"/_sim/pages/stripe/refund/{payment}")
    assert providers.stripe.payment(payment).refunded == 15_000
    assert "complete, paid, 150.00 EUR refunded" in browser.get("/_sim/").text
    browser.post(f"/_sim/pages/stripe/dispute/{payment}")
    assert providers.stripe.payment(payment).dispute


def test_a_bank_that_says_no_at_the_home_page(browser, checkout, providers):
    press(browser, checkout, "pay-later")
    browser.post(f"/_sim/pages/stripe/decline-async/{checkout.id}")
    payment = providers.stripe.payment(providers.stripe.checkout(checkout.id).payment_intent_id)
    assert (payment.status, payment.captured) == ("requires_payment_method", 0)
