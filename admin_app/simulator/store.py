"""The simulator's memory: JSON documents in one SQLite file, in the order in which they were first put."""

import json
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class Store:
    """Documents by kind and id; safe between threads; each call is one transaction."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
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

    def put(self, kind: str, document: Document) -> None:
        self.put_all(kind, [document])

    def put_all(self, kind: str, documents: Iterable[Document]) -> None:
        rows = [(kind, document["id"], json.dumps(document)) for document in documents]
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

    def get(self, kind: str, identity: str) -> Document | None:
        with self.lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, identity)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str) -> list[Document]:
        with self.lock:
            rows = self._db.execute(
                "SELECT body FROM documents WHERE kind = ? ORDER BY position", (kind,)
            ).fetchall()
        return [json.loads(body) for (body,) in rows]

    def newest(self, kind: str, limit: int) -> list[Document]:
        with self.lock:
            rows = self._db.execute(
                "SELECT body FROM documents WHERE kind = ? ORDER BY position DESC LIMIT ?", (kind, limit)
            ).fetchall()
        return [json.loads(body) for (body,) in rows]

    def count(self, kind: str) -> int:
        with self.lock:
            (total,) = self._db.execute("SELECT count(*) FROM documents WHERE kind = ?", (kind,)).fetchone()
        return int(total)

    def delete(self, kind: str, identity: str) -> None:
        with self.lock:
            self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, identity))

    def close(self) -> None:
        with self.lock:
            self._db.close()
