"""gunicorn's own messages as JSON lines beside the product's, saying what happened and never with which values.

gunicorn writes the address with its query, and texts of exceptions, into its messages. Both may hold a claim's token or
a person's data, so only messages about the server itself are written out; of any other remain the words before its
first value, the kind of the exception and where it was raised.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from gunicorn.glogging import Logger

# Values in these are process ids, addresses to listen at, signals and settings.
ABOUT_THE_SERVER = (
    "Starting gunicorn", "Listening at", "Using worker", "Booting worker", "Worker exiting", "Worker (pid",
    "WORKER TIMEOUT", "Handling signal", "Hang up", "Shutting down", "Reason", "Autorestarting worker",
    "Connection in use", "Retrying in", "Can't connect to", "Parent changed", "Master has been promoted",
    "Quick shutdown", "No keepalived connections",
)  # fmt: skip
FIRST_VALUE = re.compile(r"[%{=:'\"\n]")
FRAMES = 8
# The client is gone or fetches nothing: nobody has to do anything about it.
CLIENT_WENT = (BlockingIOError, TimeoutError, ConnectionError)


class JsonLines(logging.Formatter):
    """One line for each message."""

    quotes_no_request = True

    def format(self, record: logging.LogRecord) -> str:
        template = str(record.msg)
        line: dict[str, Any] = {"logger": "gunicorn", "process": record.process}
        if template.startswith(ABOUT_THE_SERVER):
            line["event"] = record.getMessage()
        else:
            line["event"] = FIRST_VALUE.split(template, maxsplit=1)[0].strip()
        if record.exc_info and record.exc_info[0] is not None:
            line |= {"kind": record.exc_info[0].__name__, "at": _places(record.exc_info[2])}
        moment = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        return json.dumps({**line, "level": record.levelname.lower(), "timestamp": moment})


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger with that form; the product writes a line for each request itself."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonLines())

    def exception(self, msg: str, *args: Any, **options: Any) -> None:
        if isinstance(sys.exception(), CLIENT_WENT):
            self.error_log.info("Client went away", exc_info=True)
        else:
            super().exception(msg, *args, **options)

    def access(self, *_: Any) -> None:
        """Nothing: see views/request_log.py."""


def _places(trace: TracebackType | None) -> list[str]:
    found = []
    while trace is not None:
        found.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return found[-FRAMES:]
