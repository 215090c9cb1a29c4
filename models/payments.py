"""What was paid for appointments, disputed, and given back."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, BigId, CreatedAt, Money, MoneyFromZero, OptionalMoney, Version, text_enum


class PaymentState(StrEnum):
    """`processing`: the checkout is complete, the bank has not said yes or no."""

    OPEN = "open"
    PROCESSING = "processing"
    PAID = "paid"
    EXPIRED = "expired"
    FAILED = "failed"


class RefundState(StrEnum):
    """`requested` is about to be sent; `sent` is with the bank; `unknown`: nobody was told what became of it."""

    AWAITING_APPROVAL = "awaiting_approval"
    DECLINED = "declined"
    REQUESTED = "requested"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


# Money that is gone or on its way: no other refund may have it.
RESERVING = frozenset(
    {
        RefundState.AWAITING_APPROVAL,
        RefundState.REQUESTED,
        RefundState.SENT,
        RefundState.SUCCEEDED,
        RefundState.UNKNOWN,
    }
)


class RefundReason(StrEnum):
    """`slot_lost`: paid when the time was not held any more, and it was sold to somebody else or had begun."""

    REQUESTED_BY_CUSTOMER = "requested_by_customer"
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    CANCELED_BY_US = "canceled_by_us"
    SLOT_LOST = "slot_lost"
    OTHER = "other"


class RefundOrigin(StrEnum):
    """Who wanted it: a person here, the product itself, or someone at the provider."""

    STAFF = "staff"
    BACKDESK = "backdesk"
    PROVIDER = "provider"


class Payment(Base):
    """One Stripe Checkout of one booking or meeting; amounts in minor units of `currency`."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("num_nonnulls(booking_id, meeting_id) = 1", name="for_one_thing"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("captured_amount >= 0 AND reserved_amount >= 0", name="not_negative"),
        CheckConstraint("reserved_amount <= captured_amount", name="never_more_than_captured"),
        Index("ix_payments_booking_id", "booking_id"),
        Index("ix_payments_meeting_id", "meeting_id"),
        Index("ix_payments_created_at", "created_at", "id"),
        Index("ix_payments_state", "state", "created_at", "id"),
        Index("ix_payments_dispute_due_by", "dispute_due_by", "id", postgresql_where=text("dispute_id IS NOT NULL")),
        Index("ix_payments_paid_at", "paid_at", "id", postgresql_where=text("paid_at IS NOT NULL")),
        CheckConstraint("num_nulls(kept_amount, kept_at, kept_by, kept_reason) IN (0, 4)", name="kept_together"),
        Index(
            "ix_payments_undecided_since",
            "undecided_since",
            "id",
            postgresql_where=text("undecided_since IS NOT NULL"),
        ),
        Index("ix_payments_kept", "created_at", "id", postgresql_where=text("kept_at IS NOT NULL")),
        Index(
            "ix_payments_dispute_lost_at", "dispute_lost_at", "id", postgresql_where=text("dispute_lost_at IS NOT NULL")
        ),
    )

    id: Mapped[BigId]
    booking_id: Mapped[int | None] = mapped_column(ForeignKey("bookings.id"))
    meeting_id: Mapped[int | None] = mapped_column(ForeignKey("meetings.id"))
    state: Mapped[PaymentState] = mapped_column(
        text_enum(PaymentState, "state"), server_default=PaymentState.OPEN.value
    )
    amount: Mapped[Money] = mapped_column(doc="what was asked for")
    currency: Mapped[str]
    captured_amount: Mapped[MoneyFromZero]
    reserved_amount: Mapped[MoneyFromZero] = mapped_column(
        doc="refunded or on its way back: the sum of the refunds in a RESERVING state"
    )
    fee_amount: Mapped[OptionalMoney] = mapped_column(doc="what Stripe kept; null: not told yet")
    stripe_checkout_session_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_charge_id: Mapped[str | None] = mapped_column(unique=True)
    checkout_url: Mapped[str | None]
    failure_code: Mapped[str | None]
    dispute_id: Mapped[str | None] = mapped_column(unique=True)
    dispute_status: Mapped[str | None]
    dispute_reason: Mapped[str | None]
    dispute_amount: Mapped[OptionalMoney]
    dispute_due_by: Mapped[datetime | None]
    dispute_lost_at: Mapped[datetime | None] = mapped_column(doc="when the first was lost that is not won back since")
    paid_at: Mapped[datetime | None]
    undecided_since: Mapped[datetime | None] = mapped_column(
        doc="since when money of a canceled appointment lies here of which nobody said what becomes of it"
    )
    kept_amount: Mapped[OptionalMoney] = mapped_column(doc="what somebody decided to keep of a canceled appointment's")
    kept_at: Mapped[datetime | None]
    kept_by: Mapped[str | None]
    kept_reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]


