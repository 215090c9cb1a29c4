"""What Clerk's deliveries ask for: a person with a verified primary address claims what waits under it.

Only a session that begins is a sign-in: a person is told of for many reasons.
"""

from typing import Any

from admin_app.addresses import comparable
from admin_app.context import Ctx, Customer
from admin_app.errors import AlreadyClaimed
from admin_app.integrations import clerk
from admin_app.integrations.ports import ClerkUser
from admin_app.integrations.registry import Providers
from admin_app.services import claims, users
from admin_app.services.event_handling import Parked, Settled
from models.inbox import WebhookEvent

CLAIMING_EVENTS = frozenset({"user.created", "user.updated"})
SIGN_IN = "session.created"


def needs(ctx: Ctx, event: WebhookEvent) -> str | None:
    """Nothing: the event carries the person."""
    return None


def fetch(providers: Providers, needed: str) -> Any:
    raise LookupError("nothing is ever needed")


def apply(ctx: Ctx, event: WebhookEvent, found: Any) -> Settled | Parked:
    """Claim for the person, or note their sign-in."""
    parsed = clerk.parse_event(event.body, {"svix-id": event.external_id})
    told_at = event.occurred_at or event.received_at
    if parsed.type == SIGN_IN and parsed.user_id:
        known = users.signed_in(ctx, user_id=parsed.user_id, at=parsed.at or told_at)
        return Settled.done("signed_in") if known else Settled.ignored("nobody here has this account")
    person = parsed.user if parsed.type in CLAIMING_EVENTS else None
    customer = _primary_customer(person) if person else None
    if person is None or customer is None:
        return Settled.ignored("no verified primary address")
    try:
        with ctx.session.begin_nested():
            since = person.created_at or told_at
            return Settled.done(claims.told_by_provider(ctx, customer, since=since).outcome)
    except AlreadyClaimed as refused:
        return Settled.done(refused.code)


def _primary_customer(user: ClerkUser) -> Customer | None:
    """Only the primary address, and only when verified: anything else could be someone else's."""
    primary = next((comparable(email.address) for email in user.emails if email.primary and email.verified), None)
    return Customer(user.id, frozenset({primary}), primary, user.name) if primary else None
