"""The worker's log: one JSON object a line, the queue's own messages included."""

import logging
import sys

import structlog

from admin_app import error_reports
from admin_app.config import Settings


def configure(settings: Settings) -> None:
    """Send everything to standard error as JSON, and failures to Sentry when a DSN is set."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _only_the_kind,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("procrastinate").setLevel(logging.INFO)
    error_reports.start(settings)


def _only_the_kind(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """An exception by its kind: its text may quote a row."""
    kind = event.pop("exc_info", None)
    if isinstance(kind, tuple):
        kind = kind[1]
    if isinstance(kind, BaseException):
        event["exception"] = type(kind).__name__
    return event
