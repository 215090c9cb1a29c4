"""What every answer says to the browser: a strict content policy, and nothing kept that is personal."""

import structlog
from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from admin_app.config import Settings

log = structlog.get_logger("backdesk.csp")

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "report-uri /csp-reports",
    )
)
HEADERS = {
    "Content-Security-Policy": CSP,
    # Flask-WTF compares the referrer on https, so it must reach our own origin.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=31536000; includeSubDomains"
REPORTS = "csp_reports"
LONGEST_REPORT = 8 * 1024


def headers(*, secure: bool) -> dict[str, str]:
    """What an answer says that is made outside of the application; `secure`: people reach us by https."""
    always = {**HEADERS, "Cache-Control": "no-store"}
    return always | {"Strict-Transport-Security": HSTS} if secure else always


class FormSessions(SecureCookieSessionInterface):
    """The forms' own session, which callers of the API do not have: nothing is read, kept or sent for them."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        # None stands for Flask's empty session that refuses to be written to.
        return None if request.path.startswith("/api/") else super().open_session(app, request)


def register(app: Flask, settings: Settings) -> None:
    """Set the headers on every answer that has not set its own, and take reports of what the policy stopped."""

    always = [*HEADERS.items()]
    if settings.secure_cookies:
        always.append(("Strict-Transport-Security", HSTS))
    page = [*always, ("Cache-Control", "no-store")]

    app.session_interface = FormSessions()

    @app.after_request
    def set_headers(response: Response) -> Response:
        # Looked through once: `setdefault` would go through all of them for each.
        own = {name.lower() for name, _ in response.headers}
        wanted = page if request.endpoint != "static" else always
        response.headers.extend([(name, value) for name, value in wanted if name.lower() not in own])
        return response

    app.add_url_rule("/csp-reports", REPORTS, _take_report, methods=["POST"])


def _take_report() -> tuple[str, int]:
    """Log which rule stopped something; the rest of a report may name pages and people."""
    report = None
    if (request.content_length or 0) <= LONGEST_REPORT:
        report = request.get_json(force=True, silent=True)
    inner = report.get("csp-report") if isinstance(report, dict) else None
    if isinstance(inner, dict):
        rule = inner.get("effective-directive") or inner.get("violated-directive")
        log.warning("content policy stopped something", directive=str(rule)[:60])
    return "", 204
