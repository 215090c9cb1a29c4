"""What Stripe's subscriptions become, complete or not, and which one an event is about."""

import json
from collections.abc import Callable

import pytest

from admin_app.config import Settings
from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import stripe
from admin_app.integrations.money_ports import StripeCustomer, StripePort
from admin_app.integrations.stripe import stripe_subscriptions
from tests.integrations.conftest import ScriptedProvider
from tests.integrations.signing import OWN_EVENTS, events, shared_events
from tests.integrations.stripe_objects import (
    BARE,
    ENDS,
    STARTS,
    at,
    discount,
    in_steps,
    invoice,
    item,
    read,
    subscription,
)

PATH = "/v1/subscriptions/sub_1"
EXPANDED = f"{PATH}?expand%5B0%5D=latest_invoice&expand%5B1%5D=customer"
LISTED = "/v1/subscriptions?status=all&limit=100&expand%5B0%5D=data.latest_invoice&expand%5B1%5D=data.customer"
ERROR = {"error": {"type": "api_error", "message": "Sorry."}}


@pytest.fixture
def port(settings: Callable[..., Settings], provider: ScriptedProvider) -> StripePort:
    return stripe.client(settings(stripe_secret_key="sk_test_1", stripe_api_base=f"{provider.url}/"))


class TestShapes:
    @pytest.mark.parametrize(
        ("items", "monthly"),
        [
            ([], 0),
            ([item(4_900)], 4_900),
            ([item(4_900, quantity=3)], 14_700),
            ([item(4_900, quantity=0)], 0),
            ([item(4_900, quantity=None)], 4_900),
            ([item(12_000, "year")], 1_000),
            ([item(30_000, "month", 3)], 10_000),
            ([item(24_000, "year", 2)], 1_000),
            ([item(1_200, "week")], 5_200),
            ([item(365, "day")], 11_102),  # 365 × 365 / 12 = 11,102.08
            ([item(6, "year")], 0),  # a half, to the even side
            ([item(18, "year")], 2),
            ([item(6, "year"), item(6, "year")], 1),  # rounded once, not item by item
            ([item(5_000, "month"), item(12_000, "year")], 6_000),
            ([item(None, unit_amount_decimal="12.5", quantity=2)], 25),
            ([item(None, tiers_mode="graduated")], 0),
            ([item(100, usage_type="metered", quantity=None)], 0),
            ([item(100, "fortnight")], 0),
            ([item(100, "month", 0)], 0),
            (
                [{"quantity": 2, "plan": {"id": "plan_1", "amount": 700, "interval": "week", "interval_count": 2}}],
                3_033,
            ),
        ],
    )
    def test_every_item_is_brought_to_a_month(self, items, monthly):
        assert read(subscription(*items)).monthly_amount == monthly

    def test_a_bare_one_is_read(self):
        found = read(BARE)
        assert (found.id, found.customer_id, found.status, found.monthly_amount) == ("sub_1", "cus_1", "active", 0)
        assert (found.amount_due, found.past_due_since, found.client_id, found.currency) == (0, None, None, None)
        assert not found.cancel_at_period_end
        assert not found.collection_paused

    @pytest.mark.parametrize("part", [{"id": None}, {"customer": None}, {"status": ""}, {"status": 5}], ids=str)
    def test_without_what_matters_it_is_none(self, part):
        assert stripe_subscriptions.subscription(BARE | part) is None

    def test_everything_is_read(self):
        found = read(
            subscription(
                item(4_900),
                currency="usd",
                customer={"id": "cus_2", "object": "customer"},
                pause_collection={"behavior": "void"},
                trial_end=STARTS,
                cancel_at_period_end=True,
                cancel_at=ENDS,
                canceled_at=STARTS + 1,
                ended_at=ENDS + 1,
                start_date=STARTS - 1,
                metadata={"clientId": "12"},
            )
        )
        assert (found.customer_id, found.currency, found.price_id, found.client_id) == ("cus_2", "usd", "price_1", 12)
        assert (found.current_period_start, found.current_period_end) == (at(STARTS), at(ENDS))
        assert (found.trial_end, found.cancel_at, found.canceled_at) == (at(STARTS), at(ENDS), at(STARTS + 1))
        assert (found.ended_at, found.started_at) == (at(ENDS + 1), at(STARTS - 1))
        assert found.cancel_at_period_end
        assert found.collection_paused

    def test_who_is_late_is_so_since_a_day_even_when_little_is_told(self):
        assert read(BARE | {"status": "past_due", "created": STARTS}).past_due_since == at(STARTS)
        assert read(BARE | {"status": "paused", "created": STARTS, "trial_end": ENDS}).past_due_since == at(ENDS)

    def test_the_period_of_older_versions_is_read(self):
        found = read(BARE | {"current_period_start": STARTS, "current_period_end": ENDS})
        assert (found.current_period_start, found.current_period_end) == (at(STARTS), at(ENDS))

    @pytest.mark.parametrize(
        ("status", "latest", "due", "since"),
        [
            ("past_due", invoice(), 4_900, STARTS + 60),
            ("past_due", invoice(due_date=STARTS + 500), 4_900, STARTS + 500),
            ("unpaid", invoice(amount_remaining=100), 100, STARTS + 60),
            ("active", invoice(), 4_900, None),
            ("active", invoice(status="paid", amount_remaining=0), 0, None),
            ("past_due", invoice(status="draft"), 0, STARTS),
            ("past_due", "in_1", 0, STARTS),
            ("past_due", None, 0, STARTS),
            ("paused", None, 0, STARTS),
            ("a_word_of_another_day", invoice(), 4_900, STARTS + 60),
            ("canceled", invoice(), 4_900, None),
        ],
    )
    def test_what_is_due_is_of_the_open_invoice(self, status, latest, due, since):
        found = read(subscription(item(4_900), status=status, latest_invoice=latest))
        assert found.amount_due == due
        assert found.past_due_since == (at(since) if since else None)
        assert (found.next_payment_attempt is not None) == (due > 0)

    @pytest.mark.parametrize("note", [{"clientId": "x"}, {"clientId": "0"}, {"clientId": 5}, {"client": "5"}, None])
    def test_only_a_number_of_ours_is_a_client(self, note):
        assert read(BARE | {"metadata": note}).client_id is None


