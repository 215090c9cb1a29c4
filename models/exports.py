"""Lists that were taken away as files."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, Count, CreatedAt, text_enum


class ExportFormat(StrEnum):
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
    __tablename__ = "export_chunks"
    __table_args__ = (UniqueConstraint("export_id", "number"),)

    id: Mapped[BigId]
    export_id: Mapped[int] = mapped_column(ForeignKey("exports.id", ondelete="CASCADE"))
    number: Mapped[int]
    body: Mapped[bytes] = mapped_column(LargeBinary)
