"""Sockets with a total time: what httpx calls a time-out bounds one read of a socket, and a server that sends a byte
now and then would never reach it.

httpcore lets the network be replaced (`NetworkBackend`, `NetworkStream`); here every step of a call, the look-up of the
name and the handshake included, has no more than what is left of `deadline`.
"""

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from typing import Any

import httpcore
from httpcore import SOCKET_OPTION

from admin_app.integrations.http import deadline

# A request of ours is sent in parts of this size, each with the time that is left then.
_PART = 16_384
_look_ups = ThreadPoolExecutor(max_workers=8, thread_name_prefix="look-up")


class TimedBackend(httpcore.NetworkBackend):
    """TCP as httpcore has it, within the deadline."""

    def __init__(self) -> None:
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _addresses(host, port, _left(timeout, httpcore.ConnectTimeout))
        options = list(socket_options or ())
        for number, address in enumerate(addresses, 1):
            # One that does not answer leaves the others their share.
            share = _left(timeout, httpcore.ConnectTimeout)
            share = None if share is None else share / (len(addresses) - number + 1)
            try:
                return TimedStream(self._plain.connect_tcp(address, port, share, local_address, options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise httpcore.ConnectError


class TimedStream(httpcore.NetworkStream):
    """A connection each step of which ends with the deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PART):
            self._stream.write(buffer[start : start + _PART], _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return TimedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, over: type[httpcore.TimeoutException]) -> float | None:
    left = deadline.clipped(timeout)
    if left is not None and left <= 0:
        raise over
    return left


def _addresses(host: str, port: int, seconds: float | None) -> list[str]:
    """What the name stands for, asked of the system in a thread of its own: it takes no time-out."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        asked = _look_ups.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = asked.result(seconds)
    except NotInTime:
        asked.cancel()
        raise httpcore.ConnectTimeout from None
    except (OSError, UnicodeError):
        raise httpcore.ConnectError from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
