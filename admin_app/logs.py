"""What every program of the product writes to its log: one JSON object a line, the libraries' own messages included.

Nothing of a person or a secret is in it. A library's message is shown without the values that it was filled with, an
exception by its kind and where it happened: the texts of both may quote a row, an address with its query or a token.
"""

import logging
import sys
import warnings
from typing import TextIO

import structlog

from admin_app.error_reports import frames_of

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
]
# Its messages hold names of tasks and numbers of records, as ours do.
SPEAKS_AS_WE_DO = "procrastinate"
# Messages that libraries fill before they log them; what follows these words quotes the request or an exception.
FILLED_AFTER = {
    "gunicorn.error": (" from ip=", ": "),
    "asyncio": ("\n",),
    "procrastinate": (" error: ", "Cause: "),
}


def own_lines(file: TextIO | None = None) -> None:
    """Shape what the product itself logs; to standard output unless another file is given."""
    structlog.configure(
        processors=[*_SHARED, _only_the_kind, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=file),
        cache_logger_on_first_use=False,
    )


def library_lines() -> None:
    """Take over what libraries and the web server log, to standard error; for a whole process, before it works."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(SPEAKS_AS_WE_DO).setLevel(logging.INFO)
    warnings.showwarning = _warned
    # Gunicorn has handlers of its own, made before it loads the application.
    for theirs in logging.getLogger("gunicorn.error").handlers:
        # The ones of gunicorn.conf.py say more about the server and no more about requests.
        if not getattr(theirs.formatter, "quotes_no_request", False):
            theirs.setFormatter(_formatter())
    # An access log's lines are request lines, with their queries; `views.request_log` writes one without.
    logging.getLogger("gunicorn.access").disabled = True


def _formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, _without_values, *_SHARED],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _only_the_kind,
            structlog.processors.JSONRenderer(),
        ],
    )


def _without_values(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A library's message as it stands in its source, before any value was put in."""
    record: logging.LogRecord = event["_record"]
    area = record.name.partition(".")[0]
    if area != SPEAKS_AS_WE_DO:
        # An exception may be given in place of a message.
        event["event"] = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    for mark in FILLED_AFTER.get(record.name, FILLED_AFTER.get(area, ())):
        event["event"] = str(event["event"]).partition(mark)[0]
    event.pop("positional_args", None)
    return event


def _only_the_kind(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """An exception by its kind and its frames: its text may quote a row."""
    kind = event.pop("exc_info", None)
    event.pop("exception", None)
    event.pop("stack", None)
    if kind is True:
        kind = sys.exc_info()
    if isinstance(kind, tuple):
        kind = kind[1]
    if isinstance(kind, BaseException):
        event["exception"], event["at"] = type(kind).__name__, frames_of(kind)
    return event


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    structlog.get_logger("backdesk.warnings").warning("warned", kind=category.__name__, at=f"{filename}:{lineno}")
