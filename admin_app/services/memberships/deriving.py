"""The columns of profiles and purchases that tell of a membership: they follow from the rows, and only from them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import update

from admin_app.context import Ctx
from admin_app.services.core.audit import Change
from admin_app.services.memberships import extras
from admin_app.services.memberships.order import serving
from admin_app.services.memberships.periods import plan_duration
from admin_app.services.memberships.rows import Holder, assign, held, key, put
from models.memberships import Membership, MembershipStatus, PaymentProvider, ProviderMembership
from models.purchases import PendingProfile, Profile

LINKED = (
    *("membership", "status", "payment_provider", "whop_user_id", "whop_membership_id", "stripe_customer_id"),
    *("stripe_subscription_id", "plan_duration", "billing_cycle_start", "billing_cycle_end", "next_credit_renewal"),
    *("cancel_at_period_end", "provider_event_at"),
)


def derived(rows: Sequence[ProviderMembership], holder: Holder | None) -> dict[str, Any]:
    """What the linked columns of whoever holds these memberships say; `holder` as it is now, if there is one."""
    best = serving(rows)
    whop, stripe = serving(rows, PaymentProvider.WHOP), serving(rows, PaymentProvider.STRIPE)
    if best is None:
        return _of_none(holder)
    values: dict[str, Any] = {
        "membership": Membership.PRO if best.is_live else Membership.FREE,
        "status": MembershipStatus.ACTIVE if best.is_live else MembershipStatus.INACTIVE,
        # A purchase says always where it was made.
        "payment_provider": best.provider or (holder.payment_provider if isinstance(holder, PendingProfile) else None),
        "plan_duration": plan_duration(best),
        "billing_cycle_start": best.period_start,
        "billing_cycle_end": best.period_end,
        "next_credit_renewal": best.next_credits_at,
        "cancel_at_period_end": best.cancel_at_period_end,
        "provider_event_at": best.provider_event_at,
    }
    values["whop_membership_id"] = whop.external_id if whop else None
    values["stripe_subscription_id"] = stripe.external_id if stripe else None
    values["whop_user_id"] = (whop.provider_user_id if whop else None) or (holder.whop_user_id if holder else None)
    values["stripe_customer_id"] = (stripe.provider_customer_id if stripe else None) or (
        holder.stripe_customer_id if holder else None
    )
    return values


def _of_none(holder: Holder | None) -> dict[str, Any]:
    """An account that holds nothing is free; it is as active as any that never bought. A purchase is over."""
    nothing = dict.fromkeys(
        ("whop_membership_id", "stripe_subscription_id", "plan_duration", "billing_cycle_start", "billing_cycle_end",
         "next_credit_renewal", "provider_event_at")
    )  # fmt: skip
    free: dict[str, Any] = nothing | {"membership": Membership.FREE, "cancel_at_period_end": False}
    if isinstance(holder, PendingProfile):
        return free | {"status": MembershipStatus.INACTIVE}
    was_pro = holder is None or holder.membership is Membership.PRO
    return free | {"payment_provider": None} | ({"status": MembershipStatus.ACTIVE} if was_pro else {})


def catch_up(ctx: Ctx, holder: Holder, row: ProviderMembership) -> None:
    """Let a membership say what its locked holder's columns say, where somebody who knows no rows wrote them since.

    Before anything else is changed: then they may only differ by that. What the columns leave open stays as it is.
    """
    is_whop = row.provider is PaymentProvider.WHOP
    named = holder.whop_membership_id if is_whop else holder.stripe_subscription_id
    if named is None or row.external_id != named or row.provider is not holder.payment_provider or row.ignored_because:
        return
    if isinstance(holder, PendingProfile) and (holder.claimed or _tells_of_what_was_given(ctx, holder, row)):
        return
    live = holder.membership is Membership.PRO and holder.status is not MembershipStatus.INACTIVE
    told = {
        "status": MembershipStatus.ACTIVE if live else MembershipStatus.INACTIVE,
        "period_start": holder.billing_cycle_start,
        "period_end": holder.billing_cycle_end,
        "next_credits_at": holder.next_credit_renewal,
        "cancel_at_period_end": holder.cancel_at_period_end,
        "provider_event_at": holder.provider_event_at,
    }
    put(ctx, row, **{name: value for name, value in told.items() if value is not None})


def _tells_of_what_was_given(ctx: Ctx, pending: PendingProfile, row: ProviderMembership) -> bool:
    """A purchase names a provider always, also while only what staff gave serves it."""
    return not row.is_live and any(one.is_live and one.is_complimentary for one in held(ctx.session, pending))


def settle(ctx: Ctx, holder: Holder, rows: Sequence[ProviderMembership], **more: object) -> list[Change]:
    """Write the columns of a locked holder as its memberships have them, and `more`; tell what changed.

    Ends every change of a membership. The same news again, only later, change nothing that anybody sees.
    """
    ctx.session.flush()
    values = derived(rows, holder) | more
    if isinstance(holder, PendingProfile):
        _leave_to_this_one(ctx, holder, values)
    event_at = values.pop("provider_event_at")
    changes = assign(ctx, holder, **values)
    if changes and holder.provider_event_at != event_at:
        changes.append(Change("provider_event_at", holder.provider_event_at, event_at, key(holder)))
    holder.provider_event_at = event_at
    if isinstance(holder, Profile):
        extras.see_to(ctx, holder, rows)
    return changes


def _leave_to_this_one(ctx: Ctx, pending: PendingProfile, values: dict[str, Any]) -> None:
    """A claimed purchase names what it brought, for the record, until another purchase holds that."""
    for column in (PendingProfile.whop_membership_id, PendingProfile.stripe_subscription_id):
        wanted = values[column.key]
        if wanted is not None and wanted != getattr(pending, column.key):
            former = update(PendingProfile).where(column == wanted, PendingProfile.id != pending.id)
            ctx.session.execute(former.values({column.key: None}))
