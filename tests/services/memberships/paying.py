"""Members who pay, at the simulated Whop and Stripe, and what is known here of their payments."""

import json
from typing import Any

from sqlalchemy import select

from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from admin_app.simulator.whop import whop_events, whop_records
from models import MembershipPayment, ProviderMembership
from tests.house import House
from tests.services.factories import add_profile

MONTHLY = 4900
AT = 1_796_000_000


def member(house: House, name: str, *, account: bool = True) -> str:
    """Somebody bought at Whop, and has an account here; their payment's id. No delivery came yet."""
    bought = control.purchase(
        house.simulator,
        email=f"{name}@example.com",
        membership_id=f"mem_{name}",
        user_id=f"user_w{name}",
        deliver=False,
    )
    if account and not house.rows(_named(f"mem_{name}")):
        add_profile(
            house.db,
            f"user_{name}",
            email=f"{name}@example.com",
            membership="pro",
            payment_provider="whop",
            whop_membership_id=f"mem_{name}",
        )
    return bought["payment_id"]


def subscriber(house: House, name: str, **given: Any) -> dict[str, Any]:
    """Somebody with an account whose Stripe subscription is their membership. No delivery came yet."""
    begun = control_stripe.subscribe(house.simulator, email=f"{name}@example.com", deliver=False, **given)
    add_profile(
        house.db,
        f"user_{name}",
        email=f"{name}@example.com",
        membership="pro",
        payment_provider="stripe",
        stripe_subscription_id=begun["id"],
        stripe_customer_id=begun["customer"],
    )
    return begun


def delivery(form: str, kind: str, name: str, payment_id: str, *, refund: str | None = None) -> bytes:
    """A delivery of Whop's about a payment, or a refund of it, in one of its forms."""
    record = whop_records.started(email=None, name=name, plan="monthly", at=AT, membership_id=f"mem_{name}")
    paid = whop_records.Payment(payment_id, f"mem_{name}", AT, first=True)
    if refund is None:
        return json.dumps(whop_events.event(form, kind, AT, record, paid)).encode()
    made = whop_records.Refund(refund, payment_id, 1000, AT)
    return json.dumps(whop_events.about_refund(form, made, paid, record) | {"type": kind}).encode()


def hear(house: House, raw: bytes, number: str) -> None:
    """It is delivered, and all that follows is done."""
    assert house.whop(raw, delivery=f"msg_{number}").status_code == 200
    house.work()


def told(house: House, about: str, *kinds: str) -> list[dict[str, Any]]:
    """Stripe's events of these kinds that name this object, as they happened."""
    return [event for event in control_stripe.events(house.simulator, about) if event["type"] in kinds]


def deliver(house: House, *events: dict[str, Any]) -> None:
    for event in events:
        assert house.stripe(event).status_code == 200
    house.work()


def payments(house: House, name: str) -> list[MembershipPayment]:
    """Of the membership with this name at its provider, the oldest first."""
    of = MembershipPayment.membership_id.in_(
        select(ProviderMembership.id).where(ProviderMembership.external_id == name)
    )
    return house.rows(select(MembershipPayment).where(of).order_by(MembershipPayment.created_at, MembershipPayment.id))


def membership(house: House, name: str) -> ProviderMembership:
    (row,) = house.rows(_named(name))
    found: ProviderMembership = row
    return found


def _named(name: str) -> Any:
    return select(ProviderMembership).where(ProviderMembership.external_id == name)
