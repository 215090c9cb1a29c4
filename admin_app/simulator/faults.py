"""Makes a simulated provider misbehave for the next few calls."""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Request, Response, jsonify

_AFTER_ACTING = ("apply-then-drop", "apply-then-500", "apply-then-garbage", "apply-then-drip")
MODES = ("slow", "reset", "429", "500", *_AFTER_ACTING, "off")
PROVIDERS = ("whop", "clerk", "stripe", "workos", "calendly", "calcom")
_SLOW_SECONDS = 30.0
_AFTERWARDS = "simulator.afterwards"


@dataclass
class Fault:
    """A fault that is switched on: for `left` more calls, after `after` that go well; a slow one takes `seconds`."""

    mode: str
    left: int
    seconds: float = _SLOW_SECONDS
    after: int = 0


class Faults:
    """Switches by provider; each lets `after` calls through, counts down, and then lets calls through again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}

    def set(self, provider: str, mode: str, times: int, seconds: float = _SLOW_SECONDS, after: int = 0) -> None:
        with self._lock:
            self._faults.pop(provider, None)
            if mode != "off" and times > 0:
                self._faults[provider] = Fault(mode, times, seconds, after)

    def describe(self) -> list[tuple[str, str, int]]:
        with self._lock:
            return [(provider, fault.mode, fault.left) for provider, fault in self._faults.items()]

    def take(self, provider: str) -> Fault | None:
        """The fault that this call must suffer, used up by one."""
        with self._lock:
            fault = self._faults.get(provider)
            if fault is None:
                return None
            if fault.after > 0:
                fault.after -= 1
                return None
            fault.left -= 1
            if fault.left <= 0:
                del self._faults[provider]
            return Fault(fault.mode, fault.left, fault.seconds)

    def before(self, provider: str, request: Request) -> Response | None:
        """Answer in place of the provider, or remember to drop the connection after it has acted."""
        fault = self.take(provider)
        if fault is None:
            return None
        if fault.mode == "slow":
            time.sleep(fault.seconds)
        elif fault.mode == "reset":
            _reset(request)
            # Nobody hears this; what was asked for is not done.
            return _failure(provider, 500, request.path)
        elif fault.mode in _AFTER_ACTING:
            request.environ[_AFTERWARDS] = (provider, fault)
        else:
            return _failure(provider, int(fault.mode), request.path)
        return None

    @staticmethod
    def after(request: Request, response: Response) -> Response:
        match request.environ.get(_AFTERWARDS):
            case (_, Fault(mode="apply-then-drop")):
                _hang_up(request)
            case (str(provider), Fault(mode="apply-then-500")):
                return _failure(provider, 500, request.path)
            case (_, Fault(mode="apply-then-garbage")):
                return Response("<html>It works!</html>", content_type="text/html")
            case (_, Fault(mode="apply-then-drip", seconds=seconds)):
                return _dripping(response, seconds)
        return response


def _body(provider: str, kind: str, message: str, path: str) -> dict[str, Any]:
    """The error in the form of that provider."""
    match provider:
        case "whop":
            return {"error": {"type": kind, "message": message}}
        case "stripe":
            stated = {"type": "invalid_request_error", "code": "rate_limit"} if kind != "api_error" else {"type": kind}
            return {"error": {**stated, "message": message}}
        case "workos":
            return {"message": message, "code": kind}
        case "calendly":
            return {"title": kind, "message": message}
        case "calcom":
            error = {"code": "TooManyRequestsException" if kind != "api_error" else "InternalServerErrorException"}
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            return {"status": "error", "timestamp": now, "path": path, "error": error | {"message": message}}
    return {"errors": [{"message": message, "long_message": message, "code": kind}]}


def _failure(provider: str, status: int, path: str) -> Response:
    kind, message = ("rate_limit_exceeded", "Try again in 1 seconds.") if status == 429 else ("api_error", "Try again.")
    response = jsonify(_body(provider, kind, message, path))
    response.status_code = status
    if status == 429:
        response.headers["Retry-After"] = "1"
    return response


def _dripping(response: Response, seconds: float) -> Response:
    """The same answer, one byte after the other, which takes so many seconds in all."""
    body = response.get_data()

    def parts() -> Iterator[bytes]:
        for place in range(len(body)):
            time.sleep(seconds / len(body))
            yield body[place : place + 1]

    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
    return Response(parts(), response.status_code, headers)


def _reset(request: Request) -> None:
    """End the connection as a crashed machine does: by a reset. What the server still writes goes nowhere."""
    connection: socket.socket | None = request.environ.get("werkzeug.socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        nowhere, other_end = socket.socketpair()
        with nowhere, other_end:
            os.dup2(nowhere.fileno(), connection.fileno())


def _hang_up(request: Request) -> None:
    connection: socket.socket | None = request.environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
