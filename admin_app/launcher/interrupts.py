"""Ctrl-C and its like: they end the run, except for the moments in which something would be left behind."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stop(BaseException):
    """Somebody asked us to end. Not an Exception, so that no handler on the way swallows it."""


class _State:
    held = 0
    asked = False


def watch() -> None:
    """From now on the signals that end a program raise `Stop` in the main thread."""
    _on_signals(_stop)


@contextmanager
def held() -> Iterator[None]:
    """A signal that comes meanwhile is heard at the end: a process that was just started has to be noted first."""
    _State.held += 1
    try:
        yield
    finally:
        _State.held -= 1
    if _State.asked and not _State.held:
        raise Stop


@contextmanager
def ignored() -> Iterator[None]:
    """A second Ctrl-C must not break off the orderly end; each part of it has its own time limit."""
    _on_signals(signal.SIG_IGN)
    yield


def _stop(number: int, frame: FrameType | None) -> None:
    _State.asked = True
    if not _State.held:
        raise Stop


def _on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup the loss of the terminal is to be survived.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)
