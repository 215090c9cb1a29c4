"""Reading ahead: a source's rows are fetched by a thread of their own while those before them are being written."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from admin_app.integrations.earlier import Source, SourceTable

ALL = 2**62
# Bytes that wait for whoever writes; a block that is larger by itself waits alone.
AHEAD = 2**20
# PostgreSQL gives out row by row; what is handed on is put together up to this size.
BLOCK = 2**16


class _Stopped(Exception):
    """Nobody takes the rest."""


class Reading:
    """The rows of one table in the order of their keys, as lines of COPY's text form, in parts as large as asked for.

    One statement of the source for all parts, so they are of one moment. While it lasts nothing else may be asked of
    the source. Memory is bounded by `AHEAD` and one block of the source.
    """

    def __init__(self, source: Source, table: SourceTable, columns: Sequence[str], *, after: str | None = None) -> None:
        self.after = after
        self._source, self._table, self._columns = source, table, columns
        self._blocks: deque[bytes] = deque()
        self._gathered: list[bytes] = []
        self._size = self._gathered_size = 0
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name=f"reading {table.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def take(self, limit: int, write: Callable[[bytes], object]) -> int:
        """Hand on so many rows, fewer only at the end; how many there were. Raises what the source raised."""
        number = 0
        while number < limit:
            block = self._next()
            if block is None:
                break
            # A line feed within a value is written as two other characters.
            there = block.count(b"\n")
            if number + there > limit:
                block = self._cut(block, limit - number)
                there = limit - number
            number += there
            write(block)
        return number

    def close(self) -> None:
        """Stop reading; the source may be asked other things from here on."""
        with self._changed:
            self._stopped = True
            self._blocks.clear()
            self._changed.notify_all()
        self._thread.join()

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._blocks and not self._ended:
                self._changed.wait()
            if not self._blocks:
                if self._failed is not None:
                    raise self._failed
                return None
            block = self._blocks.popleft()
            self._size -= len(block)
            self._changed.notify_all()
            return block

    def _cut(self, block: bytes, rows: int) -> bytes:
        """The first rows of a block; the others are the next block."""
        end = 0
        for _ in range(rows):
            end = block.index(b"\n", end) + 1
        with self._changed:
            self._blocks.appendleft(block[end:])
            self._size += len(block) - end
        return block[:end]

    def _read(self) -> None:
        try:
            self._source.copy(self._table, self._columns, self._gather, after=self.after, limit=ALL)
            self._hand_on()
        except _Stopped:
            pass
        except BaseException as failed:
            self._failed = failed
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _gather(self, lines: bytes) -> None:
        self._gathered.append(lines)
        self._gathered_size += len(lines)
        if self._gathered_size >= BLOCK:
            self._hand_on()

    def _hand_on(self) -> None:
        block = b"".join(self._gathered)
        self._gathered, self._gathered_size = [], 0
        with self._changed:
            while self._size and self._size + len(block) > AHEAD and not self._stopped:
                self._changed.wait()
            if self._stopped:
                raise _Stopped
            if block:
                self._blocks.append(block)
                self._size += len(block)
                self._changed.notify_all()
