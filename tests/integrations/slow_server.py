"""A server on the loopback address that is slow in ways that no time-out of one read notices."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Way = Literal["silent", "drips the head", "drips the body", "answers"]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n"
BODY = b'{"ok": true}' + b" " * 388


@dataclass
class SlowServer:
    """Every connection is answered in `way`; a pause lies between two bytes."""

    url: str
    way: Way = "silent"
    pause: float = 0.1
    taken: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def serve(self, listening: socket.socket) -> None:
        while not self._over.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                if self.way == "silent":
                    self._over.wait(60)
                    return
                whole = HEAD + BODY
                at_once = {"drips the head": 0, "drips the body": len(HEAD), "answers": len(whole)}[self.way]
                connection.sendall(whole[:at_once])
                for place in range(at_once, len(whole)):
                    time.sleep(self.pause)
                    connection.sendall(whole[place : place + 1])
            except OSError:
                return

    def close(self) -> None:
        self._over.set()


@contextmanager
def slow_server() -> Iterator[SlowServer]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = SlowServer(f"http://127.0.0.1:{listening.getsockname()[1]}")
        threading.Thread(target=server.serve, args=[listening], daemon=True).start()
        yield server
        server.close()
