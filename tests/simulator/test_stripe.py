"""The product's Stripe adapter against the simulated Stripe over HTTP: what a payer, a bank and the business do."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import stripe
from admin_app.integrations.http.guard import Limits
from admin_app.integrations.money_ports import CheckoutRequest, StripePort, StripeSession
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from tests.integrations.signing import STRIPE_SECRET


def wish(**changed: object) -> CheckoutRequest:
    given: dict[str, object] = {
        "subject": "booking:12",
        "title": "Deep session, 60 minutes",
        "amount": 15_000,
        "currency": "EUR",
        "email": "ada@example.com",
        "success_url": "http://127.0.0.1:8000/booking?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:8000/booking",
        "expires_at": datetime.now(UTC) + timedelta(minutes=31),
    }
    return CheckoutRequest(**(given | changed))


@pytest.fixture
def port(providers) -> StripePort:
    return providers.stripe


@pytest.fixture
def session(port) -> StripeSession:
    return port.create_checkout(wish(), idempotency_key="checkout-12")


@pytest.fixture
def paid(simulator, port, session) -> str:
    return control_stripe.pay(simulator, session.id)["payment_intent"]


def refund(port: StripePort, payment: str, amount: int, number: int = 1, reason: str = "requested_by_customer"):
    return port.create_refund(
        payment, amount=amount, reason=reason, refund_id=number, idempotency_key=f"refund-{number}"
    )


class TestCheckout:
    def test_an_open_session_is_what_was_wished(self, port, session, simulator):
        assert (session.status, session.payment_status, session.payment_intent_id) == ("open", "unpaid", None)
        assert (session.amount, session.currency, session.subject) == (15_000, "eur", "booking:12")
        assert session.url == f"{simulator}/stripe/pay/{session.id}"
        assert session.expires_at
        assert timedelta(minutes=30) < session.expires_at - datetime.now(UTC) < timedelta(minutes=32)
        assert port.checkout(session.id) == session
        (kept,) = control_stripe.sessions(simulator)
        assert kept["metadata"] == {"subject": "booking:12", "bookingId": "12"}
        assert kept["customer_email"] == "ada@example.com"

    def test_a_meeting_is_no_booking(self, port, simulator):
        made = port.create_checkout(wish(subject="meeting:3"), idempotency_key="checkout-m3")
        assert made.subject == "meeting:3"
        assert control_stripe.sessions(simulator)[0]["metadata"] == {"subject": "meeting:3"}

    def test_a_card_pays_at_once(self, port, session, paid):
        now = port.checkout(session.id)
        assert (now.status, now.payment_status, now.payment_intent_id) == ("complete", "paid", paid)
        assert now.url is None
        payment = port.payment(paid)
        assert (payment.status, payment.captured, payment.refunded) == ("succeeded", 15_000, 0)
        assert (payment.fee, payment.subject, payment.dispute) == (465, "booking:12", None)
        assert payment.charge_id

    def test_a_declined_card_leaves_the_session_open(self, simulator, port, session):
        failed = control_stripe.decline(simulator, session.id)["payment_intent"]
        assert port.checkout(session.id).status == "open"
        payment = port.payment(failed)
        assert (payment.status, payment.captured) == ("requires_payment_method", 0)
        assert payment.failure_code == "insufficient_funds"
        assert control_stripe.pay(simulator, session.id)["payment_intent"] == failed
        assert port.payment(failed).failure_code is None

    @pytest.mark.parametrize("succeeds", [True, False])
    def test_a_bank_takes_its_time(self, simulator, port, session, succeeds):
        payment = control_stripe.pay_later(simulator, session.id)["payment_intent"]
        waiting = port.checkout(session.id)
        assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
        assert (port.payment(payment).status, port.payment(payment).captured) == ("processing", 0)
        control_stripe.settle_async(simulator, session.id, succeeds=succeeds)
        assert port.checkout(session.id).payment_status == ("paid" if succeeds else "unpaid")
        assert port.payment(payment).captured == (15_000 if succeeds else 0)
        with pytest.raises(ValueError, match="waits for no bank"):
            control_stripe.settle_async(simulator, session.id)

    def test_an_expired_session_cannot_be_paid(self, simulator, port, session):
        assert port.expire_checkout(session.id).status == "expired"
        assert port.expire_checkout(session.id).status == "expired"
        with pytest.raises(ValueError, match="over"):
            control_stripe.pay(simulator, session.id)

    def test_a_paid_session_is_answered_as_it_is(self, port, session, paid):
        assert port.expire_checkout(session.id).payment_status == "paid"

    def test_what_stripe_does_not_know_is_none(self, port):
        assert port.checkout("cs_test_nobody") is None
        assert port.payment("pi_nobody") is None
        assert port.refund("re_nobody") is None
        assert port.refunds_of("pi_nobody") == []
        assert port.checkout("") is None
        with pytest.raises(ProviderRefused) as refused:
            port.expire_checkout("cs_test_nobody")
        assert refused.value.reason == "resource_missing"

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"amount": 49}, "amount_too_small"),
            ({"expires_at": datetime.now(UTC) + timedelta(minutes=20)}, "parameter_invalid"),
            ({"expires_at": datetime.now(UTC) + timedelta(hours=25)}, "parameter_invalid"),
            ({"email": "nobody"}, "email_invalid"),
        ],
    )
    def test_a_wish_that_stripe_would_refuse_is_refused(self, port, simulator, changed, reason):
        with pytest.raises(ProviderRefused) as refused:
            port.create_checkout(wish(**changed), idempotency_key="k")
        assert refused.value.reason == reason
        assert control_stripe.sessions(simulator) == []


class TestRefunds:
    def test_parts_add_up_to_all_and_never_to_more(self, port, paid):
        first, second = refund(port, paid, 10_000, 1), refund(port, paid, 5_000, 2, "slot_lost")
        assert (first.status, first.amount, first.our_id, first.payment_intent_id) == ("succeeded", 10_000, 1, paid)
        assert [found.our_id for found in port.refunds_of(paid)] == [1, 2]
        assert port.refund(second.id) == second
        assert port.payment(paid).refunded == 15_000
        with pytest.raises(ProviderRefused) as refused:
            refund(port, paid, 1, 3)
        assert refused.value.reason == "charge_already_refunded"

    def test_more_than_is_left_is_refused(self, port, paid):
        refund(port, paid, 10_000, 1)
        with pytest.raises(ProviderRefused):
            refund(port, paid, 5_001, 2)
        assert port.payment(paid).refunded == 10_000

    def test_the_reason_is_in_stripes_words_or_only_in_the_metadata(self, port, paid, simulator):
        for number, reason in enumerate(("duplicate", "canceled_by_us"), start=1):
            refund(port, paid, 100, number, reason)
        assert [(made["reason"], made["metadata"]["reason"]) for made in control_stripe.refunds(simulator)] == [
            ("duplicate", "duplicate"),
            (None, "canceled_by_us"),
        ]

    def test_fifty_at_once_give_back_no_more_than_was_taken(self, settings, paid):
        port = stripe.client(settings, Limits(calls=10, seconds_for_room=1))

        def ask(number: int) -> str:
            try:
                return refund(port, paid, 4_500, number).status
            except ProviderRefused:
                return "refused"

        with ThreadPoolExecutor(10) as crowd:
            answers = list(crowd.map(ask, range(1, 51)))
        assert answers.count("succeeded") == 3
        assert answers.count("refused") == 47
        assert sum(found.amount for found in port.refunds_of(paid)) == port.payment(paid).refunded == 13_500

    def test_one_made_at_the_dashboard_is_nobodys_of_ours(self, simulator, port, paid):
        made = control_stripe.refund(simulator, paid, amount=700, reason="duplicate")
        (found,) = port.refunds_of(paid)
        assert (found.id, found.amount, found.our_id) == (made["id"], 700, None)
        with pytest.raises(ValueError, match="not that much left"):
            control_stripe.refund(simulator, paid, amount=14_301)

    def test_a_refund_that_the_bank_sends_back_is_money_again(self, simulator, port, paid):
        made = refund(port, paid, 15_000)
        control_stripe.settle_refund(simulator, made.id, succeeds=False)
        found = port.refund(made.id)
        assert (found.status, found.failure_code) == ("failed", "expired_or_canceled_card")
        assert port.payment(paid).refunded == 0

    def test_a_bank_transfers_refund_is_pending_first(self, simulator, port, session):
        payment = control_stripe.pay_later(simulator, session.id)["payment_intent"]
        with pytest.raises(ProviderRefused):
            refund(port, payment, 100)
        control_stripe.settle_async(simulator, session.id)
        made = refund(port, payment, 100, 2)
        assert made.status == "pending"
        control_stripe.settle_refund(simulator, made.id)
        assert port.refund(made.id).status == "succeeded"

    def test_every_page_of_a_long_list_is_walked(self, port, paid):
        for number in range(1, 121):
            refund(port, paid, 1, number)
        assert [found.our_id for found in port.refunds_of(paid)] == list(range(1, 121))

    def test_a_disputed_payment_says_so_and_is_not_refunded(self, simulator, port, paid):
        control_stripe.dispute(simulator, paid, reason="fraudulent")
        disputed = port.payment(paid).dispute
        assert (disputed.status, disputed.reason, disputed.amount) == ("needs_response", "fraudulent", 15_000)
        assert disputed.due_by > datetime.now(UTC)
        with pytest.raises(ProviderRefused) as refused:
            refund(port, paid, 100)
        assert refused.value.reason == "charge_disputed"


class TestKeys:
    def test_the_same_call_again_is_the_same_object(self, port, simulator, paid):
        same = wish(expires_at=expires())
        again = [port.create_checkout(same, idempotency_key="again").id for _ in range(3)]
        assert len(set(again)) == 1
        assert len({refund(port, paid, 100).id for _ in range(3)}) == 1
        assert len(control_stripe.sessions(simulator)) == 2

    def test_another_call_of_the_same_key_is_refused(self, port, simulator, paid):
        refund(port, paid, 100)
        with pytest.raises(ProviderRefused) as refused:
            refund(port, paid, 101)
        assert refused.value.reason == "idempotency_error"
        assert len(control_stripe.refunds(simulator)) == 1

    def test_a_refusal_for_what_was_sent_is_not_kept(self, port, paid):
        with pytest.raises(ProviderRefused):
            refund(port, "pi_nobody", 100)
        assert refund(port, paid, 100).status == "succeeded"

    def test_a_refusal_for_what_was_found_is_kept(self, simulator, port, paid):
        first = refund(port, paid, 15_000, 1)
        with pytest.raises(ProviderRefused):
            refund(port, paid, 100, 2)
        control_stripe.settle_refund(simulator, first.id, succeeds=False)
        with pytest.raises(ProviderRefused) as refused:
            refund(port, paid, 100, 2)
        assert refused.value.reason == "charge_already_refunded"


def expires() -> datetime:
    """Asked for when it is sent: a whole run takes longer than a page to pay on must last."""
    return (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)


class TestFaults:
    """One failure is overcome by the SDK's own tries; three leave at most one object, and the question open."""

    @pytest.mark.parametrize("mode", ["500", "apply-then-drop", "apply-then-500"])
    def test_one_failure_makes_one_object(self, simulator, port, paid, mode):
        control.fault(simulator, "stripe", mode)
        made = refund(port, paid, 100)
        control.fault(simulator, "stripe", mode)
        session = port.create_checkout(wish(expires_at=expires()), idempotency_key="k")
        control.fault(simulator, "stripe", mode)
        assert port.expire_checkout(session.id).status == "expired"
        assert [found.id for found in port.refunds_of(paid)] == [made.id]
        assert [kept["status"] for kept in control_stripe.sessions(simulator)] == ["complete", "expired"]

    @pytest.mark.parametrize(("mode", "made"), [("500", 0), ("apply-then-drop", 1), ("apply-then-500", 1)])
    def test_lasting_failures_leave_the_outcome_of_a_refund_unknown(self, simulator, port, paid, mode, made):
        control.fault(simulator, "stripe", mode, times=3)
        with pytest.raises(OutcomeUnknown):
            refund(port, paid, 100)
        assert len(port.refunds_of(paid)) == made
        assert refund(port, paid, 100).our_id == 1
        assert len(port.refunds_of(paid)) == 1

    @pytest.mark.parametrize(("mode", "made"), [("500", 0), ("apply-then-drop", 1), ("apply-then-500", 1)])
    def test_lasting_failures_leave_the_outcome_of_a_checkout_unknown(self, simulator, port, mode, made):
        control.fault(simulator, "stripe", mode, times=3)
        same = wish(expires_at=expires())
        with pytest.raises(OutcomeUnknown):
            port.create_checkout(same, idempotency_key="k")
        assert len(control_stripe.sessions(simulator)) == made
        port.create_checkout(same, idempotency_key="k")
        assert len(control_stripe.sessions(simulator)) == 1

    @pytest.mark.parametrize("mode", ["apply-then-drop", "apply-then-500"])
    def test_lasting_failures_leave_the_outcome_of_an_expiry_unknown(self, simulator, port, session, mode):
        control.fault(simulator, "stripe", mode, times=3)
        with pytest.raises(OutcomeUnknown):
            port.expire_checkout(session.id)
        assert port.expire_checkout(session.id).status == "expired"

    @pytest.mark.parametrize("mode", ["429", "500", "apply-then-drop", "apply-then-500"])
    def test_lasting_failures_of_a_question_are_a_passing_trouble(self, simulator, port, session, paid, mode):
        for ask in (
            lambda: port.checkout(session.id),
            lambda: port.payment(paid),
            lambda: port.refund("re_1"),
            lambda: port.refunds_of(paid),
        ):
            control.fault(simulator, "stripe", mode, times=3)
            with pytest.raises(ProviderUnavailable) as trouble:
                ask()
            assert not isinstance(trouble.value, OutcomeUnknown)
            control.fault(simulator, "stripe", "off")

    def test_too_many_requests_changed_nothing(self, simulator, port, paid):
        control.fault(simulator, "stripe", "429", times=3)
        with pytest.raises(ProviderUnavailable) as trouble:
            refund(port, paid, 100)
        assert not isinstance(trouble.value, OutcomeUnknown)
        assert port.refunds_of(paid) == []

    def test_a_wrong_key_is_a_clear_no(self, settings, paid):
        wrong = stripe.client(settings.model_copy(update={"stripe_secret_key": "sk_test_wrong"}))
        with pytest.raises(ProviderRefused):
            refund(wrong, paid, 100)
        with pytest.raises(ProviderUnavailable):
            wrong.payment(paid)