class TestCalls:
    def test_what_is_cut_off_is_asked_for_to_its_end(self, port, provider):
        """Twelve items of 49 euros, of which the subscription itself tells ten."""
        every = [item(4_900) | {"id": f"si_{number}"} for number in range(12)]
        cut = subscription(*every[:10])
        cut["items"] |= {"has_more": True, "url": "/v1/subscription_items?subscription=sub_1"}
        path = "/v1/subscription_items?subscription=sub_1&limit=100"
        path += "&expand%5B0%5D=data.price.tiers&expand%5B1%5D=data.discounts.source.coupon"
        page = {"object": "list", "url": "/v1/subscription_items"}
        provider.answers |= {
            EXPANDED: (200, cut),
            path: (200, page | {"has_more": True, "data": every[:8]}),
            f"{path}&starting_after=si_7": (200, page | {"has_more": False, "data": every[8:]}),
        }
        assert port.subscription("sub_1").monthly_amount == 58_800
        for trouble in (404, 403, 500):
            provider.answers[path] = (trouble, ERROR)
            with pytest.raises(ProviderUnavailable):
                port.subscription("sub_1")

    def test_steps_and_coupons_are_asked_for_where_there_are_some(self, port, provider):
        bare = item(None, quantity=6, billing_scheme="tiered", tiers_mode="graduated")
        provider.answers[LISTED] = (
            200,
            {
                "object": "list",
                "url": "/v1/subscriptions",
                "has_more": False,
                "data": [subscription(bare, discounts=["di_1"], currency="eur")],
            },
        )
        told = {"object": "list", "url": "/", "has_more": False, "data": [in_steps(6, "graduated")]}
        provider.answers["/v1/subscription_items"] = (200, told)
        provider.answers[PATH] = (200, subscription(bare, discounts=[discount(percent=50)]))
        (found,) = port.subscriptions()
        assert found.monthly_amount == 2_075
        assert [path.partition("?")[0] for path, _ in provider.requests][1:] == ["/v1/subscription_items", PATH]

    def test_the_coupon_of_a_customer_is_asked_for_where_it_counts(self, port, provider):
        bare = {"id": "di_1", "object": "discount", "source": {"type": "coupon", "coupon": "co_1"}}
        customer = {"id": "cus_1", "object": "customer", "discount": bare}
        provider.answers[EXPANDED] = (200, subscription(item(4_900), customer=customer, currency="eur"))
        told = customer | {"discount": discount(percent=50)}
        path = "/v1/customers/cus_1?expand%5B0%5D=discount.source.coupon.applies_to"
        provider.answers[f"{path}&expand%5B1%5D=discount.source.coupon.currency_options"] = (200, told)
        assert port.subscription("sub_1").monthly_amount == 2_450
        half = [discount(percent=50)]
        provider.answers[EXPANDED] = (200, subscription(item(4_900), customer=customer, discounts=half))
        assert port.subscription("sub_1").monthly_amount == 2_450
        assert len(provider.requests) == 3

    def test_what_is_told_of_the_customer(self, port, provider):
        told = {"id": "cus_1", "object": "customer", "email": "a@b.example", "name": "A", "metadata": {"clientId": "7"}}
        provider.answers[EXPANDED] = (200, subscription(item(4_900), customer=told))
        assert port.subscription("sub_1").customer == StripeCustomer("cus_1", "a@b.example", "A", 7)
        provider.answers["/v1/customers/cus_1"] = (200, {"id": "cus_1", "object": "customer", "deleted": True})
        assert port.customer("cus_1") == StripeCustomer("cus_1", is_deleted=True)
        provider.answers["/v1/customers/cus_1"] = (404, ERROR)
        assert port.customer("cus_1") is None

    def test_one_question_answers_all(self, port, provider):
        provider.answers[EXPANDED] = (200, subscription(item(4_900), latest_invoice=invoice()))
        assert port.subscription("sub_1").amount_due == 4_900
        provider.answers[EXPANDED] = (200, subscription(item(4_900), status="past_due", latest_invoice="in_1"))
        assert port.subscription("sub_1").amount_due == 0
        assert len(provider.requests) == 2

    @pytest.mark.parametrize("latest", [invoice(), invoice(status="draft")])
    def test_who_is_late_owes_every_open_invoice_since_the_first(self, port, provider, latest):
        late = subscription(item(4_900), status="past_due", latest_invoice=latest)
        first = invoice(id="in_0", created=STARTS - 90, next_payment_attempt=None)
        listed = {"object": "list", "url": "/v1/invoices", "has_more": False, "data": [invoice(), first]}
        provider.answers |= {EXPANDED: (200, late), "/v1/invoices": (200, listed)}
        found = port.subscription("sub_1")
        assert (found.amount_due, found.past_due_since) == (9_800, at(STARTS - 90))
        assert found.next_payment_attempt == at(STARTS + 9_000)
        assert provider.requests[-1][0] == "/v1/invoices?subscription=sub_1&status=open&limit=100"
        provider.answers["/v1/invoices"] = (403, ERROR)
        assert port.subscription("sub_1").amount_due == (4_900 if latest["status"] == "open" else 0)
        provider.answers["/v1/invoices"] = (500, ERROR)
        with pytest.raises(ProviderUnavailable):
            port.subscription("sub_1")

    def test_the_period_of_an_invoice_is_that_of_all_its_lines(self, port, provider):
        proration = {"parent": {"subscription_item_details": {"proration": True}}, "period": {"start": 1, "end": 2}}
        whole = {"parent": None, "period": {"start": STARTS, "end": ENDS}}
        cut = {"object": "list", "data": [proration] * 10, "has_more": True, "url": "/v1/invoices/in_1/lines"}
        paid = invoice(status="paid", amount_due=4_900, lines=cut)
        intent = {"id": "pi_1", "object": "payment_intent", "currency": "eur", "status": "succeeded"}
        payment = {"type": "payment_intent", "payment_intent": intent}
        one = {"id": "inpay_1", "object": "invoice_payment", "status": "paid", "amount_paid": 4_900, "created": STARTS}
        listed = {"object": "list", "has_more": False}
        provider.answers |= {
            "/v1/invoices": (200, listed | {"url": "/v1/invoices", "data": [paid]}),
            "/v1/invoices/in_1/lines": (200, listed | {"url": cut["url"], "data": [*cut["data"], whole]}),
            "/v1/invoice_payments": (
                200,
                listed | {"url": "/v1/invoice_payments", "data": [one | {"payment": payment}]},
            ),
        }
        (found,) = port.invoice_payments_of("sub_1")
        assert (found.period_start, found.period_end) == (at(STARTS), at(ENDS))

    def test_an_item_that_stripe_refuses_is_named_and_the_next_is_read(self, port, provider):
        many = subscription(item(4_900), id="sub_odd")
        many["items"] |= {"has_more": True, "url": "/v1/subscription_items"}
        page = {"object": "list", "url": "/v1/subscriptions", "has_more": False}
        provider.answers[LISTED] = (200, page | {"data": [many, subscription(item(4_900))]})
        provider.answers["/v1/subscription_items"] = (404, ERROR)
        assert [found.id for found in port.subscriptions()] == ["sub_odd", "sub_1"]
        provider.answers["/v1/subscription_items"] = (500, ERROR)
        with pytest.raises(ProviderUnavailable):
            list(port.subscriptions())

    def test_an_unknown_subscription_is_none(self, port, provider):
        provider.answers[EXPANDED] = (404, {"error": {"type": "invalid_request_error", "code": "resource_missing"}})
        assert port.subscription("sub_1") is None
        assert port.subscription("") is None
        assert port.subscriptions_of("") == []

    def test_lists_are_walked_page_by_page_and_end_never_early(self, port, provider):
        page = {"object": "list", "url": "/v1/subscriptions", "has_more": True, "data": [subscription(item(4_900))]}
        provider.answers[LISTED] = (200, page)
        every = port.subscriptions()
        assert next(every).id == "sub_1"
        # The next page cannot be had: nothing is a gap, not even what is not there any more.
        provider.answers[f"{LISTED}&starting_after=sub_1"] = (404, ERROR)
        with pytest.raises(ProviderUnavailable):
            next(every)
        with pytest.raises(ProviderUnavailable):
            list(port.subscriptions())

    @pytest.mark.parametrize("answer", [(500, ERROR), (404, ERROR), (200, []), (200, {"data": [{"id": "x"}]})], ids=str)
    def test_a_list_that_cannot_be_read_is_a_trouble(self, port, provider, answer):
        provider.answers[LISTED] = answer
        with pytest.raises(ProviderUnavailable):
            list(port.subscriptions())

    @pytest.mark.parametrize(
        ("status", "trouble"),
        [(500, OutcomeUnknown), (409, OutcomeUnknown), (404, ProviderRefused), (400, ProviderRefused)],
    )
    def test_a_change_says_whether_it_may_have_happened(self, port, provider, status, trouble):
        provider.answers[PATH] = (status, ERROR)
        for change in (
            lambda: port.set_cancel_at_period_end("sub_1", True, idempotency_key="k"),
            lambda: port.extend_trial("sub_1", at(ENDS), idempotency_key="k"),
        ):
            with pytest.raises(trouble):
                change()
        assert {headers["Idempotency-Key"] for _, headers in provider.requests} == {"k"}

    def test_an_end_says_whether_it_may_have_happened(self, port, provider):
        for answer, trouble in (
            ((500, {}), OutcomeUnknown),
            ((429, ERROR), ProviderUnavailable),
            ((404, {"error": {"type": "invalid_request_error", "code": "resource_missing"}}), ProviderRefused),
        ):
            provider.answers[PATH] = answer
            with pytest.raises(trouble):
                port.cancel_subscription("sub_1")
        provider.answers[PATH] = (200, subscription(item(4_900), status="canceled"))
        assert port.cancel_subscription("sub_1").status == "canceled"

    def test_what_is_sent(self, port, provider):
        provider.answers[PATH] = (200, subscription(item(4_900), cancel_at_period_end=True))
        assert port.set_cancel_at_period_end("sub_1", True, idempotency_key="k").cancel_at_period_end
        port.extend_trial("sub_1", at(ENDS), idempotency_key="l")
        assert [content for _, content in provider.posted] == [
            b"cancel_at_period_end=true&expand[0]=latest_invoice&expand[1]=customer",
            f"trial_end={ENDS}&proration_behavior=none&expand[0]=latest_invoice&expand[1]=customer".encode(),
        ]


