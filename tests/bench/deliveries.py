"""Deliveries of purchases, and callers that post them over connections that stay open, as providers' senders do.

A caller writes bytes that were signed beforehand to a socket and reads the answer: as little work as possible, because
the callers share the machine with what they measure.
"""

import base64
import hashlib
import hmac
import itertools
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

WHOP_SECRET = "ws_of_the_benchmark_00000000000000"
PATIENCE_SECONDS = 30.0


def purchase(number: int, at: datetime, run: str) -> dict[str, Any]:
    """Whop's event of a membership that began at this moment."""
    began = at.isoformat().replace("+00:00", "Z")
    name = f"{run}{number:07d}"
    return {
        "id": f"msg_{name}",
        "api_version": "v1",
        "timestamp": began,
        "type": "membership.activated",
        "company_id": "biz_bench",
        "data": {
            "id": f"mem_{name}",
            "status": "active",
            "billing_period_days": 365,
            "cancel_at_period_end": False,
            "created_at": began,
            "updated_at": began,
            "current_period_start": began,
            "current_period_end": (at + timedelta(days=365)).isoformat().replace("+00:00", "Z"),
            "initial_price": {"amount": "490.00", "currency": "usd", "decimals": 2, "display_decimals": 2},
            "renewal_price": {"amount": "490.00", "currency": "usd", "decimals": 2, "display_decimals": 2},
            "metadata": {},
            "plan_id": "plan_bench",
            "product": {"id": "prod_bench", "title": "Pro membership", "logo_url": None},
            "product_id": "prod_bench",
            "user": {"id": f"user_{name}", "email": f"buyer.{name}@bench.example", "name": "Bench Buyer"},
        },
    }


def body_of(number: int, at: datetime, run: str) -> tuple[bytes, dict[str, Any]]:
    """The purchase as it is sent, and what it says."""
    event = purchase(number, at, run)
    return json.dumps(event).encode(), event


def request_of(number: int, run: str) -> bytes:
    """The whole HTTP request, signed now; good for five minutes."""
    now = datetime.now(UTC)
    raw, event = body_of(number, now, run)
    delivery, timestamp = event["id"], str(int(now.timestamp()))
    signed = b".".join((delivery.encode(), timestamp.encode(), raw))
    mac = base64.b64encode(hmac.new(WHOP_SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    head = (
        "POST /api/webhooks/whop HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
        f"Webhook-Id: {delivery}\r\nWebhook-Timestamp: {timestamp}\r\nWebhook-Signature: v1,{mac}\r\n\r\n"
    )
    return head.encode() + raw


def signed(count: int) -> list[bytes]:
    """Deliveries that no earlier run sent."""
    run = secrets.token_hex(4)
    return [request_of(number, run) for number in range(count)]


class Caller:
    """One sender with its connection, opened anew when the server closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def post(self, request: bytes) -> None:
        """Send one delivery and read its acknowledgement; raises when it is not one."""
        try:
            answer = self._exchange(request)
        except ConnectionError:
            # Servers close a connection after a number of requests; a delivery that comes twice is stored once.
            self.close()
            answer = self._exchange(request)
        status = answer[9:12]
        if status != b"200":
            raise SystemExit(f"A delivery was answered {status.decode()}: {answer[-300:]!r}")
        if b"connection: close" in answer.lower():
            self.close()

    def _exchange(self, request: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _, body = answer.partition(b"\r\n\r\n")
        (length,) = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(body) < length:
            body += self._more()
        return head + b"\r\n\r\n" + body

    def _more(self) -> bytes:
        assert self._socket is not None
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionResetError
        return received

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def as_fast_as_answered(port: int, requests: Sequence[bytes], *, callers: int, seconds: float) -> tuple[int, float]:
    """How many were acknowledged, and in how many seconds; each caller sends the next when the last is answered."""
    supply, counted = iter(requests), [0] * callers
    lock = threading.Lock()
    end = time.perf_counter() + seconds
    began = time.perf_counter()

    def call(number: int) -> None:
        caller = Caller(port)
        while time.perf_counter() < end:
            with lock:
                request = next(supply, None)
            if request is None:
                raise SystemExit("The benchmark signed too few deliveries. Make SIGNED larger.")
            caller.post(request)
            counted[number] += 1
        caller.close()

    _all(call, callers)
    return sum(counted), time.perf_counter() - began


def at_rate(port: int, requests: Sequence[bytes], *, callers: int, rate: float, seconds: float) -> list[float]:
    """Seconds from when each delivery was due to its acknowledgement, whether or not the earlier ones were answered."""
    total, numbers = min(int(rate * seconds), len(requests)), itertools.count()
    waited: list[float] = []
    begun = time.perf_counter()

    def call(_: int) -> None:
        caller = Caller(port)
        while (number := next(numbers)) < total:
            due = begun + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            caller.post(requests[number])
            waited.append(time.perf_counter() - due)
        caller.close()

    _all(call, callers)
    return waited


def _all(call: Callable[[int], None], callers: int) -> None:
    with ThreadPoolExecutor(callers) as pool:
        for finished in [pool.submit(call, number) for number in range(callers)]:
            finished.result()
