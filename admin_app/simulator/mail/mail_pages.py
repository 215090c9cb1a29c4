"""The mails that the product sent, under /_sim/mails: what a customer would find in their mailbox."""

import re

from flask import Blueprint, Response, jsonify, make_response, render_template

from admin_app.simulator.store import Document
from admin_app.simulator.world import World

# What a mail brings along may look like something, but not run, load or send; its links open outside.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("mails", __name__, url_prefix="/_sim")

    @routes.get("/mails")
    def mailbox() -> str:
        mails = world.store.newest("mail", world.store.count("mail"))
        return render_template("mails.html", mails=mails, smtp_port=world.settings.smtp_port)

    @routes.get("/mails.json")
    def listed() -> Response:
        return jsonify(world.store.all("mail"))

    @routes.get("/mails/<mail_id>")
    def mail(mail_id: str) -> Response:
        found = world.store.get("mail", mail_id)
        if found is None:
            return _gone()
        response = make_response(render_template("mail.html", mail=found))
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        return response

    @routes.get("/mails/<mail_id>/html")
    def html(mail_id: str) -> Response:
        found = world.store.get("mail", mail_id)
        if found is None:
            return _gone()
        response = make_response(_opening_outside(found))
        response.headers["Content-Security-Policy"] = _MAIL_POLICY
        return response

    return routes


def _opening_outside(mail: Document) -> str:
    """As mail programs have it: a link opens a window of its own, and not the inside of the mail."""
    html: str = mail["html"]
    head = _HEAD.search(html)
    at = head.end() if head else 0
    return f'{html[:at]}<base target="_blank">{html[at:]}'


def _gone() -> Response:
    return make_response(render_template("mail_gone.html"), 404)
