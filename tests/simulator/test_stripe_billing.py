"""The product's Stripe adapter against the simulated subscriptions: how they begin, fail, change and end."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import stripe
from admin_app.integrations.money_ports import StripePort, StripeSubscription
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from tests.integrations.signing import STRIPE_SECRET
from tests.simulator.test_stripe import wish

# Stripe's own example: fonts at 7 USD, from the sixth at 6.50, from the eleventh at 6.
FONTS = [{"up_to": 5, "unit_amount": 700}, {"up_to": 10, "unit_amount": 650}, {"unit_amount": 600}]
SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
STARTED = int(time.time()) - 40 * 86_400


def seeded(subscription_id: str, **changed: Any) -> dict[str, Any]:
    """What seeding takes, of a subscription that is paid for."""
    given = {
        "subscription_id": subscription_id,
        "customer_id": f"cus_of_{subscription_id}",
        "price_id": f"price_of_{subscription_id}",
        "email": "ada@example.com",
        "name": "Ada’s Bakery",
        "client_id": 12,
        "amount": 4_900,
        "currency": "eur",
        "interval": "month",
        "status": "active",
        "started_at": STARTED,
        "period_start": STARTED + 30 * 86_400,
        "period_end": STARTED + 60 * 86_400,
        "trial_end": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "ended_at": None,
        "paused": False,
        "amount_due": 0,
        "invoice_at": STARTED + 30 * 86_400,
        "next_payment_attempt": None,
    }
    return given | changed


@pytest.fixture
def port(providers) -> StripePort:
    return providers.stripe


@pytest.fixture
def active(simulator) -> str:
    return control_stripe.subscribe(simulator, email="ada@example.com", client_id=12, deliver=False)["id"]


@pytest.fixture
def trialing(simulator) -> str:
    return control_stripe.subscribe(simulator, email="ada@example.com", trial_days=7, deliver=False)["id"]


def now_of(port: StripePort, identity: str) -> StripeSubscription:
    found = port.subscription(identity)
    assert found is not None
    return found


class TestLife:
    def test_one_that_is_paid_for(self, port, active):
        found = now_of(port, active)
        assert (found.status, found.monthly_amount, found.currency, found.client_id) == ("active", 4_900, "eur", 12)
        assert (found.amount_due, found.past_due_since, found.trial_end) == (0, None, None)
        assert found.current_period_end - found.current_period_start == timedelta(days=30)
        assert port.subscriptions_of(found.customer_id) == [found]

    def test_a_card_that_fails_is_tried_again_until_it_is_given_up(self, simulator, port, active):
        control_stripe.fail_invoice(simulator, active, deliver=False)
        late = now_of(port, active)
        assert (late.status, late.amount_due) == ("past_due", 4_900)
        assert late.past_due_since == late.current_period_start
        assert late.next_payment_attempt > datetime.now(UTC)
        for _ in range(3):
            control_stripe.fail_invoice(simulator, active, deliver=False)
        given_up = now_of(port, active)
        assert (given_up.status, given_up.amount_due, given_up.next_payment_attempt) == ("unpaid", 4_900, None)
        assert given_up.past_due_since == late.past_due_since
        control_stripe.pay_invoice(simulator, active, deliver=False)
        assert (now_of(port, active).status, now_of(port, active).amount_due) == ("active", 0)

    @pytest.mark.parametrize(
        ("items", "discounts", "monthly"),
        [
            ([{"amount": 4_900, "quantity": 25, "packages": {"divide_by": 10, "round": "up"}}], [], 14_700),
            ([{"amount": 4_900, "quantity": 25, "packages": {"divide_by": 10, "round": "down"}}], [], 9_800),
            ([{"tiers": FONTS, "quantity": 6}], [], 4_150),
            ([{"tiers": FONTS, "quantity": 20, "tiers_mode": "volume"}], [], 12_000),
            ([{"tiers": [{"up_to": 5, "unit_amount": 500, "flat_amount": 1_000}, {}], "quantity": 7}], [], 3_500),
            ([{"amount_decimal": "0.05", "quantity": 30}] * 3, [], 6),
            ([{"amount": 4_900}] * 12, [], 58_800),
            ([{"amount": 10_000}], [{"percent_off": 33.33}], 6_667),
            ([{"amount": 10_000}], [{"percent_off": 20}, {"amount_off": 500}], 7_500),
            ([{"amount": 10_000, "product": "prod_1"}, {}], [{"percent_off": 50, "products": ["prod_1"]}], 9_900),
            (
                [{"amount": 10_000, "discounts": [{"amount_off": 2_000}]}, {"amount": 2_000}],
                [{"percent_off": 10}],
                9_000,
            ),
        ],
    )
    def test_the_first_invoice_is_what_a_month_is_said_to_cost(self, simulator, port, items, discounts, monthly):
        """Two computations of one price: the simulator's of its invoice, and the product's of what recurs."""
        made = control_stripe.subscribe(
            simulator, email="ada@example.com", items=items, discounts=discounts, deliver=False
        )
        (invoice,) = control_stripe.invoices(simulator)
        found = now_of(port, made["id"])
        assert (found.monthly_amount, invoice["total"]) == (monthly, monthly)
        assert port.subscriptions_of(found.customer_id) == [found]
        assert made["items"]["has_more"] == (len(items) > 10)

    @pytest.mark.parametrize("of_item", [False, True])
    @pytest.mark.parametrize(
        ("duration", "paid"),
        [
            ({"duration": "once"}, [2_450, 4_900, 4_900, 4_900]),
            ({"duration": "repeating", "duration_in_months": 2}, [2_450, 2_450, 4_900, 4_900]),
            ({"duration": "forever"}, [2_450, 2_450, 2_450, 2_450]),
        ],
    )
    def test_only_a_discount_for_ever_is_in_what_recurs(self, simulator, port, duration, paid, of_item):
        half = [{"percent_off": 50} | duration]
        wanted = {"items": [{"discounts": half}]} if of_item else {"discounts": half}
        begun = control_stripe.subscribe(simulator, email="ada@example.com", deliver=False, **wanted)
        recurs = 2_450 if duration["duration"] == "forever" else 4_900
        assert now_of(port, begun["id"]).monthly_amount == recurs
        control_stripe.rewind(simulator, begun["id"], days=91)
        assert now_of(port, begun["id"]).monthly_amount == recurs
        assert [invoice["total"] for invoice in control_stripe.invoices(simulator)] == paid

    @pytest.mark.parametrize(("own", "monthly"), [([], 4_410), ([{"percent_off": 50}], 2_450)])
    def test_a_customers_discount_is_in_what_recurs_and_on_the_invoices(self, simulator, port, own, monthly):
        begun = control_stripe.subscribe(simulator, email="ada@example.com", discounts=own, deliver=False)
        control_stripe.discount_customer(simulator, begun["customer"], [{"percent_off": 10}], deliver=False)
        control_stripe.pay_invoice(simulator, begun["id"], deliver=False)
        assert now_of(port, begun["id"]).monthly_amount == monthly
        assert port.subscriptions_of(begun["customer"])[0].monthly_amount == monthly
        assert control_stripe.invoices(simulator)[-1]["total"] == monthly
        control_stripe.discount_customer(simulator, begun["customer"], [], deliver=False)
        assert now_of(port, begun["id"]).monthly_amount == (2_450 if own else 4_900)

    def test_items_of_different_length_are_paid_for_when_each_is_due(self, simulator, port):
        items = [{"amount": 10_000, "interval_count": 3}, {"amount": 1_500}]
        begun = control_stripe.subscribe(simulator, email="ada@example.com", items=items, deliver=False)
        found = now_of(port, begun["id"])
        assert found.monthly_amount == 4_833
        assert found.current_period_end - found.current_period_start == timedelta(days=30)
        control_stripe.rewind(simulator, begun["id"], days=91)
        assert now_of(port, begun["id"]).current_period_end > datetime.now(UTC)
        assert [each["total"] for each in control_stripe.invoices(simulator)] == [11_500, 1_500, 1_500, 11_500]

    @pytest.mark.parametrize(("pays", "status"), [(True, "active"), (False, "past_due")])
    def test_a_trial_ends(self, simulator, port, trialing, pays, status):
        on_trial = now_of(port, trialing)
        assert (on_trial.status, on_trial.amount_due, on_trial.client_id) == ("trialing", 0, None)
        assert on_trial.trial_end == on_trial.current_period_end
        control_stripe.end_trial(simulator, trialing, pays=pays, deliver=False)
        over = now_of(port, trialing)
        assert (over.status, over.amount_due) == (status, 0 if pays else 4_900)
        assert over.trial_end <= datetime.now(UTC)
        with pytest.raises(ValueError, match="not on trial"):
            control_stripe.end_trial(simulator, trialing, deliver=False)

    def test_a_price_changes_and_collection_pauses(self, simulator, port, active):
        control_stripe.change_price(simulator, active, amount=48_000, interval="year", deliver=False)
        assert now_of(port, active).monthly_amount == 4_000
        control_stripe.pause(simulator, active, deliver=False)
        assert (now_of(port, active).status, now_of(port, active).collection_paused) == ("active", True)
        control_stripe.pause(simulator, active, on=False, deliver=False)
        assert not now_of(port, active).collection_paused

    def test_it_is_canceled_as_of_its_end_or_now(self, simulator, port, active):
        control_stripe.cancel(simulator, active, deliver=False)
        ending = now_of(port, active)
        assert (ending.status, ending.cancel_at_period_end) == ("active", True)
        assert ending.cancel_at == ending.current_period_end
        assert ending.canceled_at <= datetime.now(UTC)
        control_stripe.uncancel(simulator, active, deliver=False)
        assert (now_of(port, active).cancel_at, now_of(port, active).canceled_at) == (None, None)
        control_stripe.cancel(simulator, active, at_period_end=False, deliver=False)
        assert (now_of(port, active).status, now_of(port, active).ended_at is not None) == ("canceled", True)
        with pytest.raises(ValueError, match="has ended"):
            control_stripe.pay_invoice(simulator, active)

    def test_time_renews_it_and_ends_what_was_canceled(self, simulator, port, active, trialing, monkeypatch):
        control_stripe.cancel(simulator, active, deliver=False)
        later = time.time() + 40 * 86_400
        monkeypatch.setattr("admin_app.simulator.stripe.stripe_records.now", lambda: int(later))
        ended, renewed = now_of(port, active), now_of(port, trialing)
        assert (ended.status, ended.ended_at) == ("canceled", ended.cancel_at)
        assert renewed.status == "active"
        assert renewed.current_period_start <= datetime.fromtimestamp(later, UTC) < renewed.current_period_end


class TestChanges:
    def test_a_cancellation_is_set_and_taken_back(self, port, active):
        assert port.set_cancel_at_period_end(active, True, idempotency_key="a").cancel_at_period_end
        assert not port.set_cancel_at_period_end(active, False, idempotency_key="b").cancel_at_period_end
        assert now_of(port, active).cancel_at is None

    def test_a_trial_is_given_and_extended(self, port, active, trialing):
        for number, identity in enumerate((active, trialing)):
            extended = port.extend_trial(identity, SOON, idempotency_key=f"trial-{number}")
            assert (extended.status, extended.trial_end, extended.current_period_end) == ("trialing", SOON, SOON)
            assert now_of(port, identity) == extended

    def test_what_stripe_would_refuse_is_refused(self, simulator, port, active):
        with pytest.raises(ProviderRefused) as refused:
            port.extend_trial(active, datetime.now(UTC) - timedelta(hours=1), idempotency_key="a")
        assert refused.value.reason == "parameter_invalid"
        with pytest.raises(ProviderRefused) as refused:
            port.set_cancel_at_period_end("sub_nobody", True, idempotency_key="b")
        assert refused.value.reason == "resource_missing"
        control_stripe.cancel(simulator, active, at_period_end=False, deliver=False)
        with pytest.raises(ProviderRefused):
            port.set_cancel_at_period_end(active, True, idempotency_key="c")

    @pytest.mark.parametrize("mode", ["500", "apply-then-drop", "apply-then-500"])
    def test_one_failure_changes_once(self, simulator, port, active, mode):
        control.fault(simulator, "stripe", mode)
        assert port.set_cancel_at_period_end(active, True, idempotency_key="a").cancel_at_period_end
        assert len(updates(simulator, active)) == 1

    @pytest.mark.parametrize(("mode", "made"), [("500", False), ("apply-then-drop", True), ("apply-then-500", True)])
    def test_lasting_failures_leave_the_outcome_unknown(self, simulator, port, trialing, mode, made):
        for key, change, holds in (
            ("a", lambda: port.set_cancel_at_period_end(trialing, True, idempotency_key="a"), "cancel_at_period_end"),
            ("b", lambda: port.extend_trial(trialing, SOON, idempotency_key="b"), "trial_end"),
        ):
            before = getattr(now_of(port, trialing), holds)
            control.fault(simulator, "stripe", mode, times=3)
            with pytest.raises(OutcomeUnknown):
                change()
            assert (getattr(now_of(port, trialing), holds) != before) is made, key
            change()
            assert getattr(now_of(port, trialing), holds) != before
        assert len(updates(simulator, trialing)) == 2


def updates(simulator: str, identity: str) -> list[dict[str, Any]]:
    return [
        event
        for event in control_stripe.events(simulator, identity)
        if event["type"] == "customer.subscription.updated"
    ]


class TestLists:
    def test_every_subscription_is_listed_once_whatever_its_status(self, simulator, port):
        wanted = [
            seeded(f"sub_{number:03}", status="canceled" if number % 3 == 0 else "active", started_at=STARTED + number)
            for number in range(130)
        ]
        assert control_stripe.seed_subscriptions(simulator, wanted) == 130
        assert control_stripe.seed_subscriptions(simulator, wanted) == 130
        listed = [found.id for found in port.subscriptions()]
        assert listed == [item["subscription_id"] for item in reversed(wanted)]
        shown = httpx.get(
            f"{simulator}/stripe/v1/subscriptions?limit=100", headers={"Authorization": "Bearer sk_test_sim"}
        ).json()
        assert (len(shown["data"]), shown["has_more"]) == (86, False)

    def test_what_is_due_is_known_of_each(self, simulator, port):
        control_stripe.seed_subscriptions(
            simulator, [seeded("sub_1", status="past_due", amount_due=4_900, next_payment_attempt=STARTED + 99)]
        )
        (found,) = port.subscriptions()
        assert (found.amount_due, found.status) == (4_900, "past_due")
        assert found.past_due_since == datetime.fromtimestamp(STARTED + 30 * 86_400, UTC)
        assert port.subscription("sub_1") == found

    def test_sessions_refunds_and_disputes_since_a_moment(self, simulator, port, monkeypatch):
        then = int(time.time())
        made = []
        for number in range(3):
            monkeypatch.setattr("admin_app.simulator.stripe.stripe_records.now", lambda now=then + number * 60: now)
            open_till = datetime.fromtimestamp(then + 3_600, UTC)
            made.append(port.create_checkout(wish(expires_at=open_till), idempotency_key=f"k{number}").id)
            payment = control_stripe.pay(simulator, made[-1], deliver=False)["payment_intent"]
            refund = control_stripe.refund(simulator, payment, amount=100, deliver=False)["id"]
            dispute = control_stripe.dispute(simulator, payment, deliver=False)["id"]
        since = datetime.fromtimestamp(then + 60, UTC)
        assert [found.id for found in port.sessions_since(since)] == [made[2], made[1]]
        assert len(list(port.refunds_since(since))) == len(list(port.disputes_since(since))) == 2
        latest = datetime.fromtimestamp(then + 120, UTC)
        assert [found.id for found in port.refunds_since(latest)] == [refund]
        assert [(found.id, found.payment_intent_id) for found in port.disputes_since(latest)] == [(dispute, payment)]
        assert list(port.sessions_since(latest + timedelta(seconds=1))) == []

    def test_a_list_that_breaks_off_is_a_trouble(self, simulator, port, active):
        for mode in ("500", "429"):
            control.fault(simulator, "stripe", mode, times=3)
            with pytest.raises(ProviderUnavailable):
                list(port.subscriptions())
            control.fault(simulator, "stripe", "off")


def test_each_act_is_told_by_a_signed_event(simulator, port, receiver):
    identity = control_stripe.subscribe(simulator, email="ada@example.com", client_id=12)["id"]
    control_stripe.fail_invoice(simulator, identity)
    control_stripe.pay_invoice(simulator, identity)
    port.set_cancel_at_period_end(identity, True, idempotency_key="a")
    control_stripe.cancel(simulator, identity, at_period_end=False)
    seen = []
    for _, headers, raw in receiver.wait_for(8):
        stripe.verify(raw, headers, STRIPE_SECRET, datetime.now(UTC))
        event = stripe.parse_event(raw)
        assert event.subscription_id == identity
        seen.append(event.type)
    assert seen == [
        *("customer.subscription.created", "invoice.paid"),
        *("invoice.payment_failed", "customer.subscription.updated"),
        *("invoice.paid", "customer.subscription.updated"),
        *("customer.subscription.updated", "customer.subscription.deleted"),
    ]
    told = [json.loads(raw)["data"].get("previous_attributes") for _, _, raw in receiver.wait_for(8)]
    assert told[3]["status"] == "active"
    assert told[6]["cancel_at_period_end"] is False


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("subscriptions", {}),
        ("subscriptions", {"email": "a@example.com", "interval": "blue moon"}),
        ("subscriptions", {"email": "a@example.com", "amount": "much"}),
        ("subscriptions", {"email": "a@example.com", "trial_days": 0}),
        ("subscriptions", {"email": "a@example.com", "items": "many"}),
        ("subscriptions", {"email": "a@example.com", "items": [{"tiers": FONTS, "packages": {"divide_by": 2}}]}),
        ("subscriptions/sub_nobody/cancel", {}),
        ("subscriptions/sub_nobody/steal", {}),
        ("subscriptions/sub_nobody/cancel", {"at_period_end": "yes"}),
    ],
)
def test_a_control_that_makes_no_sense_is_refused_with_a_sentence(simulator, path, body):
    answer = httpx.post(f"{simulator}/_sim/stripe/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].endswith(".")


def test_the_home_page_does_it_by_hand(simulator, port):
    client = httpx.Client(base_url=f"{simulator}/_sim", follow_redirects=True)
    wanted = {"email": "ada@example.com", "client_id": "12", "amount": "49", "interval": "month", "trial_days": "7"}
    assert "ada@example.com" in client.post("/pages/stripe/subscribe", data=wanted).text
    (made,) = control_stripe.subscriptions(simulator)
    assert made["metadata"] == {"clientId": "12"}

    def press(act: str, **more: str) -> StripeSubscription:
        page = client.post(f"/pages/stripe/subscriptions/{made['id']}", data={"act": act} | more)
        assert page.status_code == 200
        return now_of(port, made["id"])

    assert press("trial-unpaid").status == "past_due"
    assert press("pay-invoice").status == "active"
    assert press("change-price", amount="99").monthly_amount == 9_900
    assert press("pause").collection_paused
    assert not press("resume").collection_paused
    assert press("cancel").cancel_at_period_end
    assert not press("uncancel").cancel_at_period_end
    assert press("cancel-now").status == "canceled"
    refused = client.post(f"/pages/stripe/subscriptions/{made['id']}", data={"act": "change-price", "amount": "x"})
    assert refused.status_code == 422
