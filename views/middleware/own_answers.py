"""Answers of what stands before Flask: nothing is asked for them, neither the database nor who is signed in."""

import json
import uuid
from collections.abc import Iterable
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from views import security

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = structlog.get_logger("backdesk.request")

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="stylesheet" href="/static/public/public.css">
</head>
<body>
<main class="column"><h1>{title}</h1><p>{sentence}</p><p>Reference: <code>{reference}</code></p>{again}</main>
</body>
</html>
"""
# Where the same may work when it is asked for once more.
AGAIN = '<p><a href="">Try again</a></p>'
TITLES = {400: "That could not be read", 408: "It did not arrive", 503: "Busy at the moment"}


def own_answer(
    environ: "WSGIEnvironment",
    start_response: "StartResponse",
    status: int,
    code: str,
    sentence: str,
    *,
    secure: bool,
    retry_after: int | None = None,
) -> Iterable[bytes]:
    """A problem document (RFC 9457) under `/api/`, elsewhere a page, with the headers of every other answer.

    `retry_after` is in seconds. One log line says that the request went no further.
    """
    # What stands outside of us may have given the request one.
    reference = environ.get("backdesk.request_id") or uuid.uuid4().hex
    phrase = HTTPStatus(status).phrase
    if environ.get("PATH_INFO", "").startswith("/api/"):
        kind = "application/problem+json"
        problem = {"type": "about:blank", "title": phrase, "status": status, "detail": sentence, "code": code}
        body = json.dumps(problem | {"request_id": reference}).encode()
    else:
        kind = "text/html; charset=utf-8"
        title = TITLES.get(status, phrase)
        again = AGAIN if retry_after is not None and environ["REQUEST_METHOD"] == "GET" else ""
        page = PAGE.format(title=escape(title), sentence=escape(sentence), reference=reference, again=again)
        body = page.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("X-Request-Id", reference)]
    if retry_after is not None:
        headers.append(("Retry-After", str(retry_after)))
    headers += security.headers(secure=secure).items()
    log.warning(
        "request not admitted", request_id=reference, method=environ["REQUEST_METHOD"], status=status, code=code
    )
    start_response(f"{status} {phrase}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
