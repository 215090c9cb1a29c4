"""Bookings and meetings: time that is taken."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import (
    Base,
    BigId,
    CreatedAt,
    MoneyFromZero,
    OptionalEmail,
    Version,
    search_index,
    text_enum,
)
from models.schedule import Practitioner, SessionType


class BookingStatus(StrEnum):
    """`pending` holds the slot until `hold_expires_at`."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELED = "canceled"
    COMPLETED = "completed"
    NO_SHOW = "no_show"
    REFUNDED = "refunded"


class BookingSource(StrEnum):
    """Where it was made."""

    WEBSITE = "website"
    CALENDLY = "calendly"
    CALCOM = "calcom"


class CanceledBecause(StrEnum):
    """`never_paid`: the hold lapsed or the checkout expired; `payment_failed`: the bank said no after the checkout."""

    NEVER_PAID = "never_paid"
    PAYMENT_FAILED = "payment_failed"
    BY_STAFF = "by_staff"
    BY_CLIENT = "by_client"
    BY_PRACTITIONER = "by_practitioner"


class Booking(Base):
    """A paid session of a practitioner. The database lets no two that are pending or confirmed overlap."""

    __tablename__ = "bookings"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        CheckConstraint("price_amount >= 0", name="price_not_negative"),
        ExcludeConstraint(
            ("practitioner_id", "="),
            (text("tstzrange(starts_at, ends_at)"), "&&"),
            where=text("status IN ('pending', 'confirmed')"),
            using="gist",
            name="ex_bookings_no_overlap",
        ),
        Index("ix_bookings_starts_at", "starts_at", "id"),
        Index("ix_bookings_status", "status", "starts_at", "id"),
        Index("ix_bookings_practitioner_id", "practitioner_id", "starts_at", "id"),
        Index("ix_bookings_client_email", "client_email", "starts_at", "id"),
        search_index("ix_bookings_client_email_trgm", "lower(client_email::text)"),
        Index("ix_bookings_session_type_id", "session_type_id"),
        Index("ix_bookings_hold_expires_at", "hold_expires_at", postgresql_where=text("status = 'pending'")),
    )

    id: Mapped[BigId]
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    session_type_id: Mapped[int] = mapped_column(ForeignKey("session_types.id"))
    client_name: Mapped[str]
    client_email: Mapped[OptionalEmail] = mapped_column(doc="null: a calendar knows only their telephone number")
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[BookingStatus] = mapped_column(
        text_enum(BookingStatus, "status"), server_default=BookingStatus.PENDING.value
    )
    hold_expires_at: Mapped[datetime | None]
    price_amount: Mapped[MoneyFromZero] = mapped_column(doc="minor units")
    price_currency: Mapped[str] = mapped_column(server_default="usd")
    stripe_checkout_session_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(unique=True)
    calendly_event_id: Mapped[str | None] = mapped_column(unique=True)
    calendly_event_uri: Mapped[str | None] = mapped_column(unique=True)
    calendly_invitee_uri: Mapped[str | None] = mapped_column(unique=True)
    calcom_booking_uid: Mapped[str | None] = mapped_column(unique=True)
    source: Mapped[BookingSource] = mapped_column(
        text_enum(BookingSource, "source"), server_default=BookingSource.WEBSITE.value
    )
    client_time_zone: Mapped[str | None]
    canceled_because: Mapped[CanceledBecause | None] = mapped_column(text_enum(CanceledBecause, "canceled_because"))
    canceled_at: Mapped[datetime | None]
    attendance_by: Mapped[str | None] = mapped_column(doc="who said whether somebody came: a calendar, or staff")
    reminded_at: Mapped[datetime | None]
    told_version: Mapped[int | None] = mapped_column(doc="the version of the last change that the client is told of")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]

    practitioner: Mapped[Practitioner] = relationship(lazy="raise")
    session_type: Mapped[SessionType] = relationship(lazy="raise")


class Meeting(Base):
    """A meeting with a guest. Unlike bookings, the database itself does not forbid that two overlap."""

    __tablename__ = "meetings"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        Index("ix_meetings_starts_at", "starts_at", "id"),
        Index("ix_meetings_practitioner_id", "practitioner_id", "starts_at"),
        # What takes a practitioner's time, as the bookings' constraint has it.
        Index(
            "ix_meetings_times",
            "practitioner_id",
            text("tstzrange(starts_at, ends_at)"),
            postgresql_using="gist",
            postgresql_where=text("status IN ('pending', 'confirmed')"),
        ),
        Index("ix_meetings_guest_email", "guest_email"),
        Index("ix_meetings_guest_workos_user_id", "guest_workos_user_id"),
        Index("ix_meetings_guest_org_id", "guest_org_id"),
        Index("ix_meetings_hold_expires_at", "hold_expires_at", postgresql_where=text("status = 'pending'")),
        search_index("ix_meetings_guest_email_trgm", "lower(guest_email::text)"),
    )

    id: Mapped[BigId]
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    session_type_id: Mapped[int | None] = mapped_column(ForeignKey("session_types.id"))
    guest_email: Mapped[OptionalEmail]
    guest_name: Mapped[str | None]
    guest_workos_user_id: Mapped[str | None]
    guest_org_id: Mapped[str | None]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[BookingStatus] = mapped_column(
        text_enum(BookingStatus, "status"), server_default=BookingStatus.PENDING.value
    )
    price_amount: Mapped[MoneyFromZero] = mapped_column(doc="minor units")
    price_currency: Mapped[str] = mapped_column(server_default="usd")
    hold_expires_at: Mapped[datetime | None]
    guest_time_zone: Mapped[str | None]
    canceled_because: Mapped[CanceledBecause | None] = mapped_column(text_enum(CanceledBecause, "canceled_because"))
    canceled_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    told_version: Mapped[int | None] = mapped_column(doc="the version of the last change that the client is told of")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]

    practitioner: Mapped[Practitioner] = relationship(lazy="raise")
    session_type: Mapped[SessionType | None] = relationship(lazy="raise")
