"""What all pages for people here have in common."""

from flask import request

from admin_app.simulator.world import Refused


def refuse_others() -> None:
    """Nothing here has a sign-in: a page of another site must not press buttons in somebody's browser."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}:
        raise Refused("Only the simulator's own pages and programs may use its controls.")
