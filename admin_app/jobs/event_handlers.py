"""Which module handles the events of which provider: wired here, because the inbox may know none of them."""

from admin_app.services.billing import stripe_events
from admin_app.services.calendar_deliveries import calcom_events, calendly_events
from admin_app.services.inbox import register
from admin_app.services.purchases import clerk_events, whop_events


def wire() -> None:
    """Name each provider's handler to the inbox; naming it again changes nothing."""
    register("whop", whop_events)
    register("clerk", clerk_events)
    register("stripe", stripe_events)
    register("calendly", calendly_events)
    register("calcom", calcom_events)