class Dispute(Base):
    """What a payer's bank asks back of a payment, which may be disputed several times; amounts in minor units.

    The payment's own columns about disputes are derived from these rows.
    """

    __tablename__ = "disputes"
    __table_args__ = (
        Index("ix_disputes_payment_id", "payment_id"),
        Index("ix_disputes_created_at", "created_at", "id"),
        Index("ix_disputes_status", "status", "created_at", "id"),
        Index("ix_disputes_due_by", "due_by", "id"),
        Index("ix_disputes_lost_at", "lost_at", "id", postgresql_where=text("lost_at IS NOT NULL")),
        Index("ix_disputes_regained_at", "regained_at", "id", postgresql_where=text("regained_at IS NOT NULL")),
    )

    id: Mapped[BigId]
    payment_id: Mapped[int] = mapped_column(ForeignKey("payments.id"))
    stripe_dispute_id: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(doc="Stripe's own word: it may know new ones")
    reason: Mapped[str]
    amount: Mapped[Money]
    currency: Mapped[str]
    due_by: Mapped[datetime | None] = mapped_column(doc="until when evidence is taken")
    asked_at: Mapped[datetime | None] = mapped_column(doc="when the answer that is kept here was asked for")
    lost_at: Mapped[datetime | None] = mapped_column(doc="when that was heard first: the amount stays in this month")
    regained_at: Mapped[datetime | None] = mapped_column(doc="when it was heard that what was lost is won after all")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]


class Refund(Base):
    """Money on its way back, of an appointment's payment or a membership's.

    The row is written before the provider is asked; its id and suffix are the idempotency key.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("num_nonnulls(payment_id, membership_payment_id) = 1", name="of_one_payment"),
        Index("ix_refunds_payment_id", "payment_id"),
        Index("ix_refunds_membership_payment_id", "membership_payment_id",
              postgresql_where=text("membership_payment_id IS NOT NULL")),
        Index("ix_refunds_created_at", "created_at", "id"),
        Index("ix_refunds_state", "state", "created_at", "id"),
        Index("ix_refunds_origin", "origin", "created_at", "id"),
        Index("ix_refunds_settled_at", "settled_at", "id", postgresql_where=text("settled_at IS NOT NULL")),
        Index("ix_refunds_returned_at", "returned_at", "id", postgresql_where=text("returned_at IS NOT NULL")),
    )  # fmt: skip

    id: Mapped[BigId]
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payments.id"))
    membership_payment_id: Mapped[int | None] = mapped_column(ForeignKey("membership_payments.id"))
    amount: Mapped[Money] = mapped_column(doc="minor units")
    currency: Mapped[str]
    state: Mapped[RefundState] = mapped_column(
        text_enum(RefundState, "state"), server_default=RefundState.REQUESTED.value
    )
    origin: Mapped[RefundOrigin] = mapped_column(
        text_enum(RefundOrigin, "origin"), server_default=RefundOrigin.STAFF.value
    )
    reason: Mapped[RefundReason] = mapped_column(text_enum(RefundReason, "reason"))
    note: Mapped[str | None]
    requested_by: Mapped[str]
    ends_appointment: Mapped[bool | None] = mapped_column(
        doc="decided when it was asked for and left nothing: whether the appointment ends with it; null: not decided"
    )
    tells_client: Mapped[bool | None] = mapped_column(doc="whether the client is written to when it ends")
    stripe_refund_id: Mapped[str | None] = mapped_column(unique=True)
    whop_refund_id: Mapped[str | None] = mapped_column(unique=True)
    key_suffix: Mapped[str | None] = mapped_column(
        doc="of its idempotency key; null: written before keys had one, or made at the provider"
    )
    failure_code: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    returned_at: Mapped[datetime | None] = mapped_column(doc="when it was heard that the bank had sent it back")
    made_good_at: Mapped[datetime | None] = mapped_column(doc="when that was put right; null: it waits for a person")
    made_good_by: Mapped[str | None]
    made_good_how: Mapped[str | None] = mapped_column(
        doc="again, by_hand (then it is succeeded, and the provider has nothing of it) or nothing_owed"
    )
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]

    payment: Mapped[Payment | None] = relationship(lazy="raise")

    @property
    def provider_refund_id(self) -> str | None:
        """The provider's id of it, whichever provider that is."""
        return self.stripe_refund_id or self.whop_refund_id
