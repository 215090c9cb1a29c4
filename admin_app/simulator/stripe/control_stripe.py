"""Lets things happen at the simulated Stripe: what payers, banks and the business's dashboard do there.

Every act may be told to the product by signed events; `deliver=False` loses them, as an outage does. `events` are
what Stripe would have sent, so that a test can deliver them itself, in any order and any number of times.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from admin_app.simulator import control


def seed(simulator: str, payments: Sequence[Mapping[str, Any]]) -> int:
    """Make Stripe know these payments with their refunds and disputes; `stripe_seed` says what each holds."""
    return control.seed(simulator, "stripe/seed", payments)


def pay(simulator: str, session_id: str, *, deliver: bool = True) -> dict[str, Any]:
    """The payer's card is accepted; answers the session."""
    return _act(simulator, "pay", session_id, deliver=deliver)


def decline(
    simulator: str, session_id: str, *, code: str = "insufficient_funds", deliver: bool = True
) -> dict[str, Any]:
    """The payer's card is refused; the session stays open."""
    return _act(simulator, "decline", session_id, deliver=deliver, code=code)


def pay_later(simulator: str, session_id: str, *, deliver: bool = True) -> dict[str, Any]:
    """The payer promises a bank transfer: the checkout is complete and unpaid."""
    return _act(simulator, "pay-later", session_id, deliver=deliver)


def settle_async(simulator: str, session_id: str, *, succeeds: bool = True, deliver: bool = True) -> dict[str, Any]:
    """The bank says yes or no to the promised transfer."""
    return _act(simulator, "settle-async", session_id, deliver=deliver, succeeds=succeeds)


def expire(simulator: str, session_id: str, *, deliver: bool = True) -> dict[str, Any]:
    """The session's time runs out."""
    return _act(simulator, "expire", session_id, deliver=deliver)


def refund(
    simulator: str,
    payment_intent_id: str,
    *,
    amount: int | None = None,
    reason: str | None = None,
    deliver: bool = True,
) -> dict[str, Any]:
    """Somebody refunds at Stripe's dashboard; all that is left without an amount. Answers the refund."""
    return _act(simulator, "refund", payment_intent_id, deliver=deliver, amount=amount, reason=reason)


def settle_refund(simulator: str, refund_id: str, *, succeeds: bool = True, deliver: bool = True) -> dict[str, Any]:
    """The bank takes a pending refund, or sends a refund back."""
    return _act(simulator, "settle-refund", refund_id, deliver=deliver, succeeds=succeeds)


def dispute(
    simulator: str, payment_intent_id: str, *, reason: str = "product_not_received", deliver: bool = True, **more: Any
) -> dict[str, Any]:
    """The payer's bank wants the money back; answers the dispute. `more`: its status and amount."""
    return _act(simulator, "dispute", payment_intent_id, deliver=deliver, reason=reason, **more)


def decide_dispute(simulator: str, dispute_id: str, status: str, *, deliver: bool = True) -> dict[str, Any]:
    """The dispute goes on to this state; answers it."""
    return _act(simulator, "decide-dispute", dispute_id, deliver=deliver, status=status)


def delivery(simulator: str, *, on: bool) -> None:
    """Whether events are sent at all."""
    control.post(simulator, "stripe/delivery", {"on": on})


def events(simulator: str, about: str) -> list[dict[str, Any]]:
    """Every event that names this id of a session, payment, charge or refund, oldest first."""
    listed: list[dict[str, Any]] = control.get(simulator, "stripe/events", about=about)
    return listed


def sessions(simulator: str) -> list[dict[str, Any]]:
    """Every Checkout session, oldest first."""
    return _listed(simulator, "checkout_session")


def payments(simulator: str) -> list[dict[str, Any]]:
    return _listed(simulator, "payment_intent")


def refunds(simulator: str) -> list[dict[str, Any]]:
    return _listed(simulator, "refund")


def customers(simulator: str) -> list[dict[str, Any]]:
    return _listed(simulator, "customer")


def subscriptions(simulator: str) -> list[dict[str, Any]]:
    """Every subscription, oldest first."""
    return _listed(simulator, "subscription")


def invoices(simulator: str) -> list[dict[str, Any]]:
    return _listed(simulator, "invoice")


def seed_subscriptions(simulator: str, wanted: Sequence[Mapping[str, Any]]) -> int:
    """Make Stripe know these with their customers and latest invoices; `stripe_billing_seed` says what each holds."""
    return control.seed(simulator, "stripe/subscriptions/seed", wanted)


