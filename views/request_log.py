"""A reference for every request and one log line when it is answered: no query string, nothing personal."""

import time
import uuid

import structlog
from flask import Flask, Response, g, request

# In the environment of a request, where no header can put it.
REFERENCE = "backdesk.request_id"
log = structlog.get_logger("backdesk.request")


def register(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_answered)


def _begin() -> None:
    # Never taken from outside: a caller could otherwise forge the reference that the audit shows.
    g.request_id = request.environ.get(REFERENCE) or uuid.uuid4().hex
    g.request_began = time.perf_counter()


def _answered(response: Response) -> Response:
    reference = g.get("request_id")
    if reference is None:
        return response
    response.headers["X-Request-Id"] = reference
    # The rule and not the path: a path may hold a person's id.
    log.info(
        "request",
        request_id=reference,
        method=request.method,
        route=request.url_rule.rule if request.url_rule else "(no such address)",
        status=response.status_code,
        ms=round((time.perf_counter() - g.request_began) * 1000, 1),
    )
    return response
