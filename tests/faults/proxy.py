"""A TCP proxy that stands between the product and its database, and can be told to misbehave while it runs.

`pass`: nothing happens. `refuse`: nobody listens, and what was connected is cut. `hang`: it accepts and keeps every
packet, and sends them on when it is told to pass again. `reset`: every connection is reset as soon as it is there.
`cut`: a connection is reset after its first bytes in one direction. `latency`: every packet waits.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Self

HOST = "127.0.0.1"
Mode = Literal["pass", "refuse", "hang", "reset", "cut", "latency"]
Direction = Literal["to server", "to client"]
_CHUNK = 65_536
_AT_ONCE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Behaviour:
    """`after` bytes in `direction` for `cut`, counted for each connection from when this began; `seconds` for
    `latency`."""

    mode: Mode = "pass"
    after: int = 0
    direction: Direction = "to server"
    seconds: float = 0.0


class Proxy:
    """Listens on a port of its own, in a thread of its own, for a server on this machine."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.port = 0
        self.accepted = 0
        self._behaviour = Behaviour()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listener: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._flowing = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._set(Behaviour()))
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def open_connections(self) -> int:
        return len(self._links)

    def behave(self, mode: Mode, *, after: int = 0, direction: Direction = "to server", seconds: float = 0.0) -> None:
        """From now on, for connections that are there and for new ones."""
        self._call(self._set(Behaviour(mode, after, direction, seconds)))

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    # -- in the proxy's own thread ---------------------------------------------------------------------------------

    async def _set(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        for link in list(self._links):
            link.passed = dict.fromkeys(link.passed, 0)
            if behaviour.mode in ("refuse", "reset"):
                link.reset()
        if behaviour.mode == "refuse":
            await self._stop_listening()
        elif self._listener is None:
            self._listener = await asyncio.start_server(self._accept, HOST, self.port)
            self.port = self._listener.sockets[0].getsockname()[1]
        if behaviour.mode == "hang":
            self._flowing.clear()
        else:
            self._flowing.set()

    async def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _close(self) -> None:
        await self._stop_listening()
        for link in list(self._links):
            link.reset()
        while self._links:
            await asyncio.sleep(0.01)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(writer)
        self._links.add(link)
        try:
            if self._behaviour.mode == "reset":
                return
            await self._flowing.wait()
            server_reader, server_writer = await asyncio.open_connection(HOST, self._server_port)
            link.writers.append(server_writer)
            pumps = (
                self._pump(link, reader, server_writer, "to server"),
                self._pump(link, server_reader, writer, "to client"),
            )
            _, other = await asyncio.wait(map(asyncio.ensure_future, pumps), return_when=asyncio.FIRST_COMPLETED)
            for pump in other:
                pump.cancel()
            await asyncio.gather(*other, return_exceptions=True)
        except OSError:
            return  # the server is away: so is this connection
        finally:
            link.reset()
            self._links.discard(link)

    async def _pump(
        self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                behaviour = self._behaviour
                if behaviour.mode == "latency":
                    await asyncio.sleep(behaviour.seconds)
                if behaviour.mode == "cut" and behaviour.direction == direction:
                    left = behaviour.after - link.passed[direction]
                    if len(data) >= left:
                        writer.write(data[: max(left, 0)])
                        await writer.drain()
                        return
                link.passed[direction] += len(data)
                writer.write(data)
                await writer.drain()


class _Link:
    """One client's connection and the one that was opened for it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writers = [writer]
        self.passed: dict[str, int] = {"to server": 0, "to client": 0}

    def reset(self) -> None:
        for writer in self.writers:
            connection = writer.get_extra_info("socket")
            if connection is not None and not writer.transport.is_closing():
                with contextlib.suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            writer.transport.abort()
