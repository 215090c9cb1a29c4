"""Which module handles the events of which provider: wired here, because the inbox may know none of them."""

from admin_app.services import calcom_events, calendly_events, clerk_events, stripe_events, whop_events
from admin_app.services.event_handling import register


def wire() -> None:
    """Name each provider's handler to the inbox; naming it again changes nothing."""
    register("whop", whop_events)
    register("clerk", clerk_events)
    register("stripe", stripe_events)
    register("calendly", calendly_events)
    register("calcom", calcom_events)
