"""TCP ports on the loopback address."""

from __future__ import annotations

import socket
from collections.abc import Collection
from pathlib import Path

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen here now."""
    return _bindable(port) is not None


def stable_port(note: Path, *, avoid: Collection[int] = ()) -> int:
    """The port noted by the last run when it is still free, so that known addresses stay right; else any."""
    try:
        wanted = int(note.read_text())
    except (FileNotFoundError, ValueError):
        wanted = 0
    port = (wanted and wanted not in avoid and _bindable(wanted)) or _any_but(avoid)
    if port is None:
        raise OSError(f"no free TCP port on {HOST}")
    note.write_text(f"{port}\n")
    return port


def _any_but(avoid: Collection[int]) -> int | None:
    # Each was bound and let go again, so the system may offer one of them anew.
    return next((port for _ in range(len(avoid) + 1) if (port := _bindable(0)) not in avoid), None)


def _bindable(port: int) -> int | None:
    with socket.socket() as probe:
        # As servers do themselves: a connection that lingers from the last run is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
