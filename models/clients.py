"""Clients of the business and how far they are with onboarding."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Enum, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, BigId, CreatedAt, Flag, OptionalEmail, Version, search_index


class BillingStatus(StrEnum):
    NONE = "none"
    TRIAL = "trial"
    ACTIVE = "active"
    CANCELED = "canceled"
    PAST_DUE = "past_due"


# A native type: the business's database may already hold it under this name.
billing_status = Enum(
    BillingStatus, name="billing_status", values_callable=lambda kinds: [kind.value for kind in kinds]
)


class Client(Base):
    """A business served by the phone agent. Every flag is off and billing is `none` until someone says otherwise."""

    __tablename__ = "clients"
    __table_args__ = (
        Index("ix_clients_email", "email"),
        Index("ix_clients_created_at", "created_at", "id"),
        Index("ix_clients_billing_status", "billing_status", "id"),
        Index("ix_clients_trial_ends_at", "trial_ends_at", "id"),
        Index(
            "ix_clients_pending_cancellation",
            "cancellation_requested_at",
            "id",
            postgresql_where=text("pending_cancellation"),
        ),
        search_index("ix_clients_name_trgm", "lower(name)"),
        search_index("ix_clients_email_trgm", "lower(email::text)"),
    )

    id: Mapped[BigId]
    name: Mapped[str]
    email: Mapped[OptionalEmail]
    phone: Mapped[str | None]
    onboarding_complete: Mapped[Flag]
    outbound_paused: Mapped[Flag]
    ai_disabled: Mapped[Flag]
    billing_status: Mapped[BillingStatus] = mapped_column(billing_status, server_default=BillingStatus.NONE.value)
    payment_active: Mapped[Flag]
    trial_used_at: Mapped[datetime | None] = mapped_column(doc="when a trial began; one is granted once")
    trial_ends_at: Mapped[datetime | None]
    trial_granted_until: Mapped[datetime | None] = mapped_column(
        doc="the end of the trial that staff granted; one of Stripe's is kept with its subscription"
    )
    pending_cancellation: Mapped[Flag]
    cancellation_requested_at: Mapped[datetime | None]
    stripe_customer_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_subscription_id: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]

    onboarding: Mapped["OnboardingState | None"] = relationship(back_populates="client", lazy="raise")


class OnboardingState(Base):
    """The steps of one client. `overridden_*`: staff completed it although a step is missing, and said why."""

    __tablename__ = "onboarding_states"
    __table_args__ = (
        Index("ix_onboarding_states_open", "id", postgresql_where=text("completed_at IS NULL")),
        Index("ix_onboarding_states_overridden", "id", postgresql_where=text("overridden_by IS NOT NULL")),
    )

    id: Mapped[BigId]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"), unique=True)
    forwarding_enabled: Mapped[Flag]
    test_call_detected: Mapped[Flag]
    current_step: Mapped[str] = mapped_column(server_default="start")
    forwarding_enabled_at: Mapped[datetime | None] = mapped_column(doc="when that last changed, on or off")
    test_call_detected_at: Mapped[datetime | None] = mapped_column(doc="when that last changed, on or off")
    completed_at: Mapped[datetime | None]
    overridden_by: Mapped[str | None]
    overridden_because: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]

    client: Mapped[Client] = relationship(back_populates="onboarding", lazy="raise")
