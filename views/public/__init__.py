"""The public doors: what providers, customers and the business's own clients call."""

from flask import Flask

from views.public import (
    availability,
    booking_page,
    bookings,
    claim_page,
    claims,
    clients,
    guests,
    health,
    metrics,
    openapi,
    webhooks,
)

_DOORS = (
    *(webhooks.doors, claims.doors, claim_page.doors, availability.doors),
    *(bookings.doors, booking_page.doors, guests.doors, clients.doors),
    *(health.doors, openapi.doors, metrics.doors),
)


def register(app: Flask) -> None:
    """Put every public door on the app. None of them takes a cookie of the console as authority."""
    for blueprint in _DOORS:
        app.register_blueprint(blueprint)
