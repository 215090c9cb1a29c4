"""A network between the product and its database that a test can break: refuse, hang, reset, slow down."""

import select
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class DatabaseProxy:
    """Passes connections on to a database; what is broken stays broken until `mend`.

    Hanging keeps every connection open and acknowledges all packets, so that no keepalive notices anything.
    """

    def __init__(self, database_url: str) -> None:
        there = urlsplit(database_url)
        self._to = (there.hostname or "127.0.0.1", there.port or 5432)
        self._listener: socket.socket | None = None
        self._port = 0
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._stranded: set[tuple[socket.socket, socket.socket]] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._over = threading.Event()
        self.delay = 0.0
        self._listen()
        place = there.netloc.rpartition("@")[0]
        self.url = there._replace(netloc=f"{place}@127.0.0.1:{self._port}", query="").geturl()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._flows.set()
        self.refuse()

    def refuse(self) -> None:
        """As when no server runs: what is open ends, what is new is refused."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.reset()

    def reset(self) -> None:
        """Break off every open connection."""
        for pair in list(self._pairs):
            for end in pair:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)

    def hang(self) -> None:
        self._flows.clear()

    def strand(self) -> None:
        """What is open hangs for ever, what is new works: as after a failover that nobody told the client of."""
        self._stranded |= self._pairs

    def mend(self) -> None:
        self.delay = 0.0
        self._flows.set()
        if self._listener is None:
            self._listen()

    def _listen(self) -> None:
        self._listener = listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                here, _ = listener.accept()
                pair = (here, socket.create_connection(self._to))
            except OSError:
                return
            self._pairs.add(pair)
            threading.Thread(target=self._carry, args=(pair,), daemon=True).start()

    def _carry(self, pair: tuple[socket.socket, socket.socket]) -> None:
        other = {pair[0]: pair[1], pair[1]: pair[0]}
        with suppress(OSError):
            while True:
                for end in select.select(pair, [], [])[0]:
                    block = end.recv(65536)
                    self._flows.wait()
                    while pair in self._stranded and not self._over.wait(0.1):
                        pass
                    if self.delay:
                        time.sleep(self.delay)
                    if not block or self._over.is_set():
                        raise ConnectionResetError
                    other[end].sendall(block)
        self._pairs.discard(pair)
        for end in pair:
            end.close()
