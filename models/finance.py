"""Months that are closed, and what changed in them later."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, Count, Money


class MonthClosing(Base):
    """A month, in UTC, whose lines are kept as they were when it was closed; with its digest it is sealed."""

    __tablename__ = "month_closings"

    id: Mapped[BigId]
    month: Mapped[date] = mapped_column(unique=True, doc="its first day")
    closed_at: Mapped[datetime]
    closed_by: Mapped[str]
    note: Mapped[str | None]
    lines: Mapped[Count]
    totals: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(doc="SHA-256 over the lines in order")


class MonthLine(Base):
    """One line of a closed month: a payment, a refund, a lost dispute, a step in recurring revenue.

    Append-only, which the database sees to; in the order of `id` they are the month as it was closed.
    """

    __tablename__ = "month_lines"
    __table_args__ = (
        UniqueConstraint("closing_id", "line_key"),
        Index("ix_month_lines_closing_id", "closing_id", "id"),
    )

    id: Mapped[BigId]
    closing_id: Mapped[int] = mapped_column(ForeignKey("month_closings.id", ondelete="CASCADE"))
    line_key: Mapped[str] = mapped_column(doc="the record it comes from: payment:12")
    kind: Mapped[str]
    at: Mapped[datetime]
    currency: Mapped[str]
    amount: Mapped[Money] = mapped_column(doc="minor units, negative for what went away")
    about: Mapped[str]


class MovedLine(Base):
    """A line of a month that was over when its record came, changed or went: it may differ from what a closing kept.

    The database notes it with the change itself, whoever makes it; closing a month begins anew.
    """

    __tablename__ = "moved_lines"
    __table_args__ = (UniqueConstraint("month", "line_key"),)

    id: Mapped[BigId]
    month: Mapped[date] = mapped_column(doc="its first day")
    line_key: Mapped[str] = mapped_column(doc="the record: payment:12")
