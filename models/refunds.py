"""The second person of a large refund."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, CreatedAt


class Approval(Base):
    """A large refund's wait for a second person, who cannot be the one who asked."""

    __tablename__ = "approvals"
    __table_args__ = (
        CheckConstraint("decided_by_id <> requested_by_id", name="two_people"),
        CheckConstraint("(decided_at IS NULL) = (decision IS NULL)", name="decided_somehow"),
        CheckConstraint("decision IN ('approved', 'declined')", name="decision"),
        Index("ix_approvals_requested_by_id", "requested_by_id"),
        Index("ix_approvals_decided_by_id", "decided_by_id"),
        Index("ix_approvals_open", "requested_at", "id", postgresql_where=text("decided_at IS NULL")),
        Index("ix_approvals_requested_at", "requested_at", "id"),
    )

    id: Mapped[BigId]
    refund_id: Mapped[int] = mapped_column(ForeignKey("refunds.id"), unique=True)
    requested_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    requested_at: Mapped[CreatedAt]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None]
    decision: Mapped[str | None]
    reason: Mapped[str | None] = mapped_column(doc="of the one who decided")
