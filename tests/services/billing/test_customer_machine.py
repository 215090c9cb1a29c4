"""Clients, customers and subscriptions in any order: names change at Stripe, answers come late and twice.

The other programs write the columns of `clients` meanwhile. Whatever happened, once everything was asked about again,
each subscription is whose Stripe names, and every client has what is theirs.
"""

from datetime import datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, select

from admin_app.integrations.money_ports import StripeCustomer, StripeSubscription
from admin_app.services import billing, invariants
from admin_app.services.invariants import about_clients
from admin_app.services.subscriptions import billing_mapping
from models import Client, ClientCustomer, Subscription
from tests.machines import OnDatabase
from tests.services.billing.test_billing_machine import OFTEN
from tests.services.client_rows import NOW, add_client, client_now, subscription
from tests.services.money import STRIPE

CUSTOMERS = {"sub_1": "cus_1", "sub_2": "cus_1", "sub_3": "cus_2", "sub_4": "cus_3"}
subscriptions = st.sampled_from(sorted(CUSTOMERS))
customers = st.sampled_from(sorted(set(CUSTOMERS.values())))
whose = st.sampled_from([None, 0, 1])


class Customers(OnDatabase):
    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.clients = [add_client(self.db), add_client(self.db)]
        self.status = dict.fromkeys(CUSTOMERS, "active")
        self.names: dict[str, int | None] = dict.fromkeys((*CUSTOMERS, *CUSTOMERS.values()))
        self.earlier: list[tuple[datetime, StripeSubscription | StripeCustomer]] = []

    @rule(what=st.one_of(subscriptions, customers), number=whose)
    def is_named_at_stripe(self, what: str, number: int | None) -> None:
        self.names[what] = None if number is None else self.clients[number]

    @rule(what=subscriptions, word=st.sampled_from(["active", "past_due", "trialing"]))
    def changes_at_stripe(self, what: str, word: str) -> None:
        if self.status[what] != "canceled":
            self.status[what] = word

    @rule(what=subscriptions)
    def ends_at_stripe(self, what: str) -> None:
        self.status[what] = "canceled"

    @rule(number=st.integers(0, 1), what=st.one_of(st.none(), customers))
    def is_written_by_another_program(self, number: int, what: str | None) -> None:
        with self.db.unit_of_work(STRIPE) as ctx:
            taken = select(Client.id).where(Client.stripe_customer_id == what, Client.id != self.clients[number])
            if what is None or ctx.session.scalar(taken) is None:
                billing.locked(ctx, self.clients[number]).stripe_customer_id = what

    @rule(what=subscriptions)
    def a_subscription_is_heard_of(self, what: str) -> None:
        self.hear(self.subscription(what), self.now)

    @rule(what=customers)
    def a_customer_is_heard_of(self, what: str) -> None:
        self.hear(self.customer(what), self.now)

    @rule(back=st.integers(1, 4))
    def an_earlier_answer_comes_late(self, back: int) -> None:
        if len(self.earlier) >= back:
            at, found = self.earlier[-back]
            self.hear(found, at, again=True)

    @rule()
    def everything_is_asked_about(self) -> None:
        for _ in range(2):
            for each in sorted(set(CUSTOMERS.values())):
                self.hear(self.customer(each), self.now)
            for each in CUSTOMERS:
                self.hear(self.subscription(each), self.now)
        with self.db.read_only() as session:
            owners = dict(session.execute(select(Subscription.stripe_subscription_id, Subscription.client_id)).all())
            holders = dict(session.execute(select(ClientCustomer.stripe_customer_id, ClientCustomer.client_id)).all())
        for what, customer in CUSTOMERS.items():
            named = self.names[what] or self.names[customer]
            assert named is None or owners[what] == named, what
        for customer in set(CUSTOMERS.values()):
            assert self.names[customer] is None or holders[customer] == self.names[customer]
        for client_id in self.clients:
            client = client_now(self.db, client_id)
            with self.db.read_only() as session:
                held = billing.subscriptions_of(session, client_id)
            counts = billing_mapping.most_access(held)
            if counts is not None:
                means = billing_mapping.meaning(counts.status)
                assert (client.billing_status, client.payment_active) == means
                assert client.stripe_subscription_id == counts.stripe_subscription_id
            if counts is not None and holders[counts.stripe_customer_id] == client_id:
                assert client.stripe_customer_id == counts.stripe_customer_id
        self.holds()

    def holds(self) -> None:
        with self.db.read_only() as session:
            for each in about_clients.INVARIANTS:
                if each.name != "nobodys-subscription-is-on-a-list":  # nothing is delivered here
                    later = self.now + timedelta(hours=1)
                    assert invariants.look(session, each, now=later) is None, each.name

    @invariant()
    def a_customer_stands_with_one_client(self) -> None:
        if hasattr(self, "clients"):
            shown = [client_now(self.db, each).stripe_subscription_id for each in self.clients]
            assert len({each for each in shown if each}) == len([each for each in shown if each])

    def hear(self, found: StripeSubscription | StripeCustomer, at: datetime, *, again: bool = False) -> None:
        self.now += timedelta(seconds=1)
        at = at if again else self.now
        if not again:
            self.earlier.append((at, found))
        with self.db.unit_of_work(STRIPE) as ctx:
            if isinstance(found, StripeCustomer):
                billing.apply_customer(ctx, found, cause="stripe", asked_at=at)
            else:
                billing.apply_subscription(ctx, found, cause="stripe", fetched_at=at)

    def customer(self, what: str) -> StripeCustomer:
        return StripeCustomer(what, f"{what}@example.com", client_id=self.names[what])

    def subscription(self, what: str) -> StripeSubscription:
        customer = CUSTOMERS[what]
        over = self.status[what] == "canceled"
        return subscription(
            self.status[what],
            id=what,
            customer_id=customer,
            customer=self.customer(customer),
            client_id=self.names[what],
            ended_at=NOW if over else None,
        )


@pytest.fixture
def machine(_shared_engine: Engine) -> type[Customers]:
    return type("CustomersHere", (Customers,), {"engine": _shared_engine})


def test_every_subscription_is_whose_stripe_names_whatever_happens(machine: type[Customers]) -> None:
    run_state_machine_as_test(machine, settings=OFTEN)
