"""What finance sees and does about a client's billing, by the pages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from admin_app.db import Database
from admin_app.integrations.money_ports import StripeCustomer
from admin_app.services import billing
from models import BillingOverride, BillingStatus, ClientCustomer, Role
from tests.console.framework.test_stale_screens import differences_on, filled_in
from tests.console.page_checks import CheckedClient
from tests.services.client_rows import add_client, client_now, subscription
from tests.services.money import STRIPE

ClientFor = Callable[[Role], CheckedClient]
# In Amsterdam, where those who sign in here live, this is 13:00.
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
UNTIL = "2026-11-30T09:00"
DAY = timedelta(days=1)


@pytest.fixture
def client_id(db: Database) -> int:
    """A client who is past due since four days."""
    db.clock = lambda: NOON
    made = add_client(db, name="Studio Late", stripe_customer_id="cus_1")
    owes = subscription(
        "past_due", amount_due=9900, past_due_since=NOON - 4 * DAY, next_payment_attempt=NOON + DAY, trial_end=None
    )
    take_in(db, owes)
    return made


def take_in(db: Database, found: Any) -> None:
    with db.unit_of_work(STRIPE) as ctx:
        billing.apply_subscription(ctx, found, cause="stripe")


def overrides(db: Database) -> list[BillingOverride]:
    with db.read_only() as session:
        return list(session.scalars(select(BillingOverride).order_by(BillingOverride.id)))


def test_a_past_due_client_is_understood_and_overridden(db: Database, client_id: int, client_for: ClientFor) -> None:
    client = client_for(Role.FINANCE)
    page = client.get(f"/admin/clients/{client_id}").text
    for words in (
        "Stripe calls the subscription “past due”",
        "99.00 EUR",
        "for 4 days",
        "25 Nov 2026 13:00",
        "after discounts that last for ever",
    ):
        assert words in page
    address = f"/admin/clients/{client_id}/billing/override"
    plan = client.get(address, query_string={"status": "active", "until": UNTIL}).text
    assert "whatever Stripe says" in plan
    assert "Times in Europe/Amsterdam" in plan
    answer = client.post(address, data=filled_in(plan))
    assert (answer.status_code, answer.location) == (303, f"/admin/clients/{client_id}")
    (made,) = overrides(db)
    assert (made.status, made.until) == (BillingStatus.ACTIVE, datetime(2026, 11, 30, 8, tzinfo=UTC))
    page = client.get(f"/admin/clients/{client_id}").text
    for words in (
        "Finance overrides this. Stripe calls the subscription “past due”",
        "Looked at it",
        "finance@example.com",
        "differs",
    ):
        assert words in page
    lift = f"/admin/clients/{client_id}/billing/lift"
    assert client.get(f"/admin/billing-overrides/{made.id}/lift").location == lift
    assert client.post(lift, data=filled_in(client.get(lift).text)).status_code == 303
    assert client_now(db, client_id).billing_status is BillingStatus.PAST_DUE


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"status": "active"}, "Say until when"),
        ({"until": UNTIL}, "Choose the status"),
        ({"status": "gold", "until": UNTIL}, "Choose the status"),
        ({"status": "active", "until": ""}, "Say until when"),
        ({"status": "active", "until": "soon"}, "Write day and time like"),
        ({"status": "active", "until": "2026-11-24T13:00"}, "must be in the future"),
        ({"status": "active", "until": "2027-03-28T02:30"}, "skip this time"),
        ({"status": "active", "until": "2027-10-31T02:30"}, "show this time twice"),
    ],
)
def test_what_is_missing_or_wrong_is_a_sentence_and_changes_nothing(
    db: Database, client_id: int, client_for: ClientFor, typed: dict[str, str], sentence: str
) -> None:
    address = f"/admin/clients/{client_id}/billing/override"
    client = client_for(Role.FINANCE)
    assert sentence in client.get(address, query_string=typed).text
    whole = filled_in(client.get(address, query_string={"status": "active", "until": UNTIL}).text)
    kept = {name: given for name, given in whole.items() if name not in ("status", "until")}
    assert client.post(address, data=kept | typed).status_code == 422
    assert overrides(db) == []


def test_a_stale_screen_is_told_what_moved(db: Database, client_id: int, client_for: ClientFor) -> None:
    client = client_for(Role.FINANCE)
    address = f"/admin/clients/{client_id}/billing/override"
    plan = client.get(address, query_string={"status": "active", "until": UNTIL}).text
    db.clock = lambda: NOON + timedelta(minutes=1)
    take_in(db, subscription("canceled", ended_at=NOON))
    answer = client.post(address, data=filled_in(plan))
    assert answer.status_code == 409
    assert ["Billing", "past due", "canceled"] in differences_on(answer.text)
    assert overrides(db) == []


def test_a_trial_is_granted_and_extended(db: Database, client_for: ClientFor) -> None:
    db.clock = lambda: NOON
    client_id, client = add_client(db, name="Studio New"), client_for(Role.FINANCE)
    assert "No subscription is known" in client.get(f"/admin/clients/{client_id}").text
    for command, until, ends in (
        ("trial", "2026-12-08T13:00", NOON + 14 * DAY),
        ("extend", "2026-12-15T13:00", NOON + 21 * DAY),
    ):
        address = f"/admin/clients/{client_id}/billing/{command}"
        plan = client.get(address, query_string={"until": until}).text
        assert client.post(address, data=filled_in(plan)).status_code == 303
        assert client_now(db, client_id).trial_ends_at == ends
    assert "A trial that staff granted runs." in client.get(f"/admin/clients/{client_id}").text
    again = client.get(f"/admin/clients/{client_id}/billing/trial", query_string={"until": "2026-12-20T13:00"}).text
    assert "was used already: it began on 24 Nov 2026 (UTC)" in again


def test_stripe_is_asked(db: Database, client_id: int, client_for: ClientFor) -> None:
    client = client_for(Role.FINANCE)
    address = f"/admin/clients/{client_id}/billing/ask"
    assert client.post(address, data=filled_in(client.get(address).text)).status_code == 303
    queued = text("SELECT args FROM procrastinate_jobs WHERE task_name = 'ask_about_billing'")
    with db.read_only() as session:
        assert session.scalars(queued).all() == [{"client_id": client_id}]


@pytest.mark.parametrize(
    ("role", "labels"),
    [
        (Role.SUPPORT, set()),
        (Role.OPS, {"Ask Stripe now"}),
        (Role.FINANCE, {"Override the status", "Ask Stripe now"}),
        (Role.AUDITOR, set()),
    ],
)
def test_each_role_is_offered_what_it_may(client_id: int, client_for: ClientFor, role: Role, labels: set[str]) -> None:
    page = client_for(role).get(f"/admin/clients/{client_id}").text
    every = {"Override the status", "Lift the override", "Grant a trial", "Extend the trial", "Ask Stripe now"}
    assert {label for label in every if f">{label}<" in page} == labels


class TestWhoAClientIsAtStripe:
    def test_the_page_shows_every_customer_and_which_one_counts(
        self, db: Database, client_id: int, client_for: ClientFor
    ) -> None:
        take_in(db, subscription(id="sub_2", customer_id="cus_2", client_id=client_id))
        page = client_for(Role.SUPPORT).get(f"/admin/clients/{client_id}").text
        assert "cus_1" in page
        assert page.index("counts", page.index("Customers at Stripe")) > page.index("cus_2")
        assert client_now(db, client_id).stripe_customer_id == "cus_2"

    def test_finance_says_which_client_a_stranger_is(self, db: Database, client_id: int, client_for: ClientFor) -> None:
        stranger = StripeCustomer("cus_9", "who@example.com", "Who & Sons")
        take_in(db, subscription(id="sub_9", customer_id="cus_9", customer=stranger))
        with db.read_only() as session:
            row = session.scalars(select(ClientCustomer).where(ClientCustomer.client_id.is_(None))).one()
        client = client_for(Role.FINANCE)
        listed = client.get("/admin/client-customers/?whose=nobodys").text
        assert "who@example.com" in listed
        assert "Who &amp; Sons" in listed
        assert "cus_1" not in listed
        address = f"/admin/client-customers/{row.id}/link"
        assert "Write the client" in client.get(address, query_string={"client": "x"}).text
        assert client.get(address, query_string={"client": "999999"}).status_code == 404
        plan = client.get(address, query_string={"client": client_id}).text
        assert "Stripe is asked about 1 subscription of this customer" in plan
        answer = client.post(address, data=filled_in(plan))
        assert (answer.status_code, answer.location) == (303, f"/admin/client-customers/{row.id}")
        with db.read_only() as session:
            assert session.get_one(ClientCustomer, row.id).client_id == client_id
            queued = "SELECT args ->> 'client_id' FROM procrastinate_jobs WHERE task_name = 'ask_about_billing'"
            assert session.scalars(text(queued)).all() == [str(client_id)]
        again = client.get(address, query_string={"client": client_id}).text
        assert "a client&#39;s already" in again
        take_in(db, subscription(id="sub_9", customer_id="cus_9", customer=stranger))
        assert client_now(db, client_id).billing_status is BillingStatus.ACTIVE

    def test_support_reads_and_links_nobody(self, db: Database, client_id: int, client_for: ClientFor) -> None:
        client = client_for(Role.SUPPORT)
        with db.read_only() as session:
            key = session.scalars(select(ClientCustomer.id)).one()
        assert client.get(f"/admin/client-customers/{key}").status_code == 200
        assert client.get(f"/admin/client-customers/{key}/link").status_code == 403