@pytest.mark.parametrize("path", events("stripe") + shared_events("stripe"), ids=lambda path: path.stem)
def test_events_name_their_subscription(path):
    about = json.loads(path.read_bytes())["data"]["object"]
    wanted = None
    if about["object"] == "subscription":
        wanted = about["id"]
    if about["object"] == "invoice" and about["parent"]:
        wanted = about["parent"]["subscription_details"]["subscription"]
    assert stripe.parse_event(path.read_bytes()).subscription_id == wanted


@pytest.mark.parametrize(
    ("about", "named"),
    [
        ({"object": "invoice", "parent": {"subscription_details": {"subscription": {"id": "sub_9"}}}}, "sub_9"),
        ({"object": "invoice", "parent": None, "subscription": "sub_9"}, "sub_9"),
        ({"object": "invoice", "parent": {"quote_details": {}}}, None),
        ({"object": "charge", "subscription": "sub_9"}, None),
    ],
    ids=str,
)
def test_other_forms_of_an_invoice_name_it_too(about, named):
    body = json.loads((OWN_EVENTS / "stripe" / "checkout.session.completed.json").read_bytes())
    event = stripe.parse_event(json.dumps(body | {"data": {"object": {"id": "in_1"} | about}}).encode())
    assert event.subscription_id == named
