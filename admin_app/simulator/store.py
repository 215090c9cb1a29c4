"""The simulator's memory: JSON documents, read from memory and written through to one SQLite file."""

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class Store:
    """Documents by kind and id in the order in which they were first put; safe between threads.

    A document that was handed out is never changed in place: to change it, put another one.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self._documents: defaultdict[str, dict[str, Document]] = defaultdict(dict)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # Demo data may lose its last second in a power cut; waiting for the disk on each write is worse.
        self._db.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = OFF;
            CREATE TABLE IF NOT EXISTS documents (
                position INTEGER PRIMARY KEY AUTOINCREMENT,
                kind TEXT NOT NULL,
                id TEXT NOT NULL,
                body TEXT NOT NULL,
                UNIQUE (kind, id)
            );
            """
        )
        for kind, identity, body in self._db.execute("SELECT kind, id, body FROM documents ORDER BY position"):
            self._documents[kind][identity] = json.loads(body)

    def put(self, kind: str, document: Document) -> None:
        self.put_all(kind, [document])

    def put_all(self, kind: str, documents: Iterable[Document]) -> None:
        """All of them or, when one cannot be stored, none."""
        given = list(documents)
        rows = [(kind, document["id"], json.dumps(document)) for document in given]
        with self.lock:
            self._db.execute("BEGIN")
            try:
                self._db.executemany(
                    "INSERT INTO documents (kind, id, body) VALUES (?, ?, ?)"
                    " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                    rows,
                )
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            self._documents[kind].update({document["id"]: document for document in given})

    def get(self, kind: str, identity: str) -> Document | None:
        with self.lock:
            return self._documents[kind].get(identity)

    def all(self, kind: str) -> list[Document]:
        with self.lock:
            return list(self._documents[kind].values())

    def newest(self, kind: str, limit: int) -> list[Document]:
        return self.all(kind)[: -limit - 1 : -1]

    def count(self, kind: str) -> int:
        with self.lock:
            return len(self._documents[kind])

    def delete(self, kind: str, identity: str) -> None:
        with self.lock:
            self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, identity))
            self._documents[kind].pop(identity, None)

    def close(self) -> None:
        with self.lock:
            self._db.close()
