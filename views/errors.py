"""Every refusal and failure, rendered in the manner of the door it came through, without asking the database.

Under `/api` an RFC 9457 problem document, elsewhere a page with the sentence. What nobody foresaw shows a
reference only: the text of an exception never leaves the log.
"""

from http import HTTPStatus

import structlog
from flask import Flask, Response, jsonify, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from admin_app import error_reports
from admin_app.db import CommitUnknown
from admin_app.errors import DomainError, NotSignedIn
from admin_app.outages import Outage, outage_of
from views.backdesk import request_id

log = structlog.get_logger("backdesk.errors")

SENTENCES = {
    400: "The request is not one that can be read. Check the address or the form and try again.",
    401: NotSignedIn.sentence,
    403: "Your role does not allow this. Ask an administrator if you need it.",
    404: "There is nothing under this address. It may have been deleted, or the link is not complete.",
    405: "This address does not take that kind of request.",
    413: "The request is larger than 1 MiB, which is the most that is taken here.",
    415: "The content type is not one that is taken here. Send JSON.",
    429: "Too many requests. Wait a minute and try again.",
}
TITLES = {
    400: "That could not be read",
    403: "Not for your role",
    404: "Nothing here",
    405: "Not this way",
    409: "Changed meanwhile",
    413: "Too large",
    422: "Not quite right",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not available at the moment",
}
# What may work when it is asked for once more, as it was.
PASSING = frozenset({429, 502, 503, 504})
FORM_EXPIRED = (
    "The form was open for too long, or came from elsewhere, so nothing was done. "
    "Go back, copy what you typed, reload the page and send it again."
)
UNFORESEEN = "Something went wrong on our side and was noted. Try again; if it stays, pass the reference on."
NO_DATABASE = "The database does not answer at the moment. Nothing was changed. Try again in a minute."
DATABASE_BUSY = (
    "Somebody else is changing this at the moment, or it took too long. Nothing was changed. "
    "Try again in a few seconds."
)
COMMIT_UNKNOWN = (
    "The database went away while this was being saved, so it may have been done or not. "
    "Look at the current state before you do it again."
)
RETRY_SECONDS = 5
# For whoever raises a refusal without knowing when it ends.
RETRY_AFTER = {503: RETRY_SECONDS, 429: 60}


def register(app: Flask) -> None:
    app.register_error_handler(DomainError, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, failed)
    app.after_request(_say_when)


def render_error(status: int, code: str, sentence: str, *, fields: dict[str, str] | None = None) -> Response:
    """One refusal, as a problem document or as a page."""
    if request.path.startswith("/api/"):
        problem: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": sentence,
            "code": code,
            "request_id": request_id(),
        }
        if fields:
            problem["errors"] = fields
        response = jsonify(problem)
        response.content_type = "application/problem+json"
        if status == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = "Bearer"
        response.status_code = status
        return response
    title = TITLES.get(status, "This did not work")
    reference = request_id() if status >= 500 else None
    page = render_template(
        "console/framework/error.html",
        title=title,
        sentence=sentence,
        fields=fields or {},
        reference=reference,
        try_again=status in PASSING and request.method == "GET",
        # A customer has no console to go home to.
        home=request.path.startswith(("/admin", "/login")),
    )
    return make_response(page, status)


def _refused(error: DomainError) -> ResponseReturnValue:
    if isinstance(error, NotSignedIn) and request.path.startswith("/admin"):
        return redirect("/login")
    response = render_error(error.status, error.code, error.sentence, fields=error.fields)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error
    if isinstance(error, CSRFError):
        return render_error(status, "form_expired", FORM_EXPIRED)
    code = HTTPStatus(status).name.lower()
    response = render_error(status, code, SENTENCES.get(status, UNFORESEEN if status >= 500 else SENTENCES[400]))
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def failed(error: Exception) -> ResponseReturnValue:
    """What is no refusal: noted, and answered with what may be said of it."""
    note(error)
    return render_error(*answer_to(error))


def answer_to(error: BaseException) -> tuple[int, str, str]:
    """Status, code and sentence for what nobody foresaw, or for a database that is away or busy."""
    outage = outage_of(error)
    if outage is None:
        return 500, "internal_error", UNFORESEEN
    if isinstance(error, CommitUnknown):
        return 503, "commit_unknown", COMMIT_UNKNOWN
    if outage is Outage.BUSY:
        return 503, "database_busy", DATABASE_BUSY
    return 503, "database_unavailable", NO_DATABASE


def note(error: BaseException) -> None:
    """Log a failure by its kind and where it happened; its message may hold values of a row."""
    if outage_of(error) is None:
        kind = type(error).__name__
        log.error("unforeseen", request_id=request_id(), kind=kind, at=error_reports.frames_of(error))
        error_reports.report(error, reference=request_id())
        return
    kind = type(getattr(error, "orig", None) or error).__name__
    log.error("database failed", request_id=request_id(), kind=kind)


def _say_when(response: Response) -> Response:
    """Whoever is told to come later is told when, whichever page said so."""
    usual = RETRY_AFTER.get(response.status_code)
    if usual is not None:
        response.headers.setdefault("Retry-After", str(usual))
    return response
