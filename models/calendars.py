"""What Cal.com and Calendly know of a booking: its ids, who comes, whose calendar it is."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import (
    Base,
    BigId,
    CreatedAt,
    OptionalEmail,
    OptionalMoney,
)


class BookingLink(Base):
    """A calendar provider's id of a booking, present or past: a reschedule gives a new one, and all lead here."""

    __tablename__ = "booking_links"
    __table_args__ = (
        UniqueConstraint("provider", "external_id"),
        Index("ix_booking_links_booking_id", "booking_id"),
    )

    id: Mapped[BigId]
    booking_id: Mapped[int] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    provider: Mapped[str]
    external_id: Mapped[str]
    superseded_by: Mapped[str | None] = mapped_column(doc="the provider's id that followed it at a reschedule")
    canceled_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None] = mapped_column(doc="when the provider was asked for what is known of this id")
    starts_at: Mapped[datetime | None] = mapped_column(doc="when it begins, as the provider said last")
    created_at: Mapped[CreatedAt]


class BookingAttendee(Base):
    """Somebody who comes to a booking that a calendar keeps, or who came until they gave their place up.

    The booking's own client is derived from these rows where it was made in the calendar.
    """

    __tablename__ = "booking_attendees"
    __table_args__ = (
        CheckConstraint("(paid_amount IS NULL) = (paid_currency IS NULL)", name="paid_together"),
        Index(
            "uq_booking_attendees_present",
            "booking_id",
            "provider",
            "external_id",
            unique=True,
            postgresql_where=text("gone_at IS NULL"),
        ),
        Index("ix_booking_attendees_booking_id", "booking_id", "id"),
        Index("ix_booking_attendees_email", "email"),
    )

    id: Mapped[BigId]
    booking_id: Mapped[int] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    provider: Mapped[str]
    external_id: Mapped[str] = mapped_column(doc="Calendly: the invitee's URI; Cal.com: the address they booked with")
    name: Mapped[str]
    email: Mapped[OptionalEmail]
    time_zone: Mapped[str | None]
    since: Mapped[CreatedAt]
    gone_at: Mapped[datetime | None]
    absent_at: Mapped[datetime | None] = mapped_column(doc="since when the calendar says that they did not come")
    paid_amount: Mapped[OptionalMoney] = mapped_column(doc="minor units, paid to the calendar's own payment provider")
    paid_currency: Mapped[str | None]
    paid_through: Mapped[str | None] = mapped_column(doc="the calendar's payment provider")


class BookingHost(Base):
    """In whose calendar a booking is, or was until somebody else took it over."""

    __tablename__ = "booking_hosts"
    __table_args__ = (
        Index("uq_booking_hosts_now", "booking_id", "provider", unique=True, postgresql_where=text("gone_at IS NULL")),
        Index("ix_booking_hosts_booking_id", "booking_id", "id"),
        Index("ix_booking_hosts_practitioner_id", "practitioner_id"),
    )

    id: Mapped[BigId]
    booking_id: Mapped[int] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    provider: Mapped[str]
    external_id: Mapped[str | None] = mapped_column(doc="the provider's id of them; null: it has not said who")
    email: Mapped[OptionalEmail]
    since: Mapped[CreatedAt]
    gone_at: Mapped[datetime | None]
