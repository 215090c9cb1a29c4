"""Clients, their onboarding, their flags over time, and runs over many of them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Enum, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, BigId, Count, CreatedAt, Flag, OptionalEmail, Version, search_index, text_enum


class BillingStatus(StrEnum):
    """What a client's subscriptions come to, as the website reads it."""

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


class FlagName(StrEnum):
    """The flags. The emergency stop has no client: it stops everyone."""

    OUTBOUND_PAUSED = "outbound_paused"
    AI_DISABLED = "ai_disabled"
    EMERGENCY_STOP = "emergency_stop"


# Those of one client, each with a boolean of the same name on `clients` that other readers rely on.
CLIENT_FLAGS = (FlagName.OUTBOUND_PAUSED, FlagName.AI_DISABLED)


class OnExpiry(StrEnum):
    """At `until` the flag goes off by itself, or it stays on and waits for somebody to decide."""

    LIFT = "lift"
    STAY = "stay"


# When a flag that is on ends by the clock alone; NULL: only somebody ends it.
PERIOD = "tstzrange(since, CASE WHEN on_expiry = 'lift' THEN until END)"


OPEN = "lifted_at IS NULL AND value"


class FlagChange(Base):
    """A period in which a flag is on, from `since` until `until` or until somebody lifts it.

    It is in force by the clock: nothing has to run at its beginning or end. With `value` false it only notes that a
    switch was turned off that had been turned on elsewhere.
    """

    __tablename__ = "flag_changes"
    __table_args__ = (
        CheckConstraint("(client_id IS NULL) = (flag = 'emergency_stop')", name="for_one_or_everyone"),
        CheckConstraint("until > since", name="until_after_since"),
        CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name="lifted_by_somebody"),
        ExcludeConstraint(
            (text("coalesce(client_id, 0)"), "="),
            ("flag", "="),
            (text(PERIOD), "&&"),
            where=text(OPEN),
            using="gist",
            name="ex_flag_changes_one_at_a_time",
        ),
        Index("ix_flag_changes_client_id", "client_id", "since", "id"),
        Index("ix_flag_changes_since", "since", "id"),
        Index("ix_flag_changes_by", "by", "since", "id"),
        Index("ix_flag_changes_open", "flag", "since", "id", postgresql_where=text(OPEN)),
        Index("ix_flag_changes_ending", "until", "id", postgresql_where=text(f"{OPEN} AND until IS NOT NULL")),
        Index("ix_flag_changes_bulk_run_id", "bulk_run_id", postgresql_where=text("bulk_run_id IS NOT NULL")),
    )

    id: Mapped[BigId]
    client_id: Mapped[int | None] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    flag: Mapped[FlagName] = mapped_column(text_enum(FlagName, "flag"))
    value: Mapped[bool] = mapped_column(server_default=text("true"))
    reason: Mapped[str]
    by: Mapped[str] = mapped_column(doc="who did it, as the audit names them")
    since: Mapped[datetime]
    until: Mapped[datetime | None] = mapped_column(doc="null: until somebody switches it back")
    on_expiry: Mapped[OnExpiry] = mapped_column(text_enum(OnExpiry, "on_expiry"), server_default=OnExpiry.LIFT.value)
    tell_email: Mapped[str | None] = mapped_column(doc="who is told before it ends")
    tell_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(doc="a person, a later change, or the clock")
    lift_reason: Mapped[str | None]
    bulk_run_id: Mapped[int | None] = mapped_column(ForeignKey("bulk_runs.id"))
    created_at: Mapped[CreatedAt]
    version: Mapped[Version]

    client: Mapped[Client | None] = relationship(lazy="raise")


class BulkState(StrEnum):
    """`planned`: the clients are chosen and frozen, nobody said go."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


class BulkOutcome(StrEnum):
    """What became of one client of a run; the first two are before it, the others after."""

    WAITING = "waiting"
    EXCLUDED = "excluded"
    CHANGED = "changed"
    ALREADY = "already"
    MOVED = "moved"
    FAILED = "failed"


class BulkRun(Base):
    """One flag turned for many clients; `wish` is what was asked for, in the words of `flag_requests.FlagRequest`."""

    __tablename__ = "bulk_runs"
    __table_args__ = (Index("ix_bulk_runs_created_at", "created_at", "id"),)

    id: Mapped[BigId]
    flag: Mapped[FlagName] = mapped_column(text_enum(FlagName, "flag"))
    turns_on: Mapped[bool]
    wish: Mapped[dict[str, Any]]
    chosen_by: Mapped[str] = mapped_column(doc="the selection or the filter in words")
    state: Mapped[BulkState] = mapped_column(text_enum(BulkState, "state"), server_default=BulkState.PLANNED.value)
    by: Mapped[str]
    by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    undoes_id: Mapped[int | None] = mapped_column(ForeignKey("bulk_runs.id"), unique=True)
    size: Mapped[Count]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    stop_asked: Mapped[Flag]
    version: Mapped[Version]


class BulkItem(Base):
    """One client of a run: what it was when it was chosen, and what became of it."""

    __tablename__ = "bulk_items"
    __table_args__ = (
        UniqueConstraint("run_id", "client_id"),
        Index("ix_bulk_items_outcome", "run_id", "outcome", "id"),
        Index("ix_bulk_items_client_id", "client_id"),
    )

    id: Mapped[BigId]
    run_id: Mapped[int] = mapped_column(ForeignKey("bulk_runs.id", ondelete="CASCADE"))
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    seen: Mapped[str] = mapped_column(
        doc="fingerprint of the flag when the client was chosen; once it is changed, as the run left it"
    )
    outcome: Mapped[BulkOutcome] = mapped_column(
        text_enum(BulkOutcome, "outcome"), server_default=BulkOutcome.WAITING.value
    )
    because: Mapped[str | None] = mapped_column(doc="a sentence, for what is excluded or not done")
    former: Mapped[dict[str, Any] | None] = mapped_column(
        doc="what an undo puts back: the period that the run ended, as a `FlagRequest`; null: it was off"
    )
    flag_change_id: Mapped[int | None] = mapped_column(ForeignKey("flag_changes.id", ondelete="SET NULL"))
    done_at: Mapped[datetime | None]
