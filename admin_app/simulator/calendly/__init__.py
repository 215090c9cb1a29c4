"""The simulated Calendly: event types, invitees, its API, and its controls."""
