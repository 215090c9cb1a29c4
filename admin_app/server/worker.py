"""gunicorn's threaded worker, which slow clients cannot bring to a stop.

Three things of gunicorn 27.0 are done in another place here:

- A connection that has said nothing yet waits at the poller and not in a thread (browsers open some in advance).
- The last words on a connection are exchanged in the thread that served it. gunicorn does it in the one thread that
  accepts connections and waits there up to two seconds for the client.
- A request has a time to arrive in, and an answer that is not fetched has an end; gunicorn's `timeout` is about
  processes only.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import sys
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

# The whole request: its head and at most 1 MiB of body.
ARRIVAL_SECONDS = 60.0
# How long a client may fetch nothing at all of an answer.
STANDSTILL_SECONDS = 60
# What a client is still sending when it has its answer: thrown away, so that it reads the answer and not a reset.
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024 * 1024
# How long a thread that computes may keep the interpreter from one that was woken. A delivery asks for it some ten
# times, after each wait of its own, and beside a page or a file in the making it would wait Python's 5 ms each time.
TURN_SECONDS = 0.0005


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves each request in a thread; connections without a request wait outside of them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # When the request that a connection is sending began to arrive.
        self._arriving: dict[TConn, float] = {}

    def init_process(self) -> None:
        sys.setswitchinterval(TURN_SECONDS)
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        if not conn.initialized and not conn.data_ready and self.alive and not conn.wait_for_data(0):
            self._wait_at_poller(conn)
            return
        self._arriving[conn] = time.monotonic()
        super().enqueue_req(conn)

    def _wait_at_poller(self, conn: TConn) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: TConn) -> Any:
        _limit_standstill(conn.sock)
        goes_on = super().handle(conn)
        if not goes_on:
            util.close_graceful(conn.sock, timeout=LINGER_SECONDS, max_drain=LINGER_BYTES)
            # It is closed, and the thread that accepts has nothing to wait for.
            conn.close = _closed
        return goes_on

    def handle_request(self, req: Any, conn: TConn) -> Any:
        # What reads the body tells us by these; see views/middleware/request_body.py.
        req.body.arrived = partial(self._arriving.pop, conn, None)
        req.body.close_after_answer = req.force_close
        return super().handle_request(req, conn)

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        self._arriving.pop(conn, None)
        super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Called by the main loop at least once a second."""
        super().murder_pending()
        latest = time.monotonic() - ARRIVAL_SECONDS
        for conn, begun in list(self._arriving.items()):
            if begun < latest and self._arriving.pop(conn, None) is not None:
                # Whoever reads it sees its end, as if the client had gone.
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)


def _limit_standstill(sock: socket.socket) -> None:
    """By the kernel, because gunicorn puts its sockets back to no timeout before each request."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", STANDSTILL_SECONDS, 0))


def _closed(graceful: bool = False) -> None:
    """In the place of a connection's `close` once that was done."""
