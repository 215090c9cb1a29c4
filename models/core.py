"""The audit, and lists that are taken away as files."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, Count, CreatedAt, text_enum


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


class ExportFormat(StrEnum):
    """The kinds of files that a list is exported as; the value is the file name's ending."""

    CSV = "csv"
    XLSX = "xlsx"


class ExportState(StrEnum):
    """`expired`: the file is gone, who took it away is still known. `handed_over`: made at once, never kept."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    HANDED_OVER = "handed_over"


class Export(Base):
    """One export of a list with its filter; the file of a larger one is kept in chunks until it expires."""

    __tablename__ = "exports"
    __table_args__ = (
        Index("ix_exports_created_at", "created_at", "id"),
        Index("ix_exports_by_id", "by_id", "id"),
        Index("ix_exports_expires_at", "expires_at", "id", postgresql_where=text("state = 'done'")),
    )

    id: Mapped[BigId]
    section: Mapped[str]
    arguments: Mapped[list[Any]] = mapped_column(doc="the list's address: pairs of name and value")
    filter_words: Mapped[str]
    format: Mapped[ExportFormat] = mapped_column(text_enum(ExportFormat, "format"))
    time_zone: Mapped[str]
    state: Mapped[ExportState] = mapped_column(text_enum(ExportState, "state"), server_default=ExportState.QUEUED.value)
    by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    estimated_rows: Mapped[int | None]
    rows: Mapped[Count]
    size: Mapped[Count] = mapped_column(doc="bytes")
    error_code: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class ExportChunk(Base):
    """A piece of an export's file; `number` is its place. Deleted with its export."""

    __tablename__ = "export_chunks"
    __table_args__ = (UniqueConstraint("export_id", "number"),)

    id: Mapped[BigId]
    export_id: Mapped[int] = mapped_column(ForeignKey("exports.id", ondelete="CASCADE"))
    number: Mapped[int]
    body: Mapped[bytes] = mapped_column(LargeBinary)
