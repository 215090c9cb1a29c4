"""The journal that makes a claim or merge reversible."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, CreatedAt, Flag, text_enum


class MergeKind(StrEnum):
    """`created`: the claim made the profile; `merged`: it changed one that existed."""

    CREATED = "created"
    MERGED = "merged"


class Merge(Base):
    """One claim or merge: what the profile was before and after, field by field."""

    __tablename__ = "merges"
    __table_args__ = (
        CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undone_by_someone"),
        CheckConstraint("kind <> 'merged' OR before IS NOT NULL", name="merged_has_before"),
        Index("ix_merges_user_id", "user_id", "id"),
        Index(
            "uq_merges_pending_profile_in_force",
            "pending_profile_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
        Index("ix_merges_made_at", "made_at", "id"),
    )

    id: Mapped[BigId]
    kind: Mapped[MergeKind] = mapped_column(text_enum(MergeKind, "kind"))
    pending_profile_id: Mapped[int | None] = mapped_column(
        ForeignKey("pending_profiles.id", ondelete="SET NULL"), index=True
    )
    user_id: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any]]
    choices: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    memberships: Mapped[list[Any]] = mapped_column(
        server_default=text("'[]'::jsonb"), doc="the ids of those that went to the profile with it"
    )
    by_staff: Mapped[Flag]
    made_by: Mapped[str]
    reason: Mapped[str | None]
    made_at: Mapped[CreatedAt]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]
    undo_reason: Mapped[str | None]
