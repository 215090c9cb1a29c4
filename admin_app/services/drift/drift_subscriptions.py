"""The comparison with Stripe, for subscriptions: each field as it was fetched last, and whose subscription it is.

One that is a person's membership is compared with that, and only in what a membership has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.services import billing
from admin_app.services.core.amounts import money_text
from admin_app.services.core.records import subscription_key
from admin_app.services.drift import Ours, Taken, Values, text_of
from admin_app.services.purchases import holders
from admin_app.services.purchases import stripe_subscriptions as stripe_memberships
from admin_app.services.subscriptions import billing_mapping
from models.billing import Subscription
from models.clients import Client
from models.memberships import MembershipStatus, PaymentProvider, ProviderMembership

_AMOUNTS = ("monthly_amount", "amount_due")
_COMPARED = tuple(name for name in billing.FETCHED if name != "currency")
_NAMED_THERE = {"stripe_customer_id": "customer_id"}
# What follows from the subscription here: noted when a comparison changed it, and nothing that Stripe could differ on.
_FOLLOWS = ("billing_status", "payment_active", "pending_cancellation", "trial_ends_at")
CLIENT = "client"
_OF_MEMBERSHIPS = ("current_period_start", "current_period_end", "cancel_at_period_end")


@dataclass(frozen=True)
class SubscriptionThing:
    """A subscription, asked for at `fetched_at` or later."""

    found: StripeSubscription
    fetched_at: datetime

    @property
    def external_id(self) -> str:
        return self.found.id

    @property
    def ids(self) -> Sequence[str]:
        return (self.found.id,)

    @property
    def theirs(self) -> Values:
        values = {name: getattr(self.found, _NAMED_THERE.get(name, name)) for name in _COMPARED}
        return _as_text(values, self.found.currency)

    def take_in(self, ctx: Ctx) -> Taken:
        if stripe_memberships.apply(ctx, self.found, asked_at=self.fetched_at) is not None:
            return Taken()
        owner = billing.apply_subscription(ctx, self.found, cause="comparison", fetched_at=self.fetched_at)
        return Taken("customer_unknown" if owner is None else None)


def ours(session: Session, external_id: str) -> Ours | None:
    """The membership or else the subscription with this Stripe id (`sub_…`), read anew; None: neither is here."""
    held_by = holders.shown(session, external_id, PaymentProvider.STRIPE)
    if held_by is not None:
        return Ours(holders.key(held_by[1]), _of_membership(held_by[0]))
    row = session.scalar(
        select(Subscription)
        .where(Subscription.stripe_subscription_id == external_id)
        .execution_options(populate_existing=True)
    )
    if row is None:
        return None
    values = dict(_as_text({name: getattr(row, name) for name in _COMPARED}, row.currency))
    client = session.get(Client, row.client_id, populate_existing=True) if row.client_id else None
    values[CLIENT] = f"client {client.id}" if client else None
    if client is not None:
        values |= {name: text_of(getattr(client, name)) for name in _FOLLOWS}
    return Ours(subscription_key(row.id), values)


def differing(ours: Ours, theirs: Values) -> list[str]:
    """A customer whom nobody here knows is a difference as long as anything is charged."""
    if CLIENT not in ours.values:
        return _differing_membership(ours, theirs)
    found = [name for name in _COMPARED if ours.values.get(name) != theirs.get(name)]
    is_over = theirs["status"] in billing_mapping.OVER
    return found if ours.values[CLIENT] is not None or is_over else [*found, CLIENT]


def held(session: Session, after: int, limit: int) -> list[tuple[int, str]]:
    """Subscriptions that are not over."""
    query = select(Subscription.id, Subscription.stripe_subscription_id).where(
        Subscription.id > after, Subscription.status.not_in(billing_mapping.OVER)
    )
    return [(row.id, row[1]) for row in session.execute(query.order_by(Subscription.id).limit(limit))]


def held_memberships(session: Session, after: int, limit: int) -> list[tuple[int, str]]:
    """Subscriptions that are live memberships of people."""
    query = select(ProviderMembership.id, ProviderMembership.external_id).where(
        ProviderMembership.id > after,
        ProviderMembership.provider == PaymentProvider.STRIPE,
        ProviderMembership.external_id.is_not(None),
        ProviderMembership.status == MembershipStatus.ACTIVE,
        ProviderMembership.ignored_at.is_(None),
    )
    rows = session.execute(query.order_by(ProviderMembership.id).limit(limit))
    return [(number, external_id or "") for number, external_id in rows]


def _of_membership(row: ProviderMembership) -> Values:
    """Stripe's own word where it means what the row says."""
    told = row.provider_status
    status = told if told and (told in stripe_memberships.LIVE) == row.is_live else row.status.value
    dates = (row.period_start, row.period_end, row.cancel_at_period_end)
    return {"status": status} | dict(zip(_OF_MEMBERSHIPS, map(text_of, dates), strict=True))


def _differing_membership(ours: Ours, theirs: Values) -> list[str]:
    """Of a membership that is over, only that; what Stripe leaves open differs from nothing."""
    is_live = theirs["status"] in stripe_memberships.LIVE
    if (ours.values["status"] in stripe_memberships.LIVE) != is_live:
        return ["status"]
    told = _OF_MEMBERSHIPS if is_live else ()
    return [name for name in told if theirs[name] is not None and ours.values[name] != theirs[name]]


def _as_text(values: dict[str, object], currency: str | None) -> Values:
    return {
        name: money_text(int(str(value)), currency) if name in _AMOUNTS and currency else text_of(value)
        for name, value in values.items()
    }
