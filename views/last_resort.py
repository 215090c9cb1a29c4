"""What answers when even the error's page fails: around the whole application, made of constants only.

Without it the web server would answer by itself, without our headers and reference, and write the request's address
with its query, and the exception's text, to its log.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from html import escape
from http import HTTPStatus
from itertools import chain
from json import dumps
from typing import Any, cast
from uuid import uuid4

import structlog

from admin_app import error_reports
from admin_app.config import Settings
from views import errors, security
from views.request_log import REFERENCE

log = structlog.get_logger("backdesk.last_resort")

_PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>This did not work – Backdesk</title>
    <link rel="stylesheet" href="/static/public/public.css">
  </head>
  <body>
    <main class="column">
      <h1>This did not work</h1>
      <p>{sentence}</p>
      <p>Reference: <code>{reference}</code></p>{again}
    </main>
  </body>
</html>
"""

# Where the same may work when it is asked for once more.
_AGAIN = """
      <p><a href="">Try again</a></p>"""

_Headers = list[tuple[str, str]]


class LastResort:
    """A WSGI application around ours, which nothing gets out of but answers."""

    def __init__(self, app: Callable[..., Iterable[bytes]], settings: Settings) -> None:
        self._app = app
        self._always = dict(security.HEADERS) | {"Cache-Control": "no-store"}
        if settings.secure_cookies:
            self._always["Strict-Transport-Security"] = security.HSTS

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reference = environ[REFERENCE] = uuid4().hex
        begun: list[tuple[str, _Headers]] = []

        def begin(status: str, headers: _Headers, _exc_info: object = None) -> None:
            begun[:] = [(status, self._complete(headers, reference))]

        body: Iterable[bytes] = ()
        sends_files = environ.get("wsgi.file_wrapper", ())
        try:
            body = self._app(environ, begin)
            if isinstance(body, sends_files):
                # The server sends the file by itself, when it gets it as it is.
                start_response(*begun[0])
                return cast(Iterable[bytes], body)
            # Nothing is said to the caller before there is something to say: until then another answer is possible.
            rest = iter(body)
            first = list(_one(rest))
        except Exception as error:
            _close(body, reference)
            _note(error, reference)
            status, headers, page = self._answer(error, environ, reference)
            start_response(status, headers)
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [page]
        start_response(*begun[0])
        return _Sent(chain(first, rest), body, reference)

    def _complete(self, headers: _Headers, reference: str) -> _Headers:
        """With what an answer lacks that did not come through all of the application's own steps."""
        there = {name.lower() for name, _ in headers}
        if "x-request-id" in there:
            return headers
        missing = {**self._always, "X-Request-Id": reference}
        return [*headers, *((name, value) for name, value in missing.items() if name.lower() not in there)]

    def _answer(self, error: BaseException, environ: dict[str, Any], reference: str) -> tuple[str, _Headers, bytes]:
        status, code, sentence = errors.answer_to(error)
        phrase = HTTPStatus(status).phrase
        if environ.get("PATH_INFO", "").startswith("/api/"):
            problem = {"type": "about:blank", "title": phrase, "status": status, "detail": sentence, "code": code}
            page, kind = dumps(problem | {"request_id": reference}), "application/problem+json"
        else:
            again = _AGAIN if status == HTTPStatus.SERVICE_UNAVAILABLE and environ["REQUEST_METHOD"] == "GET" else ""
            page = _PAGE.format(sentence=escape(sentence), reference=reference, again=again)
            kind = "text/html; charset=utf-8"
        raw = page.encode()
        headers = [("Content-Type", kind), ("Content-Length", str(len(raw)))]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("Retry-After", str(errors.RETRY_SECONDS)))
        return f"{status} {phrase}", self._complete(headers, reference), raw


class _Sent:
    """An answer's body on its way; when it breaks off, the caller must be able to see that it is not whole."""

    def __init__(self, blocks: Iterator[bytes], body: Iterable[bytes], reference: str) -> None:
        self._blocks, self._body, self._reference = blocks, body, reference

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._blocks)
        except StopIteration:
            raise
        except Exception as error:
            _note(error, self._reference)
            # Servers end the connection at this without a word, as when the caller had ended it.
            raise ConnectionResetError(errno.ECONNRESET, "the answer broke off") from None

    def close(self) -> None:
        _close(self._body, self._reference)


def _one(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The first block, if there is any."""
    for block in blocks:
        yield block
        return


def _close(body: Iterable[bytes], reference: str) -> None:
    try:
        getattr(body, "close", lambda: None)()
    except Exception as error:
        _note(error, reference)


def _note(error: BaseException, reference: str) -> None:
    log.error("escaped", request_id=reference, kind=type(error).__name__, at=error_reports.frames_of(error))
    error_reports.report(error, reference=reference)
