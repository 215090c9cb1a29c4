"""What happens to customers at the simulated Stripe: they are given a client's number, a discount, and are deleted."""

from collections.abc import Mapping, Sequence
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_billing as billing
from admin_app.simulator.stripe.stripe_actions import alone, tell
from admin_app.simulator.stripe.stripe_records import CUSTOMER, DISCOUNT, SUBSCRIPTION
from admin_app.simulator.world import Refused, World


@alone
def name_client(world: World, identity: str, *, client_id: int | None = None, deliver: bool = True) -> Document:
    """The metadata of a customer or a subscription name this client, or none any more."""
    if (customer := world.store.get(CUSTOMER, identity)) is not None:
        if customer.get("deleted"):
            raise Refused("This customer is deleted.")
        return _change_customer(world, customer, {"metadata": billing.naming(client_id)}, deliver=deliver)
    return billing.change(
        world, billing.running(world, identity), {"metadata": billing.naming(client_id)}, deliver=deliver
    )


@alone
def discount_customer(
    world: World, customer_id: str, *, discounts: Sequence[Mapping[str, Any]] = (), deliver: bool = True
) -> Document:
    """The customer has this discount, or none any more: for each subscription that has none of its own."""
    customer = world.store.get(CUSTOMER, customer_id)
    if customer is None:
        raise Refused("There is no such customer.")
    granted = billing.grant(world, discounts, customer.get("currency") or "eur")
    given = {**(world.store.get(DISCOUNT, granted[0]) or {}), "customer": customer_id} if granted else None
    told = given or {**customer["discount"]}
    changed = _change_customer(world, customer, {"discount": given}, deliver=deliver)
    tell(world, f"customer.discount.{'created' if given else 'deleted'}", told, deliver=deliver)
    return changed


@alone
def delete_customer(world: World, customer_id: str, *, deliver: bool = True) -> Document:
    """The customer is deleted for good, and every subscription of theirs ends."""
    customer = world.store.get(CUSTOMER, customer_id)
    if customer is None:
        raise Refused("There is no such customer.")
    for found in world.store.all(SUBSCRIPTION):
        if found["customer"] == customer_id and not billing.is_over(found):
            billing.cancel(world, found["id"], at_period_end=False, deliver=deliver)
    gone = {"id": customer_id, "object": "customer", "deleted": True}
    world.store.put(CUSTOMER, gone)
    tell(world, "customer.deleted", customer, deliver=deliver)
    return gone


def _change_customer(world: World, found: Document, parts: Mapping[str, Any], *, deliver: bool) -> Document:
    previous, changed = {name: found[name] for name in parts}, found | dict(parts)
    world.store.put(CUSTOMER, changed)
    tell(world, "customer.updated", changed, deliver=deliver, previous=previous)
    return changed
