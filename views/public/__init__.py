"""The public doors: what providers, customers and the business's own clients call."""

from flask import Flask

from views.public import claim_page, claims, health, metrics, openapi, webhooks

# They speak JSON to callers who prove themselves in every request: no cookie gives any authority here.
_DOORS = (webhooks.doors, claims.doors, health.doors, openapi.doors, metrics.doors)


def register(app: Flask, *_parts: object) -> None:
    """Put every public door on the app; the form tokens of the console are not asked for here."""
    csrf = app.extensions.get("csrf")
    for blueprint in (*_DOORS, claim_page.doors):
        app.register_blueprint(blueprint)
        if csrf is not None:
            csrf.exempt(blueprint)
