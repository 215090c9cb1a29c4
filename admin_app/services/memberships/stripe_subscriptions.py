"""Stripe subscriptions that are memberships of people: the same rules as for Whop's, by what Stripe says now."""

from datetime import datetime

from admin_app.context import Ctx
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.services import holders, purchases
from admin_app.services.purchases import PurchaseFacts
from models.people import MembershipStatus, PaymentProvider

# Stripe's words while somebody is served: a late payer is until Stripe itself gives up.
LIVE = frozenset({"active", "trialing", "past_due"})


def apply(ctx: Ctx, found: StripeSubscription, *, asked_at: datetime) -> MembershipStatus | None:
    """Bring the membership to what the subscription is; None when it is nobody's membership here."""
    if not holders.is_held(ctx.session, found.id, PaymentProvider.STRIPE):
        return None
    facts = PurchaseFacts(
        occurred_at=asked_at,
        membership_id=found.id,
        period_start=found.current_period_start,
        period_end=found.current_period_end,
        cancel_at_period_end=found.cancel_at_period_end,
        is_answer=True,
        provider=PaymentProvider.STRIPE,
        provider_status=found.status,
        customer_id=found.customer_id,
    )
    is_live = found.status in LIVE
    (purchases.record if is_live else purchases.end)(ctx, facts)
    return MembershipStatus.ACTIVE if is_live else MembershipStatus.INACTIVE
