"""A client is several Stripe customers over time: deliveries over HTTP, Stripe asked over HTTP, in any order."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.jobs import billing as jobs
from admin_app.services import inbox, invariants
from admin_app.simulator.stripe import control_stripe
from models import BillingStatus, Client, ClientCustomer, EventState, Subscription, WebhookEvent
from tests.house import House
from tests.services.client_rows import add_client, client_now
from tests.services.factories import OPERATOR

S = BillingStatus
HUGE = 2_147_483_648


def begin(house: House, email: str, **given: Any) -> tuple[str, str]:
    """The ids of a customer and a subscription; nothing is delivered."""
    made = control_stripe.subscribe(house.simulator, email=email, deliver=False, **given)
    return str(made["customer"]), str(made["id"])


def told(house: House, *about: str) -> list[dict[str, Any]]:
    """Every event that names these ids, as it happened."""
    found = {str(event["id"]): event for each in about for event in control_stripe.events(house.simulator, each)}
    return sorted(found.values(), key=lambda event: event["created"])


def deliver(house: House, events: Sequence[dict[str, Any]]) -> None:
    for event in events:
        assert house.stripe(event).status_code == 200
    house.work()


def customers(house: House, client_id: int) -> set[str]:
    held = select(ClientCustomer.stripe_customer_id).where(ClientCustomer.client_id == client_id)
    return set(house.rows(held))


def holder(house: House, customer: str) -> int | None:
    found = house.rows(select(ClientCustomer).where(ClientCustomer.stripe_customer_id == customer))
    return found[0].client_id if found else None


def parked(house: House) -> list[WebhookEvent]:
    return house.rows(select(WebhookEvent).where(WebhookEvent.state == EventState.PARKED).order_by(WebhookEvent.id))


def is_whole(house: House) -> bool:
    with house.db.read_only() as session:
        return invariants.broken(session, now=house.db.clock()) == []


@pytest.mark.parametrize("names", ["client_id", "customers_client"])
@pytest.mark.parametrize("order", ["as they happened", "backwards", "shuffled and twice"])
def test_a_client_subscribes_again_as_a_second_customer_that_stripe_names(house: House, names: str, order: str) -> None:
    """The subscription's metadata name the client, or the customer's; the first subscription has ended."""
    client_id = add_client(house.db)
    email = f"{names}{order.replace(' ', '')}@example.com"
    first, one = begin(house, email, client_id=client_id)
    deliver(house, told(house, one))
    control_stripe.cancel(house.simulator, one, at_period_end=False, deliver=False)
    second, two = begin(house, email, **{names: client_id})
    events = told(house, one, two)
    if order == "backwards":
        events = events[::-1]
    elif order == "shuffled and twice":
        events = random.Random(7).sample(events * 2, len(events) * 2)
    deliver(house, events)
    client = client_now(house.db, client_id)
    assert (client.billing_status, client.payment_active) == (S.ACTIVE, True)
    assert (client.stripe_customer_id, client.stripe_subscription_id) == (second, two)
    assert customers(house, client_id) == {first, second}
    assert parked(house) == []
    assert is_whole(house)


def test_a_customer_at_each_checkout_and_the_live_one_counts(house: House) -> None:
    client_id = add_client(house.db)
    made = [begin(house, "often@example.com", client_id=client_id) for _ in range(3)]
    for _, subscription in made[::2]:
        control_stripe.cancel(house.simulator, subscription, at_period_end=False, deliver=False)
    deliver(house, told(house, *(subscription for _, subscription in made)))
    client = client_now(house.db, client_id)
    assert (client.stripe_customer_id, client.stripe_subscription_id) == made[1]
    assert customers(house, client_id) == {customer for customer, _ in made}


def test_two_customers_with_a_live_subscription_each_are_both_known_and_one_counts(house: House) -> None:
    """What gives more access counts; of two alike the one that is paid for longest."""
    client_id = add_client(house.db)
    monthly = begin(house, "both@example.com", client_id=client_id)
    yearly = begin(house, "both@example.com", client_id=client_id, interval="year", amount=49_000)
    deliver(house, told(house, monthly[1], yearly[1]))
    client = client_now(house.db, client_id)
    assert (client.stripe_customer_id, client.stripe_subscription_id) == yearly
    control_stripe.fail_invoice(house.simulator, yearly[1], deliver=False)
    deliver(house, told(house, yearly[1]))
    client = client_now(house.db, client_id)
    assert (client.stripe_customer_id, client.stripe_subscription_id) == monthly
    assert (client.billing_status, client.payment_active) == (S.ACTIVE, True)
    assert customers(house, client_id) == {monthly[0], yearly[0]}


def test_a_checkout_that_alone_names_the_client_makes_its_customer_known(house: House) -> None:
    """Of what the checkout began, neither customer nor subscription has metadata, and its event comes last."""
    client_id = add_client(house.db)
    customer, subscription = begin(house, "checkout@example.com")
    events = told(house, subscription)
    deliver(house, events)
    assert [event.parked_because for event in parked(house)] == ["customer_unknown"]
    session = {
        "id": "cs_signup",
        "object": "checkout.session",
        "mode": "subscription",
        "customer": customer,
        "subscription": subscription,
        "payment_intent": None,
        "metadata": {"clientId": str(client_id)},
    }
    about = {"id": "evt_signup", "type": "checkout.session.completed", "data": {"object": session}}
    deliver(house, [events[0] | about])
    assert client_now(house.db, client_id).billing_status is S.ACTIVE
    assert holder(house, customer) == client_id
    assert parked(house) == []


class TestASubscriptionThatNamesNobody:
    def test_waits_by_one_delivery_with_what_stripe_knows_of_the_customer(self, house: House) -> None:
        customer, subscription = begin(house, "who@example.com")
        deliver(house, told(house, subscription))
        (event,) = parked(house)
        assert (event.subject, event.parked_because) == (subscription, "customer_unknown")
        assert "clientId" in inbox.PARKED_SENTENCES["customer_unknown"]
        (row,) = house.rows(select(ClientCustomer).where(ClientCustomer.stripe_customer_id == customer))
        assert (row.client_id, row.email) == (None, "who@example.com")
        assert is_whole(house)

    @pytest.mark.parametrize("how", ["noted here", "customer named", "subscription named", "the client comes later"])
    def test_goes_on_as_soon_as_its_client_is_known(self, house: House, how: str) -> None:
        later = how == "the client comes later"
        number = 4_000_001
        given = {"client_id": number} if later else {}
        customer, subscription = begin(house, f"{how.replace(' ', '')}@example.com", **given)
        deliver(house, told(house, subscription))
        assert len(parked(house)) == 1
        client_id = add_client(house.db, **({"id": number} if later else {}))
        match how:
            case "noted here":
                with house.db.unit_of_work(OPERATOR) as ctx:
                    ctx.session.get_one(Client, client_id).stripe_customer_id = customer
            case "customer named":
                control_stripe.name_client(house.simulator, customer, client_id, deliver=False)
                deliver(house, told(house, customer))
            case "subscription named":
                control_stripe.name_client(house.simulator, subscription, client_id, deliver=False)
                deliver(house, told(house, subscription))
        jobs.queue_waiting(house.bench)
        house.work()
        client = client_now(house.db, client_id)
        assert (client.billing_status, client.stripe_customer_id) == (S.ACTIVE, customer)
        assert parked(house) == []
        assert is_whole(house)

    def test_is_let_go_when_it_ends(self, house: House) -> None:
        _, subscription = begin(house, "shortly@example.com")
        deliver(house, told(house, subscription))
        control_stripe.cancel(house.simulator, subscription, at_period_end=False, deliver=False)
        deliver(house, told(house, subscription))
        assert parked(house) == []


def test_a_subscription_goes_to_another_client_and_back(house: House) -> None:
    """Each has what is theirs at every time; late and repeated deliveries change nothing."""
    one, other = add_client(house.db), add_client(house.db)
    customer, subscription = begin(house, "moves@example.com", client_id=one)
    control_stripe.cancel(house.simulator, subscription, deliver=False)
    deliver(house, told(house, subscription))
    assert client_now(house.db, one).pending_cancellation
    for now, former in ((other, one), (one, other), (other, one)):
        control_stripe.name_client(house.simulator, subscription, now, deliver=False)
        events = told(house, subscription)
        deliver(house, [*events[::-1], *events])
        has, had = client_now(house.db, now), client_now(house.db, former)
        assert (has.billing_status, has.pending_cancellation) == (S.ACTIVE, True)
        assert (has.stripe_customer_id, has.stripe_subscription_id) == (customer, subscription)
        assert (had.billing_status, had.payment_active, had.pending_cancellation) == (S.NONE, False, False)
        assert (had.stripe_customer_id, had.stripe_subscription_id) == (None, None)
        assert holder(house, customer) == now
        assert is_whole(house)


def test_the_customer_goes_to_another_client_with_every_subscription_that_names_nobody(house: House) -> None:
    one, other = add_client(house.db), add_client(house.db)
    customer, first = begin(house, "whole@example.com", customers_client=one)
    _, second = begin(house, "whole@example.com", customer=customer)
    deliver(house, told(house, first, second))
    assert set(house.rows(select(Subscription.client_id))) == {one}
    control_stripe.name_client(house.simulator, customer, other, deliver=False)
    deliver(house, told(house, customer)[-1:])
    assert set(house.rows(select(Subscription.client_id))) == {other}
    assert client_now(house.db, one).billing_status is S.NONE
    assert client_now(house.db, other).stripe_customer_id == customer
    assert is_whole(house)


def test_one_customer_pays_for_two_clients(house: House) -> None:
    """Each subscription is whose it names; the customer stays with whom it began."""
    one, other = add_client(house.db), add_client(house.db)
    customer, first = begin(house, "agency@example.com", client_id=one)
    _, second = begin(house, "agency@example.com", customer=customer, client_id=other)
    deliver(house, told(house, first, second)[::-1])
    deliver(house, told(house, first, second))
    for client_id, subscription in ((one, first), (other, second)):
        client = client_now(house.db, client_id)
        assert (client.billing_status, client.stripe_subscription_id) == (S.ACTIVE, subscription)
    assert {client_now(house.db, each).stripe_customer_id for each in (one, other)} == {customer, None}
    assert is_whole(house)


def test_a_customer_is_deleted_at_stripe(house: House) -> None:
    """Only that is told: the deliveries of the subscriptions that ended with it were lost."""
    client_id = add_client(house.db)
    customer, subscription = begin(house, "gone@example.com", client_id=client_id)
    deliver(house, told(house, subscription))
    control_stripe.delete_customer(house.simulator, customer, deliver=False)
    deliver(house, [event for event in told(house, customer) if event["type"] == "customer.deleted"])
    client = client_now(house.db, client_id)
    assert (client.billing_status, client.payment_active) == (S.CANCELED, False)
    (row,) = house.rows(select(ClientCustomer))
    assert (row.client_id, row.email, row.deleted_at is not None) == (client_id, "gone@example.com", True)
    second, again = begin(house, "gone@example.com", client_id=client_id)
    deliver(house, told(house, again))
    assert client_now(house.db, client_id).stripe_customer_id == second
    assert customers(house, client_id) == {customer, second}


def test_amounts_beyond_32_bit_are_stored(house: House) -> None:
    client_id = add_client(house.db)
    _, subscription = begin(house, "large@example.com", client_id=client_id, amount=HUGE, currency="idr")
    control_stripe.fail_invoice(house.simulator, subscription, deliver=False)
    deliver(house, told(house, subscription))
    assert client_now(house.db, client_id).billing_status is S.PAST_DUE
    (row,) = house.rows(select(Subscription))
    assert (row.monthly_amount, row.amount_due) == (HUGE, HUGE)
