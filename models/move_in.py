"""What was brought over from earlier systems: each row of theirs, and what became of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, CreatedAt


class MoveRun(Base):
    """One import of an earlier system; `progress` says per table up to which key it got, and what it counted.

    A run that was stopped has no `finished_at`; the next one of the same system goes on where it ended.
    """

    __tablename__ = "move_runs"
    __table_args__ = (
        Index("uq_move_runs_unfinished", "system", unique=True, postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[BigId]
    system: Mapped[str]
    source: Mapped[str] = mapped_column(doc="the address, without user and password")
    mapping: Mapped[str] = mapped_column(doc="the mapping's file as it was used")
    progress: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    started_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class MovedRow(Base):
    """A row of an earlier system: the record that it became, or why it was left behind.

    `told` is a digest of what the source said, `kept` of what was written here: a later import sees by them which side
    has changed since.
    """

    __tablename__ = "moved_rows"
    __table_args__ = (
        CheckConstraint("(record IS NULL) = (left_because IS NOT NULL)", name="moved_or_left"),
        Index("ix_moved_rows_record", "table_name", "record"),
        Index("ix_moved_rows_left", "system", "table_name", postgresql_where=text("left_because IS NOT NULL")),
    )

    # The key first: it is what people look for, whatever system it is of.
    source_key: Mapped[str] = mapped_column(primary_key=True)
    table_name: Mapped[str] = mapped_column(primary_key=True, doc="ours")
    system: Mapped[str] = mapped_column(primary_key=True)
    source_table: Mapped[str]
    record: Mapped[str | None] = mapped_column(doc="the key of our record")
    told: Mapped[UUID]
    kept: Mapped[UUID | None]
    left_because: Mapped[str | None]
    run_id: Mapped[int] = mapped_column(ForeignKey("move_runs.id"))
