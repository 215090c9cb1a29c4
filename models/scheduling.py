"""What is sold by time: practitioners, session types, bookings, meetings, and the guests' organizations."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import (
    Base,
    BigId,
    CreatedAt,
    Email,
    MoneyFromZero,
    OptionalEmail,
    OptionalMoney,
    Version,
    search_index,
    text_enum,
)


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


class OrganizationKind(StrEnum):
    PERSONAL = "personal"
    TEAM = "team"


class Practitioner(Base):
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


class Booking(Base):
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


class Organization(Base):
    __tablename__ = "organizations"

    id: Mapped[BigId]
    workos_id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[OrganizationKind] = mapped_column(
        text_enum(OrganizationKind, "kind"), server_default=OrganizationKind.PERSONAL.value
    )
    created_at: Mapped[CreatedAt]


class Guest(Base):
    """A person who booked a meeting without an account, registered in WorkOS with an organization of their own.

    The row is there before WorkOS is asked; without `workos_user_id` the registration has not succeeded (yet).
    """

    __tablename__ = "guests"
    __table_args__ = (
        Index("ix_guests_created_at", "created_at", "id"),
        Index("ix_guests_unregistered", "created_at", "id", postgresql_where=text("workos_user_id IS NULL")),
        search_index("ix_guests_email_trgm", "lower(email::text)"),
    )

    id: Mapped[BigId]
    email: Mapped[Email] = mapped_column(unique=True)
    name: Mapped[str | None]
    workos_user_id: Mapped[str | None] = mapped_column(unique=True)
    workos_org_id: Mapped[str | None] = mapped_column(unique=True)
    created_here: Mapped[bool] = mapped_column(
        server_default=text("false"), doc="WorkOS did not know the person before"
    )
    code_sent_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]


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
