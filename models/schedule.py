"""Practitioners and what they sell by time."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import (
    Base,
    BigId,
    CreatedAt,
    Email,
    MoneyFromZero,
    Version,
)


class Practitioner(Base):
    """Somebody who gives sessions. `working_hours` are wall-clock times in `time_zone`, an IANA name."""

    __tablename__ = "practitioners"

    id: Mapped[BigId]
    name: Mapped[str]
    email: Mapped[Email] = mapped_column(unique=True)
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    calcom_user_id: Mapped[str | None]
    calcom_event_type_id: Mapped[str | None]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    working_hours: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    free_meetings: Mapped[bool] = mapped_column(
        server_default=text("true"), doc="gives meetings that are no session type and cost nothing"
    )
    created_at: Mapped[CreatedAt]
    version: Mapped[Version]


class SessionType(Base):
    """What a practitioner offers: its length in minutes, and its price in minor units."""

    __tablename__ = "session_types"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="minutes_positive"),
        CheckConstraint("price_amount >= 0", name="price_not_negative"),
        Index("ix_session_types_practitioner_id", "practitioner_id"),
    )

    id: Mapped[BigId]
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    title: Mapped[str]
    minutes: Mapped[int]
    price_amount: Mapped[MoneyFromZero] = mapped_column(doc="minor units")
    price_currency: Mapped[str] = mapped_column(server_default="usd")
    calendly_event_type_id: Mapped[str | None] = mapped_column(unique=True)
    calendly_event_type_uri: Mapped[str | None] = mapped_column(unique=True)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[CreatedAt]
    version: Mapped[Version]

    practitioner: Mapped[Practitioner] = relationship(lazy="raise")