def subscribe(
    simulator: str,
    *,
    email: str,
    customer: str | None = None,
    client_id: int | None = None,
    amount: int = 4_900,
    currency: str = "eur",
    interval: str = "month",
    trial_days: int | None = None,
    items: Sequence[Mapping[str, Any]] = (),
    discounts: Sequence[Mapping[str, Any]] = (),
    customers_client: int | None = None,
    deliver: bool = True,
) -> dict[str, Any]:
    """A customer, new or of this id, subscribes, paid or on trial; answers the subscription. Minor units.

    `client_id` is noted in the subscription's metadata, `customers_client` in those of a new customer.

    `items` in place of one of that amount, and `discounts`, are as in `stripe_price_records`.
    """
    wanted = {
        "email": email,
        "customer_id": customer,
        "client_id": client_id,
        "amount": amount,
        "currency": currency,
        "interval": interval,
        "trial_days": trial_days,
        "items": [*items] or None,
        "discounts": [*discounts] or None,
        "customers_client": customers_client,
        "deliver": deliver,
    }
    made: dict[str, Any] = control.post(simulator, "stripe/subscriptions", wanted)
    return made


def name_client(simulator: str, identity: str, client_id: int | None, *, deliver: bool = True) -> dict[str, Any]:
    """The metadata of a customer (cus_…) or a subscription (sub_…) name this client, or none."""
    kind = "customers" if identity.startswith("cus_") else "subscriptions"
    wanted = {"client_id": client_id, "deliver": deliver}
    made: dict[str, Any] = control.post(simulator, f"stripe/{kind}/{identity}/name-client", wanted)
    return made


def discount_customer(
    simulator: str, customer_id: str, discounts: Sequence[Mapping[str, Any]], *, deliver: bool = True
) -> dict[str, Any]:
    """The customer has this discount from now on, or none."""
    wanted = {"discounts": [*discounts] or None, "deliver": deliver}
    made: dict[str, Any] = control.post(simulator, f"stripe/customers/{customer_id}/discount", wanted)
    return made


def delete_customer(simulator: str, customer_id: str, *, deliver: bool = True) -> dict[str, Any]:
    """The customer is deleted, and their subscriptions end."""
    made: dict[str, Any] = control.post(simulator, f"stripe/customers/{customer_id}/delete", {"deliver": deliver})
    return made


def pay_invoice(simulator: str, subscription_id: str, *, deliver: bool = True) -> dict[str, Any]:
    """The open invoice is paid; without one, the next period begins and is paid for. Answers the subscription."""
    return _change(simulator, subscription_id, "pay-invoice", deliver=deliver)


def fail_invoice(simulator: str, subscription_id: str, *, deliver: bool = True) -> dict[str, Any]:
    """The next period's payment fails, or the open invoice's fails again; the fourth time makes it unpaid."""
    return _change(simulator, subscription_id, "fail-invoice", deliver=deliver)


def cancel(simulator: str, subscription_id: str, *, at_period_end: bool = True, deliver: bool = True) -> dict[str, Any]:
    """It is canceled as of the end of its period, or now."""
    return _change(simulator, subscription_id, "cancel", deliver=deliver, at_period_end=at_period_end)


def uncancel(simulator: str, subscription_id: str, *, deliver: bool = True) -> dict[str, Any]:
    """A cancellation at the end of the period is taken back."""
    return _change(simulator, subscription_id, "uncancel", deliver=deliver)


def change_price(
    simulator: str, subscription_id: str, *, amount: int, interval: str | None = None, deliver: bool = True
) -> dict[str, Any]:
    """Another price in minor units, from now on."""
    return _change(simulator, subscription_id, "change-price", deliver=deliver, amount=amount, interval=interval)


def end_trial(simulator: str, subscription_id: str, *, pays: bool = True, deliver: bool = True) -> dict[str, Any]:
    """The trial ends now, and the first period is paid for or its payment fails."""
    return _change(simulator, subscription_id, "end-trial", deliver=deliver, pays=pays)


def pause(simulator: str, subscription_id: str, *, on: bool = True, deliver: bool = True) -> dict[str, Any]:
    """Its invoices are not collected for now, or again."""
    return _change(simulator, subscription_id, "pause", deliver=deliver, on=on)


def rewind(simulator: str, subscription_id: str, *, days: int, deliver: bool = False) -> dict[str, Any]:
    """So many days go by for it: what they bring, renewals or an end, happens at the times at which it was due."""
    return _change(simulator, subscription_id, "rewind", deliver=deliver, days=days)


def _change(simulator: str, subscription_id: str, act: str, **wanted: Any) -> dict[str, Any]:
    answer: dict[str, Any] = control.post(simulator, f"stripe/subscriptions/{subscription_id}/{act}", wanted)
    return answer


def _listed(simulator: str, kind: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = control.get(simulator, f"stripe/{kind}s")
    return listed


def _act(simulator: str, act: str, identity: str, **wanted: Any) -> dict[str, Any]:
    answer: dict[str, Any] = control.post(simulator, f"stripe/{act}/{identity}", wanted)
    return answer
