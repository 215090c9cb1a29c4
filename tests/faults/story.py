"""What a run prints: who reads it knows nothing of the product yet."""

import sys
import time
from collections.abc import Callable


class Story:
    """Lines with the time since the beginning, and what was lost, for the end."""

    def __init__(self, write: Callable[[str], object] = sys.stdout.write) -> None:
        self._write, self._began = write, time.monotonic()
        self.losses: list[str] = []

    def say(self, text: str = "") -> None:
        passed = int(time.monotonic() - self._began)
        self._write(f"{passed // 60:02}:{passed % 60:02}  {text}\n" if text else "\n")
        sys.stdout.flush()

    def more(self, text: str) -> None:
        """A line that belongs to the one before."""
        self._write(f"       {text}\n")
        sys.stdout.flush()

    def lost(self, what: str) -> None:
        """Something that must not be."""
        self.losses.append(what)
        self.more(f"AMISS: {what}")
