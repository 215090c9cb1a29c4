"""Makes the simulated Stripe know subscriptions that began before it was there, without telling anybody."""

from collections.abc import Mapping
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_billing_records as records
from admin_app.simulator.stripe import stripe_price_records as prices
from admin_app.simulator.stripe.stripe_actions import is_live
from admin_app.simulator.stripe.stripe_records import CUSTOMER, INVOICE, SUBSCRIPTION
from admin_app.simulator.world import World


def seed(world: World, wanted: list[Mapping[str, Any]]) -> int:
    """Each: subscription_id, customer_id, email, name, client_id, amount, currency, interval, status, started_at,
    period_start, period_end, trial_end, cancel_at_period_end, canceled_at, ended_at, paused, and of its latest invoice
    amount_due, invoice_at and next_payment_attempt; times in unix seconds. What is known already stays as it is."""
    found: dict[str, list[Document]] = {kind: [] for kind in (CUSTOMER, SUBSCRIPTION, INVOICE)}
    numbers = world.store.count(INVOICE)
    for item in wanted:
        if world.store.get(SUBSCRIPTION, item["subscription_id"]) is None:
            numbers += 1
            _add(world, item, numbers, found)
    for kind, documents in found.items():
        world.store.put_all(kind, documents)
    return len(wanted)


def _add(world: World, item: Mapping[str, Any], number: int, found: dict[str, list[Document]]) -> None:
    live = is_live(world)
    customer = records.customer(email=item["email"], name=item["name"], live=live)
    customer |= {"id": item["customer_id"], "created": item["started_at"]}
    price = prices.price({"amount": item["amount"], "interval": item["interval"]}, item["currency"], live=live)
    # So that what is seeded twice, into two simulators, is the same.
    price |= {"id": item["price_id"], "created": item["started_at"]}
    metadata = {"clientId": str(item["client_id"])} if item["client_id"] else {}
    made = records.subscription(
        customer, price, metadata=metadata, trial_end=item["trial_end"], start=item["started_at"]
    )
    identity, period = item["subscription_id"], (item["period_start"], item["period_end"])
    held = records.item(identity, price, start=period[0], end=period[1])
    url = f"/v1/subscription_items?subscription={identity}"
    made |= {
        "id": identity,
        "items": {"object": "list", "data": [held], "has_more": False, "url": url},
        "status": item["status"],
        "trial_start": item["started_at"] if item["trial_end"] else None,
        "cancel_at_period_end": item["cancel_at_period_end"],
        "cancel_at": period[1] if item["cancel_at_period_end"] else None,
        "canceled_at": item["canceled_at"],
        "cancellation_details": records.cancellation("cancellation_requested" if item["canceled_at"] else None),
        "ended_at": item["ended_at"],
        "pause_collection": {"behavior": "void", "resumes_at": None} if item["paused"] else None,
    }
    paid = not item["amount_due"]
    invoice = records.invoice(
        made,
        [held],
        {},
        number=number,
        email=item["email"],
        reason="subscription_cycle",
        paid=paid,
        created=item["invoice_at"],
    )
    if not paid:
        owed = records.settled(item["amount_due"], paid=False, at=item["invoice_at"])
        invoice |= {**owed, "amount_due": item["amount_due"], "next_payment_attempt": item["next_payment_attempt"]}
    found[CUSTOMER].append(customer)
    found[SUBSCRIPTION].append(made | {"latest_invoice": invoice["id"]})
    found[INVOICE].append(invoice)
