"""What was changed at a simulator of this process: every request but the reading ones, and those of tests' own."""

import threading

from flask import Flask, request

PROVIDERS = ("stripe", "calcom", "calendly", "workos", "whop", "clerk")
READING = ("GET", "HEAD", "OPTIONS")


class Changes:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: list[tuple[str, str]] = []

    def over(self, simulator: Flask) -> None:
        @simulator.before_request
        def look() -> None:
            provider = request.path.split("/")[1]
            if request.method not in READING and provider in PROVIDERS:
                with self._lock:
                    self._noted.append((provider, request.path))

    def taken(self) -> list[tuple[str, str]]:
        """Provider and path of each since the last time."""
        with self._lock:
            noted, self._noted = self._noted, []
        return noted


CHANGES = Changes()
