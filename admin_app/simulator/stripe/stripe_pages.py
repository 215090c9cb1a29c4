"""The page on which a payer pays at the simulated Stripe: /stripe/pay/{session}."""

from collections.abc import Callable

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from admin_app.simulator import own_pages
from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_actions, stripe_records
from admin_app.simulator.world import Refused, World

_PAYS: dict[str, Callable[[World, str], Document]] = {
    "pay": stripe_actions.pay,
    "pay-later": stripe_actions.pay_later,
}


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("stripe_pages", __name__, url_prefix="/stripe/pay")
    routes.before_request(own_pages.refuse_others)

    @routes.errorhandler(Refused)
    def refused(error: Refused) -> tuple[str, int]:
        return render_template("pay_over.html", session=None, problem=str(error)), 422

    @routes.get("/<session_id>")
    def page(session_id: str) -> str | tuple[str, int]:
        session = stripe_actions.find_session(world, session_id)
        if session is None:
            return render_template("pay_over.html", session=None, problem="There is no such checkout."), 404
        if session["status"] != "open":
            return render_template("pay_over.html", session=session, back=_back(session), problem=None)
        return render_template(
            "pay.html",
            session=session,
            title=session["_title"],
            price=stripe_records.money(session["amount_total"], session["currency"]),
            declined=_declined(world, session),
        )

    @routes.post("/<session_id>")
    def act(session_id: str) -> Response:
        wanted = request.form.get("act", "")
        if wanted in _PAYS:
            return redirect(_back(_PAYS[wanted](world, session_id)), 303)
        if wanted == "decline":
            stripe_actions.decline(world, session_id)
            return redirect(url_for("stripe_pages.page", session_id=session_id), 303)
        session = stripe_actions.find_session(world, session_id)
        if wanted != "cancel" or session is None:
            raise Refused("A checkout can be paid, declined, paid later or left.")
        return redirect(session["cancel_url"] or session["success_url"], 303)

    return routes


def _back(session: Document) -> str:
    """Where the payer goes on: back to the shop, which is told the session's id where it asks for it."""
    if session["status"] == "expired":
        return str(session["cancel_url"] or session["success_url"])
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _declined(world: World, session: Document) -> bool:
    payment = world.store.get(stripe_records.PAYMENT, session["payment_intent"] or "")
    return payment is not None and payment["last_payment_error"] is not None
