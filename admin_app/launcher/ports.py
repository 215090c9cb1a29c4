"""TCP ports on the loopback address."""

from __future__ import annotations

import socket
from pathlib import Path

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen here now."""
    return _bindable(port) is not None


def stable_port(note: Path, *, avoid: int = 0) -> int:
    """The port noted by the last run when it is still free, so that known addresses stay right; else any."""
    try:
        wanted = int(note.read_text())
    except (FileNotFoundError, ValueError):
        wanted = 0
    port = (wanted != avoid and _bindable(wanted)) or _bindable(0)
    if port is None:
        raise OSError(f"no free TCP port on {HOST}")
    note.write_text(f"{port}\n")
    return port


def _bindable(port: int) -> int | None:
    with socket.socket() as probe:
        # As servers do themselves: a connection that lingers from the last run is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
