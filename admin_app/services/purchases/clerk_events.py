"""What Clerk's deliveries ask for: a person with a verified primary address claims what waits under it.

A delivery is a hint: Clerk is asked about the person, and what it says now counts. Only a session that begins is a
sign-in: a person is told of for many reasons. A deletion is final, whenever it arrives.
"""

from datetime import datetime
from enum import Enum

from admin_app.context import Ctx
from admin_app.errors import AlreadyClaimed, NotSignedIn
from admin_app.integrations import clerk
from admin_app.integrations.ports import ClerkEvent, ClerkUser
from admin_app.integrations.registry import Providers
from admin_app.services.inbox.handling import Parked, Reading, Settled
from admin_app.services.people import person_addresses, users
from admin_app.services.purchases import account_deletion, claims
from models.inbox import EventState, WebhookEvent

TELLING_EVENTS = frozenset({"user.created", "user.updated"})
SIGN_IN = "session.created"


class Silence(Enum):
    """Why nobody said who the person is now."""

    NOT_CONFIGURED = "not_configured"
    UNKNOWN = "unknown"


def read(ctx: Ctx, event: WebhookEvent) -> Reading:
    """What the delivery says; the person of whom it tells is to be fetched: only Clerk knows who they are now."""
    parsed = clerk.parse_event(event.body, {"svix-id": event.external_id})
    return Reading(parsed, parsed.user_id if parsed.type in TELLING_EVENTS else None)


def fetch(providers: Providers, needed: str) -> ClerkUser | Silence:
    """The person as Clerk has them now, or why it does not say."""
    if providers.clerk is None or not providers.clerk.knows_people:
        return Silence.NOT_CONFIGURED
    try:
        return providers.clerk.user(needed, fresh=True)
    except NotSignedIn:
        return Silence.UNKNOWN


def apply(ctx: Ctx, event: WebhookEvent, parsed: ClerkEvent, found: ClerkUser | Silence | None) -> Settled | Parked:
    """Claim for the person, note their sign-in, or take back what a deleted account holds."""
    happened_at = event.occurred_at or event.received_at
    if parsed.type == SIGN_IN and parsed.user_id:
        known = users.signed_in(ctx, user_id=parsed.user_id, at=parsed.at or happened_at)
        return Settled.done("signed_in") if known else Settled.ignored("nobody here has this account")
    if parsed.type == account_deletion.DELETED and parsed.user_id:
        known = account_deletion.let_go(ctx, user_id=parsed.user_id)
        return Settled.done("account_deleted") if known else Settled.ignored("nobody here has this account")
    if parsed.type not in TELLING_EVENTS or parsed.user is None:
        return Settled.ignored("no verified primary address")
    match found:
        case ClerkUser():
            return apply_person(ctx, found, since=found.created_at or happened_at)
        case Silence.UNKNOWN:
            return _unknown(ctx, parsed.user, happened_at)
        case Silence.NOT_CONFIGURED:
            return _as_told(ctx, parsed.user, happened_at, takes_over=True)
        case _:
            return Parked("clerk_not_asked")


def apply_person(
    ctx: Ctx, person: ClerkUser, *, since: datetime, told_at: datetime | None = None, takes_over: bool = True
) -> Settled:
    """Note the person's addresses, and claim what waits under the primary one if it is verified: none of the others,
    before they sign in themselves.
    """
    primary = next((email.address for email in person.emails if email.primary and email.verified), None)
    if primary is None and not users.is_known(ctx.session, person.id):
        return Settled.ignored("no verified primary address")
    try:
        with ctx.session.begin_nested():
            claimed = claims.told_by_provider(
                ctx, users.customer_of(person), email=primary, since=since, told_at=told_at, takes_over=takes_over
            )
    except AlreadyClaimed as refused:
        return Settled.done(refused.code)
    except NotSignedIn:
        return Settled.ignored("the account was deleted")
    return Settled.done(claimed.outcome) if claimed else Settled.ignored("no verified primary address")


def _unknown(ctx: Ctx, person: ClerkUser, happened_at: datetime) -> Settled:
    """Clerk knows nobody by this id. Whom it knew before is gone; of anybody else the delivery is all there is."""
    if account_deletion.told_deleted(ctx.session, person.id):
        return Settled.ignored("the account was deleted")
    if person_addresses.was_asked(ctx.session, person.id):
        account_deletion.let_go(ctx, user_id=person.id)
        return Settled.done("account_deleted")
    return _as_told(ctx, person, happened_at, takes_over=False)


def _as_told(ctx: Ctx, person: ClerkUser, happened_at: datetime, *, takes_over: bool) -> Settled:
    """Nobody else says who the person is, so the delivery does, unless something newer was told or asked before."""
    if account_deletion.told_deleted(ctx.session, person.id):
        return Settled.ignored("the account was deleted")
    told_at = person.updated_at or happened_at
    if person_addresses.is_older(ctx.session, person.id, told_at):
        return Settled(EventState.SUPERSEDED, "something newer was applied before")
    return apply_person(ctx, person, since=person.created_at or happened_at, told_at=told_at, takes_over=takes_over)
