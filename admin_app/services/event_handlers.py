"""Which module handles the events of which provider."""

from collections.abc import Mapping

from admin_app.services import calcom_events, calendly_events, clerk_events, stripe_events, whop_events
from admin_app.services.event_handling import Handler

HANDLERS: Mapping[str, Handler] = {
    "whop": whop_events,
    "clerk": clerk_events,
    "stripe": stripe_events,
    "calendly": calendly_events,
    "calcom": calcom_events,
}