class TestEvents:
    def test_each_is_signed_and_names_what_it_is_about(self, simulator, port, session, receiver):
        control_stripe.decline(simulator, session.id)
        payment = control_stripe.pay(simulator, session.id)["payment_intent"]
        made = refund(port, payment, 100)
        control_stripe.settle_refund(simulator, made.id, succeeds=False)
        control_stripe.dispute(simulator, payment)
        deliveries = receiver.wait_for(7)
        seen = []
        for path, headers, raw in deliveries:
            assert path == "/api/webhooks/stripe"
            stripe.verify(raw, headers, STRIPE_SECRET, datetime.now(UTC))
            event = stripe.parse_event(raw)
            assert (event.payment_intent_id, event.livemode) == (payment, False)
            seen.append((event.type, event.subject))
        assert seen == [
            ("payment_intent.payment_failed", "booking:12"),
            ("checkout.session.completed", "booking:12"),
            ("refund.created", None),
            ("charge.refunded", "booking:12"),
            ("refund.updated", None),
            ("refund.failed", None),
            ("charge.dispute.created", None),
        ]
        kept = control_stripe.events(simulator, payment)
        assert [json.loads(raw)["id"] for _, _, raw in deliveries] == [event["id"] for event in kept]
        assert json.loads(deliveries[2][2])["request"]["idempotency_key"] == "refund-1"

    def test_one_that_is_not_taken_comes_again_with_another_time(self, simulator, session, receiver):
        receiver.statuses = [500, 302, 200]
        control_stripe.expire(simulator, session.id)
        tries = receiver.wait_for(2)
        assert len({raw for _, _, raw in tries}) == 1

    def test_an_outage_loses_them(self, simulator, port, session, receiver):
        control_stripe.delivery(simulator, on=False)
        control_stripe.pay(simulator, session.id)
        control_stripe.delivery(simulator, on=True)
        other = port.create_checkout(wish(), idempotency_key="other")
        control_stripe.expire(simulator, other.id)
        ((_, _, raw),) = receiver.wait_for(1)
        assert json.loads(raw)["type"] == "checkout.session.expired"
        assert [event["type"] for event in control_stripe.events(simulator, session.id)] == [
            "checkout.session.completed"
        ]

    def test_a_session_whose_time_is_over_has_expired(self, simulator, port, monkeypatch, session):
        later = time.time() + 3600
        monkeypatch.setattr("admin_app.simulator.stripe.stripe_records.now", lambda: int(later))
        assert port.checkout(session.id).status == "expired"
        assert [event["type"] for event in control_stripe.events(simulator, session.id)] == ["checkout.session.expired"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("stripe/pay/cs_nobody", {}),
        ("stripe/settle-async/cs_nobody", {}),
        ("stripe/settle-refund/re_nobody", {}),
        ("stripe/dispute/pi_nobody", {}),
        ("stripe/refund/pi_nobody", {}),
        ("stripe/refund/pi_nobody", {"amount": "all"}),
        ("stripe/steal/pi_nobody", {}),
    ],
)
def test_a_control_that_makes_no_sense_is_refused_with_a_sentence(simulator, path, body):
    answer = httpx.post(f"{simulator}/_sim/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].endswith(".")
