"""Pages for people without an account, whose address is what lets them in: nothing may carry it on."""

from flask import Response, make_response, render_template


def page(template: str, status: int, **values: object) -> Response:
    response = make_response(render_template(template, **values), status)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
