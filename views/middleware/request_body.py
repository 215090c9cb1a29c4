"""A request's body, read before anything else begins to work on the request.

So a slow upload keeps a thread waiting, but no place, lock or connection of the database; and so the connection can
carry another request afterwards, whatever the answer is. Where a body is too large to be read to its end, the client is
told that the connection ends (RFC 9112, section 9.3): one that keeps connections would otherwise send its next request
into a closed one.
"""

import time
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from views.middleware.own_answers import own_answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PIECE = 64 * 1024
# What is too large is thrown away up to here: who sends it reads the answer only when it is sent.
MOST_DISCARDED = 8 * 1024 * 1024
DISCARD_SECONDS = 5.0
NOT_COMPLETE = "The body of this request did not arrive completely, so nothing was done. Send it again."
NOT_READABLE = "The body of this request is not sent as HTTP has it, so nothing was done."


class ReadBodyFirst:
    """Hands the application bodies of at most `largest` bytes, complete and in memory.

    A larger one is not handed over; asking for it is refused by Flask, which knows the same limit. One that stops half
    way is answered with 408, one in chunks that are none with 400.
    """

    def __init__(self, app: "WSGIApplication", *, largest: int, secure: bool) -> None:
        self._app = app
        self._largest = largest
        self._secure = secure

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        source = environ["wsgi.input"]
        refused: tuple[int, str, str] | None = None
        body, has_end = b"", False
        try:
            body, has_end = self._read(source, environ)
        except (OSError, EOFError):
            # gunicorn's "no more data" is one of them.
            refused = 408, "request_timeout", NOT_COMPLETE
        except Exception:
            # Each server has its own words for chunks that are none.
            refused = 400, "bad_request", NOT_READABLE
        _on_connection(source, "arrived")
        if not has_end:
            _on_connection(source, "close_after_answer")
        if refused is not None:
            return own_answer(environ, start_response, *refused, secure=self._secure)
        environ["wsgi.input"] = BytesIO(body)
        if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:
            # It is no longer in chunks, and who asks for its length is told.
            environ["CONTENT_LENGTH"] = str(len(body))
        return self._app(environ, start_response)

    def _read(self, source: Any, environ: "WSGIEnvironment") -> tuple[bytes, bool]:
        """The body as far as it is handed over, and whether its end was reached."""
        declared = _declared_length(environ)
        if declared is None:
            if "HTTP_TRANSFER_ENCODING" not in environ:
                return b"", True
            # One byte more than is taken, by which Flask sees that it is too large.
            body = source.read(self._largest + 1)
            return body, len(body) <= self._largest or _discard(source)
        if declared > self._largest:
            return b"", _discard(source, declared)
        body = source.read(declared) if declared else b""
        if len(body) < declared:
            raise EOFError
        return body, True


def _declared_length(environ: "WSGIEnvironment") -> int | None:
    text = environ.get("CONTENT_LENGTH") or ""
    return int(text) if text.isascii() and text.isdigit() else None


def _discard(source: Any, declared: int | None = None) -> bool:
    """Read on without keeping anything; whether the end was reached."""
    if declared is not None and declared > MOST_DISCARDED:
        return False
    deadline = time.monotonic() + DISCARD_SECONDS
    read = 0
    while piece := source.read(PIECE):
        read += len(piece)
        if read > MOST_DISCARDED or time.monotonic() > deadline:
            return False
    return declared is None or read == declared


def _on_connection(source: Any, what: str) -> None:
    """Tell the server, where it is the one of `admin_app.server.worker`; others look after their connections alone."""
    if (tell := getattr(source, what, None)) is not None:
        tell()
