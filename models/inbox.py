"""What providers told, what they were asked to do, and the mails."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import (
    Base,
    BigId,
    Count,
    CreatedAt,
    Email,
    OptionalEmail,
    Version,
    text_enum,
)


class EventState(StrEnum):
    """`parked` waits for a person or another event, `superseded` came after a newer one, `failed` is retried."""

    RECEIVED = "received"
    PROCESSED = "processed"
    IGNORED = "ignored"
    SUPERSEDED = "superseded"
    PARKED = "parked"
    FAILED = "failed"


class WebhookEvent(Base):
    """One delivery, kept as the raw bytes that were signed; replay is possible for ever."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        UniqueConstraint("provider", "external_id"),
        Index("ix_webhook_events_received_at", "received_at", "id"),
        Index("ix_webhook_events_state", "state", "received_at", "id"),
        Index("ix_webhook_events_subject", "provider", "subject"),
        Index("ix_webhook_events_booking_id", "booking_id", postgresql_where=text("booking_id IS NOT NULL")),
        Index("ix_webhook_events_meeting_id", "meeting_id", postgresql_where=text("meeting_id IS NOT NULL")),
        Index(
            "ix_webhook_events_waits_for",
            "waits_for",
            "id",
            postgresql_where=text("waits_for IS NOT NULL AND state = 'parked'"),
        ),
    )

    id: Mapped[BigId]
    provider: Mapped[str]
    external_id: Mapped[str]
    type: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[CreatedAt]
    occurred_at: Mapped[datetime | None]
    subject: Mapped[str | None] = mapped_column(doc="the provider's id of what the event is about")
    state: Mapped[EventState] = mapped_column(text_enum(EventState, "state"), server_default=EventState.RECEIVED.value)
    attempts: Mapped[Count]
    last_error: Mapped[str | None]
    parked_because: Mapped[str | None] = mapped_column(doc="stable code: email_missing, membership_unknown, …")
    waits_for: Mapped[str | None] = mapped_column(
        doc="whose change may end what it is parked for: a record of ours, or a provider's next answer"
    )
    again_at: Mapped[datetime | None] = mapped_column(doc="when a parked one is tried again in any case")
    attached_email: Mapped[OptionalEmail]
    outcome: Mapped[str | None]
    processed_at: Mapped[datetime | None]
    booking_id: Mapped[int | None] = mapped_column(
        ForeignKey("bookings.id", ondelete="SET NULL"), doc="what it turned out to be about"
    )
    meeting_id: Mapped[int | None] = mapped_column(ForeignKey("meetings.id", ondelete="SET NULL"))
    version: Mapped[Version]


class MailState(StrEnum):
    """What became of a mail.

    `queued` was certainly not handed over yet; `sending` is being handed over; `kept` had no mail server to go to;
    `failed` was certainly not taken; `unknown` may have gone out, and nobody noted it; `superseded` was not sent, as
    something newer holds; `settled` failed or is unknown, and a person said that this is dealt with.
    """

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    KEPT = "kept"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPERSEDED = "superseded"
    SETTLED = "settled"


class SentEmail(Base):
    """A mail as it was handed over, or kept when no mail server is configured."""

    __tablename__ = "sent_emails"
    __table_args__ = (
        Index("ix_sent_emails_created_at", "created_at", "id"),
        Index("ix_sent_emails_pending_profile_id", "pending_profile_id"),
        Index("ix_sent_emails_booking_id", "booking_id"),
        Index("ix_sent_emails_meeting_id", "meeting_id"),
        Index(
            "ix_sent_emails_open",
            "state",
            "id",
            postgresql_where=text("state IN ('queued', 'sending', 'failed', 'unknown')"),
        ),
    )

    id: Mapped[BigId]
    template: Mapped[str]
    to_email: Mapped[Email]
    subject: Mapped[str]
    text_body: Mapped[str]
    html_body: Mapped[str]
    pending_profile_id: Mapped[int | None] = mapped_column(ForeignKey("pending_profiles.id", ondelete="SET NULL"))
    booking_id: Mapped[int | None] = mapped_column(ForeignKey("bookings.id", ondelete="SET NULL"))
    meeting_id: Mapped[int | None] = mapped_column(ForeignKey("meetings.id", ondelete="SET NULL"))
    calendar_body: Mapped[str | None] = mapped_column(doc="the .ics file that went with it")
    once_key: Mapped[str | None] = mapped_column(unique=True, doc="what this mail is sent for, once")
    state: Mapped[str] = mapped_column(server_default=text("'queued'"), doc="a MailState")
    last_error: Mapped[str | None] = mapped_column(doc="stable code: why it failed, is unknown or was not sent")
    created_at: Mapped[CreatedAt]
    handed_over_at: Mapped[datetime | None] = mapped_column(doc="when the last try to hand it over began")
    sent_at: Mapped[datetime | None]


class CallState(StrEnum):
    """`intended` is written before the call leaves; `unknown`: it left, and no answer came."""

    INTENDED = "intended"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ProviderCall(Base):
    """A call that changes something at a provider: noted before it leaves, answered afterwards, or unknown."""

    __tablename__ = "provider_calls"
    __table_args__ = (
        Index("ix_provider_calls_created_at", "created_at", "id"),
        Index("ix_provider_calls_state", "state", "created_at", "id"),
        Index("ix_provider_calls_state_id", "state", "id"),
        Index("ix_provider_calls_subject", "subject", "id"),
        Index(
            "ix_provider_calls_attention_since",
            "attention_since",
            "id",
            postgresql_where=text("attention_since IS NOT NULL"),
        ),
        Index("ix_provider_calls_next_try_at", "next_try_at", "id", postgresql_where=text("next_try_at IS NOT NULL")),
    )

    id: Mapped[BigId]
    provider: Mapped[str]
    operation: Mapped[str] = mapped_column(doc="checkout.create, refund.create, booking.create, user.create, …")
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    subject: Mapped[str] = mapped_column(doc="the record it is about, as the audit names it: booking:12")
    state: Mapped[CallState] = mapped_column(text_enum(CallState, "state"), server_default=CallState.INTENDED.value)
    external_id: Mapped[str | None] = mapped_column(doc="the provider's id of what came to be")
    error_code: Mapped[str | None]
    attempts: Mapped[Count]
    attempts_ended: Mapped[Count] = mapped_column(doc="of a checkout: fewer than attempts while one is under way")
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
    next_try_at: Mapped[datetime | None] = mapped_column(doc="when it is tried or asked about again by itself")
    attention_since: Mapped[datetime | None] = mapped_column(doc="since when it waits for a person; null: it does not")
