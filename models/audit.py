"""The append-only record of every command."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId


class AuditEntry(Base):
    """Who did what to which records, why, and what changed; chained by hash, refused UPDATE and DELETE by trigger."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_at", "at", "id"),
        Index("ix_audit_entries_event", "event", "at", "id"),
        Index("ix_audit_entries_actor", "actor_kind", "actor_id", "at"),
        Index("ix_audit_entries_records", "records", postgresql_using="gin"),
    )

    id: Mapped[BigId]
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(doc="e.g. purchase.claimed")
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    actor_label: Mapped[str]
    records: Mapped[list[str]] = mapped_column(ARRAY(TEXT), doc="type:id of every record concerned, the main one first")
    reason: Mapped[str | None]
    changes: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    request_id: Mapped[str]
    prev_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
