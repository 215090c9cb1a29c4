"""What Whop's deliveries ask for: a purchase, its end, its cancellation."""

from admin_app.context import Ctx
from admin_app.integrations import whop
from admin_app.integrations.ports import WhopEvent, WhopMembership
from admin_app.integrations.registry import Providers
from admin_app.services import purchases
from admin_app.services.inbox.handling import NotConfigured, Parked, Reading, Settled, release_waiting
from admin_app.services.memberships import asking, pro_rules
from admin_app.services.purchases import Applied, MembershipSnapshot, holders
from models.inbox import EventState, WebhookEvent
from models.memberships import PaymentProvider

# The first needs the purchase, the second its buyer's address: both are there once the membership is held.
RELEASED_WHEN_KNOWN = ("membership_unknown", "email_missing")


def read(ctx: Ctx, event: WebhookEvent) -> Reading:
    """What the delivery says; the membership must be fetched where it does not name its buyer or what was bought."""
    parsed = whop.parse_event(event.body, {"webhook-id": event.external_id}, event.received_at)
    if event.attached_email or parsed.kind != "purchase" or parsed.membership_id is None:
        return Reading(parsed, None)
    tells_what = parsed.product_id or parsed.plan_id or not pro_rules.of(ctx.session).names_some
    if (parsed.email and tells_what) or holders.is_held(ctx.session, parsed.membership_id):
        return Reading(parsed, None)
    return Reading(parsed, parsed.membership_id)


def fetch(providers: Providers, needed: str) -> WhopMembership | None:
    """The membership as Whop has it now. Raises NotConfigured or ProviderUnavailable."""
    if providers.whop is None:
        raise NotConfigured("whop")
    return providers.whop.membership(needed)


def apply(ctx: Ctx, event: WebhookEvent, parsed: WhopEvent, found: WhopMembership | None) -> Settled | Parked:
    """Record the purchase, end it, or note its cancellation; `found` is the membership as Whop has it now."""
    email = event.attached_email or parsed.email or (found.email if found else None)
    because = pro_rules.of(ctx.session).ignored_because(parsed, found)
    at = event.occurred_at or event.received_at
    snapshot = MembershipSnapshot.of(parsed, occurred_at=at, email=email, ignored_because=because)
    match parsed.kind:
        case "purchase":
            applied = purchases.record(ctx, snapshot)
        case "ended":
            applied = purchases.end(ctx, snapshot)
        case "cancellation":
            applied = purchases.set_cancellation(ctx, snapshot)
        case _:
            asked = _ask_what_was_paid(ctx, parsed)
            return Settled.done(f"asks what was paid for {asked}") if asked else Settled.ignored("not about a purchase")
    if applied not in (Applied.DONE, Applied.SUPERSEDED, Applied.IGNORED):
        return Parked(applied.value)
    if parsed.payment_id is not None:
        _ask_what_was_paid(ctx, parsed)
    if applied is Applied.IGNORED:
        return Settled.ignored(because or "it makes nobody pro")
    if parsed.kind == "purchase" and parsed.membership_id:
        release_waiting(ctx, "whop", RELEASED_WHEN_KNOWN, subjects=(parsed.membership_id,))
    if applied is Applied.SUPERSEDED:
        return Settled(EventState.SUPERSEDED, "something newer was applied before")
    return Settled.done(parsed.kind)


def _ask_what_was_paid(ctx: Ctx, parsed: WhopEvent) -> str:
    """The delivery says that there is news of a payment; what they are, Whop says. Of which memberships."""
    if parsed.payment_id is None:
        return ""
    named = {"membership": parsed.membership_id, "payment": parsed.payment_id}
    return ", ".join(asking.heard(ctx, PaymentProvider.WHOP, **named))
