"""What Clerk's deliveries ask for: a person with a verified primary address claims what waits under it."""

from typing import Any

from admin_app.context import Ctx, Customer
from admin_app.errors import AlreadyClaimed
from admin_app.integrations import clerk
from admin_app.integrations.ports import ClerkUser
from admin_app.integrations.registry import Providers
from admin_app.services import claims
from admin_app.services.event_handling import Parked, Settled
from models.inbox import WebhookEvent

CLAIMING_EVENTS = frozenset({"user.created", "user.updated"})


def needs(ctx: Ctx, event: WebhookEvent) -> str | None:
    """Nothing: the event carries the person."""
    return None


def fetch(providers: Providers, needed: str) -> Any:
    raise LookupError("nothing is ever needed")


def apply(ctx: Ctx, event: WebhookEvent, found: Any) -> Settled | Parked:
    """Sign the person in, which claims."""
    parsed = clerk.parse_event(event.body, {"svix-id": event.external_id})
    customer = _primary_customer(parsed.user) if parsed.type in CLAIMING_EVENTS and parsed.user else None
    if customer is None:
        return Settled.ignored("no verified primary address")
    try:
        with ctx.session.begin_nested():
            return Settled.done(claims.sign_in_from_provider(ctx, customer).outcome)
    except AlreadyClaimed as refused:
        return Settled.done(refused.code)


def _primary_customer(user: ClerkUser) -> Customer | None:
    """Only the primary address, and only when verified: anything else could be someone else's."""
    primary = next((email.address.lower() for email in user.emails if email.primary and email.verified), None)
    return Customer(user.id, frozenset({primary}), primary, user.name) if primary else None
