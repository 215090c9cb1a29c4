"""Makes a simulated provider misbehave for the next few calls."""

import socket
import threading
import time
from dataclasses import dataclass

from flask import Request, Response, jsonify

MODES = ("slow", "429", "500", "apply-then-drop", "off")
PROVIDERS = ("whop", "clerk")
_SLOW_SECONDS = 30.0


@dataclass
class Fault:
    mode: str
    left: int
    seconds: float = _SLOW_SECONDS


class Faults:
    """Switches by provider; each counts down and then lets calls through again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}

    def set(self, provider: str, mode: str, times: int, seconds: float = _SLOW_SECONDS) -> None:
        with self._lock:
            self._faults.pop(provider, None)
            if mode != "off" and times > 0:
                self._faults[provider] = Fault(mode, times, seconds)

    def describe(self) -> list[tuple[str, str, int]]:
        with self._lock:
            return [(provider, fault.mode, fault.left) for provider, fault in self._faults.items()]

    def take(self, provider: str) -> Fault | None:
        """The fault that this call must suffer, used up by one."""
        with self._lock:
            fault = self._faults.get(provider)
            if fault is None:
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
        elif fault.mode == "apply-then-drop":
            request.environ["simulator.drop"] = True
        else:
            return _failure(provider, int(fault.mode))
        return None

    @staticmethod
    def after(request: Request, response: Response) -> Response:
        if request.environ.get("simulator.drop"):
            _hang_up(request)
        return response


def _failure(provider: str, status: int) -> Response:
    kind, message = ("rate_limit_exceeded", "Try again in 1 seconds.") if status == 429 else ("api_error", "Try again.")
    body = (
        {"error": {"type": kind, "message": message}}
        if provider == "whop"
        else {"errors": [{"message": message, "long_message": message, "code": kind}]}
    )
    response = jsonify(body)
    response.status_code = status
    if status == 429:
        response.headers["Retry-After"] = "1"
    return response


def _hang_up(request: Request) -> None:
    connection: socket.socket | None = request.environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
