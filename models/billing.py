"""Clients' subscriptions and customers at Stripe, and what is in force because of them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, BigId, CreatedAt, Flag, MoneyFromZero, OptionalEmail, Version, text_enum
from models.clients import BillingStatus, Client, billing_status


class Subscription(Base):
    """A subscription as last fetched from Stripe; amounts in minor units of `currency`."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index("ix_subscriptions_client_id", "client_id"),
        Index("ix_subscriptions_stripe_customer_id", "stripe_customer_id"),
        Index("ix_subscriptions_status", "status", "id"),
        Index("ix_subscriptions_past_due_since", "past_due_since", "id",
              postgresql_where=text("past_due_since IS NOT NULL")),
        Index("ix_subscriptions_created_at", "created_at", "id"),
        Index("ix_subscriptions_canceling", "current_period_end", "id", postgresql_where=text("cancel_at_period_end")),
    )  # fmt: skip

    id: Mapped[BigId]
    client_id: Mapped[int | None] = mapped_column(
        ForeignKey("clients.id", ondelete="SET NULL"), doc="null: of a customer whom nobody here knows"
    )
    stripe_subscription_id: Mapped[str] = mapped_column(unique=True)
    stripe_customer_id: Mapped[str]
    named_client_id: Mapped[int | None] = mapped_column(
        BigInteger, doc="the client that its own metadata names, who need not be here yet"
    )
    status: Mapped[str] = mapped_column(doc="Stripe's own word")
    collection_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    currency: Mapped[str | None]
    monthly_amount: Mapped[MoneyFromZero] = mapped_column(
        doc="all items after discounts for ever, brought to one month"
    )
    price_id: Mapped[str | None]
    trial_end: Mapped[datetime | None]
    current_period_start: Mapped[datetime | None]
    current_period_end: Mapped[datetime | None]
    cancel_at_period_end: Mapped[bool] = mapped_column(server_default=text("false"))
    cancel_at: Mapped[datetime | None]
    canceled_at: Mapped[datetime | None] = mapped_column(doc="when the cancellation was asked for")
    ended_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    amount_due: Mapped[MoneyFromZero] = mapped_column(doc="of the open invoices")
    past_due_since: Mapped[datetime | None]
    next_payment_attempt: Mapped[datetime | None]
    fetched_at: Mapped[datetime]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]

    client: Mapped[Client | None] = relationship(lazy="raise")


class ClientCustomer(Base):
    """A customer at Stripe who is a client here, or pays for something although nobody here knows them.

    A client may have several. The one whose subscription counts stands in `clients.stripe_customer_id` as well.
    """

    __tablename__ = "client_customers"
    __table_args__ = (
        Index("ix_client_customers_client_id", "client_id", "id"),
        Index("ix_client_customers_created_at", "created_at", "id"),
        Index("ix_client_customers_email", "email"),
        Index("ix_client_customers_named_client_id", "named_client_id",
              postgresql_where=text("named_client_id IS NOT NULL")),
    )  # fmt: skip

    id: Mapped[BigId]
    client_id: Mapped[int | None] = mapped_column(
        ForeignKey("clients.id", ondelete="SET NULL"), doc="null: nobody here is this customer"
    )
    stripe_customer_id: Mapped[str] = mapped_column(unique=True)
    since: Mapped[datetime | None] = mapped_column(doc="since when it is this client's")
    named_client_id: Mapped[int | None] = mapped_column(
        BigInteger, doc="the client that Stripe's metadata names, who need not be here yet"
    )
    email: Mapped[OptionalEmail]
    name: Mapped[str | None]
    deleted_at: Mapped[datetime | None] = mapped_column(doc="when it was heard that it is deleted at Stripe")
    last_seen_at: Mapped[datetime | None] = mapped_column(doc="when Stripe was last asked; null: noted here only")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]

    client: Mapped[Client | None] = relationship(lazy="raise")


class BillingOverride(Base):
    """A status that finance put in force instead of Stripe's, until a time or until it is lifted."""

    __tablename__ = "billing_overrides"
    __table_args__ = (
        CheckConstraint("until > since", name="until_after_since"),
        CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name="lifted_by_somebody"),
        Index("ix_billing_overrides_client_id", "client_id", "id"),
        Index("uq_billing_overrides_open", "client_id", unique=True, postgresql_where=text("lifted_at IS NULL")),
        Index("ix_billing_overrides_ending", "until", "id", postgresql_where=text("lifted_at IS NULL")),
        Index("ix_billing_overrides_since", "since", "id"),
    )

    id: Mapped[BigId]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    status: Mapped[BillingStatus] = mapped_column(billing_status)
    reason: Mapped[str]
    by: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(doc="a person, a later override, or the clock")
    lift_reason: Mapped[str | None]
    status_without: Mapped[BillingStatus] = mapped_column(
        billing_status,
        server_default=BillingStatus.NONE.value,
        doc="what was in force before; what a client without subscriptions goes back to",
    )
    payment_active_without: Mapped[Flag]
    created_at: Mapped[CreatedAt]
    version: Mapped[Version]

    client: Mapped[Client] = relationship(lazy="raise")


class Movement(StrEnum):
    """What a change did to the monthly recurring revenue."""

    NEW = "new"
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"
    NONE = "none"


class BillingChange(Base):
    """One step in a client's billing, never changed afterwards: statuses and revenue over time are read from here.

    `at` is when it holds from, `recorded_at` when it was learned; monthly amounts in minor units of `currency`.
    """

    __tablename__ = "billing_changes"
    __table_args__ = (
        Index("ix_billing_changes_client_id", "client_id", "at", "id"),
        Index("ix_billing_changes_at", "at", "id"),
        Index("ix_billing_changes_status", "status_after", "at", "id"),
        Index("ix_billing_changes_movement", "movement", "at", "id"),
    )

    id: Mapped[BigId]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    recorded_at: Mapped[CreatedAt]
    status_before: Mapped[BillingStatus] = mapped_column(billing_status)
    status_after: Mapped[BillingStatus] = mapped_column(billing_status)
    currency: Mapped[str | None]
    monthly_before: Mapped[MoneyFromZero]
    monthly_after: Mapped[MoneyFromZero]
    movement: Mapped[Movement] = mapped_column(text_enum(Movement, "movement"), server_default=Movement.NONE.value)
    cause: Mapped[str] = mapped_column(doc="stripe, override, override_ended, trial, comparison")

    client: Mapped[Client] = relationship(lazy="raise")
