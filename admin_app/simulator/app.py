"""The simulator's web application."""

from pathlib import Path

from flask import Flask, Response, redirect
from werkzeug.wrappers import Response as WerkzeugResponse

from admin_app.simulator import panel, site
from admin_app.simulator.calcom import calcom_api
from admin_app.simulator.calendly import calendly_api
from admin_app.simulator.clerk import clerk_api
from admin_app.simulator.delivery import Deliveries
from admin_app.simulator.faults import Faults
from admin_app.simulator.mail import mail_pages
from admin_app.simulator.settings import SimulatorSettings
from admin_app.simulator.store import Store
from admin_app.simulator.stripe import stripe_api, stripe_pages
from admin_app.simulator.whop import whop_api
from admin_app.simulator.workos import workos_api
from admin_app.simulator.world import World

_PARTS = (
    whop_api.blueprint,
    clerk_api.api,
    clerk_api.pages,
    workos_api.blueprint,
    stripe_api.blueprint,
    stripe_pages.blueprint,
    calendly_api.blueprint,
    calcom_api.blueprint,
    site.blueprint,
    panel.blueprint,
    mail_pages.blueprint,
)


def create_app(settings: SimulatorSettings, state: Path) -> Flask:
    """The simulated providers with the memory kept in the given file."""
    app = Flask(__name__, static_url_path="/_sim/static")
    # Other names for this machine are how a foreign page would get past the loopback address.
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost"]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    world = World(settings, Store(state), Deliveries(settings.retry_speed), Faults())
    app.extensions["world"] = world
    for part in _PARTS:
        app.register_blueprint(part(world))

    @app.get("/")
    def root() -> WerkzeugResponse:
        return redirect("/_sim/")

    @app.after_request
    def policy(response: Response) -> Response:
        # The pages of a mail hold something foreign and have policies of their own.
        response.headers.setdefault(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return app


def close(app: Flask) -> None:
    """Stop delivering and let go of the file."""
    world: World = app.extensions["world"]
    world.deliveries.stop()
    world.store.close()
