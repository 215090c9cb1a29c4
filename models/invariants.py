"""What was found not to be as it must always be, and when that was looked at."""

from datetime import datetime

from sqlalchemy import Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, Count


class InvariantFinding(Base):
    """One time in which an invariant did not hold: from the check that found it to the one that found it whole."""

    __tablename__ = "invariant_findings"
    __table_args__ = (
        Index("uq_invariant_findings_open", "name", unique=True, postgresql_where=text("cleared_at IS NULL")),
        Index("ix_invariant_findings_first_found_at", "first_found_at", "id"),
    )

    id: Mapped[BigId]
    name: Mapped[str]
    first_found_at: Mapped[datetime]
    last_found_at: Mapped[datetime]
    count: Mapped[int] = mapped_column(doc="how many records broke it when it was found last")
    records: Mapped[list[str]] = mapped_column(ARRAY(Text), doc="the first of them, as the audit names records")
    cleared_at: Mapped[datetime | None]


class InvariantCheck(Base):
    """One look at all invariants; kept for a month."""

    __tablename__ = "invariant_checks"
    __table_args__ = (Index("ix_invariant_checks_started_at", "started_at", "id"),)

    id: Mapped[BigId]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    checked: Mapped[Count]
    broken: Mapped[Count]
    unanswered: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{}'::text[]"), doc="the rules that took too long to be looked at"
    )
