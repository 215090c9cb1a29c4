"""What Stripe's answers become, and what a failure says about whether money may have moved."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from admin_app.config import Settings
from admin_app.errors import AnswerUnreadable, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import stripe
from admin_app.integrations.money_ports import CheckoutRequest, StripePort, StripeUnreadable
from tests.integrations.conftest import ScriptedProvider

CHECKOUTS, REFUNDS = "/v1/checkout/sessions", "/v1/refunds"
SESSION = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "status": "open",
    "payment_status": "unpaid",
    "amount_total": 15_000,
    "currency": "eur",
    "url": "https://checkout.stripe.com/c/pay/cs_test_1",
    "expires_at": 1_795_001_800,
    "metadata": {"subject": "booking:12"},
}
REFUND = {
    "id": "re_1",
    "object": "refund",
    "amount": 500,
    "currency": "eur",
    "status": "succeeded",
    "created": 1_795_000_500,
    "payment_intent": "pi_1",
    "metadata": {"refundId": "7"},
}
CHARGE = {"id": "ch_1", "object": "charge", "status": "succeeded", "amount_captured": 15_000, "amount_refunded": 0}
PAYMENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "status": "succeeded",
    "currency": "eur",
    "latest_charge": CHARGE,
    "metadata": {},
}
PAYMENT_PATH = "/v1/payment_intents/pi_1?expand%5B0%5D=latest_charge.balance_transaction"
WISH = CheckoutRequest(
    subject="booking:12",
    title="Session",
    amount=15_000,
    currency="EUR",
    email="ada@example.com",
    success_url="https://shop.example/ok",
    cancel_url="https://shop.example/no",
    expires_at=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
)
ERROR = {"error": {"type": "api_error", "message": "Sorry."}}


@pytest.fixture
def port(settings: Callable[..., Settings], provider: ScriptedProvider) -> StripePort:
    return stripe.client(settings(stripe_secret_key="sk_test_1", stripe_api_base=f"{provider.url}/"))


def refund(port: StripePort):
    return port.create_refund("pi_1", amount=500, reason="other", refund_id=7, idempotency_key="refund-7")


def test_the_key_and_the_version_are_sent(port, provider):
    provider.answers[REFUNDS] = (200, REFUND)
    assert refund(port).our_id == 7
    ((_, headers),) = provider.requests
    sent = {name.lower(): value for name, value in headers.items()}
    assert (sent["authorization"], sent["idempotency-key"]) == ("Bearer sk_test_1", "refund-7")
    assert sent["stripe-version"] == "2026-10-28.endive"
    assert "telemetry" not in " ".join([*sent, sent["x-stripe-client-user-agent"]]).lower()


def test_a_lost_try_is_sent_again_under_the_same_key(port, provider):
    provider.answers[REFUNDS] = [(500, ERROR), (409, ERROR), (200, REFUND)]
    assert refund(port).id == "re_1"
    assert {headers["Idempotency-Key"] for _, headers in provider.requests} == {"refund-7"}
    assert len(provider.requests) == 3


@pytest.mark.parametrize("status", [409, 424, 500, 502, 503])
def test_a_write_that_may_have_happened_is_unknown(port, provider, status):
    provider.answers[REFUNDS] = provider.answers[CHECKOUTS] = (status, ERROR)
    with pytest.raises(OutcomeUnknown):
        refund(port)
    with pytest.raises(OutcomeUnknown):
        port.create_checkout(WISH, idempotency_key="k")


@pytest.mark.parametrize(
    "answer",
    [(200, b"<html>"), (200, b"\xff\xfe"), (200, []), (200, None), (200, {}), (200, REFUND | {"status": "odd"})],
    ids=str,
)
def test_an_answer_to_a_write_that_cannot_be_read_is_unknown(port, provider, answer):
    provider.answers[REFUNDS] = answer
    with pytest.raises(OutcomeUnknown):
        refund(port)


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (400, {"type": "invalid_request_error", "code": "charge_already_refunded"}, "charge_already_refunded"),
        (400, {"type": "idempotency_error"}, "idempotency_error"),
        (402, {"type": "card_error", "code": "card_declined"}, "card_declined"),
        (404, {"type": "invalid_request_error", "code": "resource_missing"}, "resource_missing"),
        (401, {"type": "invalid_request_error"}, "invalid_request_error"),
        (403, {"type": "invalid_request_error", "code": "forbidden"}, "forbidden"),
        (400, {}, "status_400"),
    ],
)
def test_a_clear_no_tells_its_code_and_nothing_of_its_sentence(port, provider, status, error, reason):
    provider.answers[REFUNDS] = (status, {"error": error | {"message": "No such ada@example.com"}})
    with pytest.raises(ProviderRefused) as refused:
        refund(port)
    assert refused.value.reason == reason
    assert "ada" not in refused.value.sentence
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("code", [(429, "rate_limit"), (400, "rate_limit")], ids=str)
def test_too_many_requests_is_a_passing_trouble(port, provider, code):
    status, name = code
    provider.answers[REFUNDS] = (status, {"error": {"type": "invalid_request_error", "code": name, "message": "x"}})
    with pytest.raises(ProviderUnavailable) as trouble:
        refund(port)
    assert not isinstance(trouble.value, OutcomeUnknown)


@pytest.mark.parametrize("last", [429, 401, 403])
def test_what_the_last_try_says_does_not_hold_for_a_lost_one(port, provider, last):
    provider.answers[REFUNDS] = [(500, ERROR), (last, {"error": {"type": "invalid_request_error", "message": "x"}})]
    with pytest.raises(OutcomeUnknown):
        refund(port)


def test_a_clear_no_to_the_last_try_holds_for_the_lost_one(port, provider):
    refused = {"error": {"type": "invalid_request_error", "code": "charge_already_refunded", "message": "x"}}
    provider.answers[REFUNDS] = [(500, ERROR), (400, refused)]
    with pytest.raises(ProviderRefused):
        refund(port)


def test_one_calls_lost_try_is_not_the_next_ones(port, provider):
    provider.answers[REFUNDS] = [(500, ERROR)] * 3 + [(429, ERROR)]
    with pytest.raises(OutcomeUnknown):
        refund(port)
    with pytest.raises(ProviderUnavailable) as trouble:
        refund(port)
    assert not isinstance(trouble.value, OutcomeUnknown)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://nowhere.invalid", "nothing"])
def test_a_server_that_is_off_was_certainly_not_reached(settings, address, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    port = stripe.client(settings(stripe_secret_key="sk_test_1", stripe_api_base=address))
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable) as trouble:
        refund(port)
    assert not isinstance(trouble.value, OutcomeUnknown)
    with pytest.raises(ProviderUnavailable):
        port.payment("pi_1")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("answer", [(500, ERROR), (401, ERROR), (400, ERROR), (200, []), (200, {"id": "cs_test_1"})])
def test_a_question_that_is_not_answered_is_a_passing_trouble(port, provider, answer):
    provider.answers[f"{CHECKOUTS}/cs_test_1"] = provider.answers["/v1/refunds/re_1"] = answer
    provider.answers[PAYMENT_PATH] = answer
    provider.answers["/v1/refunds?payment_intent=pi_1&limit=100"] = answer
    for ask in (
        lambda: port.checkout("cs_test_1"),
        lambda: port.refund("re_1"),
        lambda: port.payment("pi_1"),
        lambda: port.refunds_of("pi_1"),
    ):
        with pytest.raises(ProviderUnavailable) as trouble:
            ask()
        assert not isinstance(trouble.value, OutcomeUnknown)


def test_a_list_with_something_unreadable_is_no_shorter_list(port, provider):
    listed = {"object": "list", "data": [REFUND, REFUND | {"amount": "many"}], "has_more": False, "url": REFUNDS}
    provider.answers["/v1/refunds?payment_intent=pi_1&limit=100"] = (200, listed)
    with pytest.raises(ProviderUnavailable):
        port.refunds_of("pi_1")


def test_a_session_of_another_mode_is_read_without_amount_and_currency(port, provider):
    for_nothing = {"mode": "setup", "amount_total": None, "currency": None, "payment_status": "no_payment_required"}
    provider.answers[f"{CHECKOUTS}/cs_test_1"] = (200, SESSION | for_nothing)
    found = port.checkout("cs_test_1")
    assert (found.mode, found.amount, found.currency) == ("setup", 0, "")
    provider.answers[f"{CHECKOUTS}/cs_test_1"] = (200, SESSION | for_nothing | {"mode": "payment"})
    with pytest.raises(AnswerUnreadable):
        port.checkout("cs_test_1")


def test_a_refund_without_a_status_is_with_the_bank(port, provider):
    provider.answers["/v1/refunds/re_1"] = (200, REFUND | {"status": None})
    assert port.refund("re_1").status == "pending"


def test_what_a_comparison_cannot_read_is_named_and_ends_nothing(port, provider):
    since = datetime.fromtimestamp(1_795_000_000, UTC)
    odd = REFUND | {"id": "re_odd", "amount": None, "payment_intent": {"id": "pi_odd", "object": "payment_intent"}}
    listed = {"object": "list", "data": [REFUND, odd, REFUND | {"id": "re_3"}], "has_more": False, "url": REFUNDS}
    provider.answers[f"{REFUNDS}?created%5Bgte%5D=1795000000&limit=100"] = (200, listed)
    found = list(port.refunds_since(since))
    assert [each.id for each in found] == ["re_1", "re_odd", "re_3"]
    assert found[1] == StripeUnreadable("re_odd", "pi_odd")


def test_every_dispute_of_a_payment_is_told_page_by_page_newest_first(port, provider):
    disputed = PAYMENT | {"latest_charge": CHARGE | {"disputed": True}}
    provider.answers[PAYMENT_PATH] = (200, disputed)
    one = {"object": "dispute", "amount": 500, "status": "lost", "reason": "general", "payment_intent": "pi_1"}
    listed = "/v1/disputes?payment_intent=pi_1&limit=100"
    page = {"object": "list", "url": "/v1/disputes", "data": [one | {"id": "du_2"}], "has_more": True}
    provider.answers[listed] = (200, page)
    last = page | {"data": [one | {"id": "du_1", "status": "won"}], "has_more": False}
    provider.answers[f"{listed}&starting_after=du_2"] = (200, last)
    found = port.payment("pi_1")
    assert [(each.id, each.status) for each in found.every_dispute] == [("du_2", "lost"), ("du_1", "won")]
    assert found.dispute.id == "du_2"
    assert found.asked_at <= datetime.now(UTC)


def test_a_fee_in_another_currency_is_not_one_in_the_payments(port, provider):
    def fee_in(currency: str) -> int | None:
        movement = {"id": "txn_1", "object": "balance_transaction", "fee": 465, "currency": currency}
        provider.answers[PAYMENT_PATH] = (200, PAYMENT | {"latest_charge": CHARGE | {"balance_transaction": movement}})
        return port.payment("pi_1").fee

    assert (fee_in("eur"), fee_in("nok")) == (465, None)


def test_money_that_the_bank_has_not_given_yet_is_not_captured(port, provider):
    provider.answers[PAYMENT_PATH] = (
        200,
        PAYMENT | {"status": "processing", "latest_charge": CHARGE | {"status": "pending"}},
    )
    assert port.payment("pi_1").captured == 0
    provider.answers[PAYMENT_PATH] = (200, PAYMENT | {"latest_charge": None})
    found = port.payment("pi_1")
    assert (found.captured, found.charge_id, found.fee) == (0, None, None)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(port, provider, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    provider.answers[PAYMENT_PATH] = (200, PAYMENT)
    assert port.payment("pi_1").captured == 15_000
