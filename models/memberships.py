"""Memberships that providers sold or staff gave, their payments, and the credits of their periods."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import (
    Base,
    BigId,
    CreatedAt,
    Flag,
    MoneyFromZero,
    OptionalEmail,
    OptionalMoney,
    Version,
    text_enum,
)


class Membership(StrEnum):
    """What somebody's membership lets them use."""

    FREE = "free"
    PRO = "pro"


class PaymentProvider(StrEnum):
    """Who takes the money for a membership."""

    WHOP = "whop"
    STRIPE = "stripe"


class PlanDuration(StrEnum):
    """The two lengths of a paid period that the product tells apart."""

    MONTHLY = "monthly"
    YEARLY = "yearly"


class MembershipStatus(StrEnum):
    """`inactive`: the provider ended the membership; nothing is deleted."""

    ACTIVE = "active"
    INACTIVE = "inactive"


class Rhythm(StrEnum):
    """How a membership is paid for: again and again, once for a time, or once for ever."""

    RECURRING = "recurring"
    ONE_TIME = "one_time"
    LIFETIME = "lifetime"


class IntervalUnit(StrEnum):
    """The unit of a billing interval, in Stripe's words (`recurring.interval`)."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class AdjustmentKind(StrEnum):
    """What staff did by hand to what an account has."""

    GIVEN = "given"
    END_CHANGED = "end_changed"
    ENDED = "ended"
    CREDITS_ADDED = "credits_added"
    CREDITS_TAKEN = "credits_taken"
    RENEWED_EARLY = "renewed_early"


class ProviderMembership(Base):
    """One membership of one provider, as the provider has it now, and who holds it here.

    `provider` is null for a complimentary one, which staff gave and nobody sold. `external_id` is null for that, and
    for one that an earlier system gave and nobody named. `period_end` is null while there is no end. Held by a profile,
    or by a purchase that waits for its owner, or ignored with the reason.

    `came_credits` and `came_withheld` tell of the last move while whoever got it by that holds it: null where it was
    not moved, or the holder changed otherwise since.
    """

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("provider", "external_id"),
        CheckConstraint("profile_user_id IS NULL OR pending_profile_id IS NULL", name="one_holder"),
        CheckConstraint("(ignored_because IS NULL) = (ignored_at IS NULL)", name="ignored_with_reason"),
        CheckConstraint("(interval_unit IS NULL) = (interval_count IS NULL)", name="whole_interval"),
        CheckConstraint("provider IS NOT NULL OR external_id IS NULL", name="sold_or_given"),
        CheckConstraint("(came_credits IS NULL) = (came_withheld IS NULL)", name="came_together"),
        CheckConstraint("came_credits >= 0 AND came_withheld >= 0", name="came_not_negative"),
        CheckConstraint("came_credits IS NULL OR (moved_to IS NOT NULL AND moved_at IS NOT NULL)",
                        name="came_by_a_move"),
        Index("ix_memberships_profile_user_id", "profile_user_id"),
        Index("ix_memberships_pending_profile_id", "pending_profile_id"),
        Index("ix_memberships_external_id", "external_id"),
        Index("ix_memberships_provider_user_id", "provider_user_id"),
        Index("ix_memberships_provider_customer_id", "provider_customer_id",
              postgresql_where=text("provider_customer_id IS NOT NULL")),
        Index("ix_memberships_email", "email"),
        Index("ix_memberships_created_at", "created_at", "id"),
        Index("ix_memberships_ignored", "created_at", "id", postgresql_where=text("ignored_at IS NOT NULL")),
        Index("ix_memberships_next_credits_at", "next_credits_at", "id",
              postgresql_where=text("status = 'active' AND profile_user_id IS NOT NULL")),
        Index("ix_memberships_payments_never_asked", "id",
              postgresql_where=text("payments_asked_at IS NULL AND external_id IS NOT NULL")),
        Index("ix_memberships_held_by_nobody", "id",
              postgresql_where=text("profile_user_id IS NULL AND pending_profile_id IS NULL")),
        Index("ix_memberships_given_until", "period_end", "id",
              postgresql_where=text("provider IS NULL AND status = 'active'")),
    )  # fmt: skip

    id: Mapped[BigId]
    provider: Mapped[PaymentProvider | None] = mapped_column(text_enum(PaymentProvider, "provider"))
    external_id: Mapped[str | None]
    product_id: Mapped[str | None]
    plan_id: Mapped[str | None]
    rhythm: Mapped[Rhythm | None] = mapped_column(text_enum(Rhythm, "rhythm"))
    interval_unit: Mapped[IntervalUnit | None] = mapped_column(text_enum(IntervalUnit, "interval_unit"))
    interval_count: Mapped[int | None]
    provider_status: Mapped[str | None] = mapped_column(doc="the provider's own word")
    status: Mapped[MembershipStatus] = mapped_column(
        text_enum(MembershipStatus, "status"), server_default=MembershipStatus.ACTIVE.value
    )
    period_start: Mapped[datetime | None]
    period_end: Mapped[datetime | None]
    cancel_at_period_end: Mapped[Flag]
    next_credits_at: Mapped[datetime | None] = mapped_column(doc="when the next period of credits begins")
    provider_user_id: Mapped[str | None]
    provider_customer_id: Mapped[str | None]
    email: Mapped[OptionalEmail] = mapped_column(doc="as the provider has it now")
    name: Mapped[str | None]
    paid_amount: Mapped[int | None] = mapped_column(BigInteger, doc="of its latest payment; minor units")
    paid_currency: Mapped[str | None]
    profile_user_id: Mapped[str | None] = mapped_column(ForeignKey("profiles.user_id", ondelete="SET NULL"))
    pending_profile_id: Mapped[int | None] = mapped_column(ForeignKey("pending_profiles.id", ondelete="SET NULL"))
    preferred_at: Mapped[datetime | None] = mapped_column(doc="when staff chose it to be the one that counts")
    moved_from: Mapped[str | None] = mapped_column(doc="who held it before the last move: profile:…, pending_profile:…")
    moved_to: Mapped[str | None] = mapped_column(doc="who got it by the last move: profile:…, pending_profile:…")
    moved_at: Mapped[datetime | None]
    came_credits: Mapped[int | None] = mapped_column(doc="how many credits the last move brought to who holds it now")
    came_withheld: Mapped[int | None] = mapped_column(doc="how many of its credits the last move held back")
    ignored_because: Mapped[str | None]
    ignored_at: Mapped[datetime | None]
    provider_event_at: Mapped[datetime | None]
    payments_asked_at: Mapped[datetime | None] = mapped_column(doc="when the provider was last asked what was paid")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]

    @property
    def is_live(self) -> bool:
        return self.status is MembershipStatus.ACTIVE and self.ignored_because is None

    @property
    def is_complimentary(self) -> bool:
        return self.provider is None

    @property
    def is_paid(self) -> bool:
        return self.is_live and not self.is_complimentary


class CreditPeriod(Base):
    """The credits of one period of one membership. `credits` is 0 for a period that nobody got anything of."""

    __tablename__ = "credit_periods"
    __table_args__ = (
        UniqueConstraint("membership_id", "starts_at"),
        Index("ix_credit_periods_user_id", "user_id"),
        Index("ix_credit_periods_granted_at", "granted_at", "id"),
    )

    id: Mapped[BigId]
    membership_id: Mapped[int] = mapped_column(ForeignKey("memberships.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(doc="the account that got them; null while the purchase waits")
    starts_at: Mapped[datetime]
    credits: Mapped[int]
    used_before: Mapped[int]
    granted_at: Mapped[datetime]


class Adjustment(Base):
    """One thing that staff gave or took by hand, with what it was before and after, so that it can be undone.

    `date_before` and `date_after` are the end of a complimentary membership; of an early renewal, when credits are due.
    """

    __tablename__ = "adjustments"
    __table_args__ = (
        CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undone_by_someone"),
        CheckConstraint(
            "credits = (usage_after - used_after) - (usage_before - used_before)", name="credits_are_the_difference"
        ),
        CheckConstraint("kind <> 'credits_taken' OR usage_after >= used_after", name="takes_what_is_left"),
        Index("ix_adjustments_user_id", "user_id", "id"),
        Index("ix_adjustments_membership_id", "membership_id"),
        Index("ix_adjustments_made_at", "made_at", "id"),
    )

    id: Mapped[BigId]
    user_id: Mapped[str]
    kind: Mapped[AdjustmentKind] = mapped_column(text_enum(AdjustmentKind, "kind"))
    # Kept although the membership is gone: no foreign key.
    membership_id: Mapped[int | None] = mapped_column(BigInteger)
    credits: Mapped[int] = mapped_column(doc="how many more are left by it; fewer where negative")
    usage_before: Mapped[int]
    used_before: Mapped[int]
    usage_after: Mapped[int]
    used_after: Mapped[int]
    date_before: Mapped[datetime | None]
    date_after: Mapped[datetime | None]
    reason: Mapped[str]
    made_by: Mapped[str]
    made_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]
    undo_reason: Mapped[str | None]


class MembershipPayment(Base):
    """What was paid, or tried to be, for a membership, as the provider says; amounts in minor units of `currency`.

    `external_id` is Whop's payment, or Stripe's payment intent of an invoice. Refunds of it reserve their money here.
    """

    __tablename__ = "membership_payments"
    __table_args__ = (
        UniqueConstraint("provider", "external_id"),
        CheckConstraint("captured_amount >= 0 AND reserved_amount >= 0 AND refunded_amount >= 0", name="not_negative"),
        CheckConstraint("reserved_amount <= captured_amount", name="never_more_than_captured"),
        Index("ix_membership_payments_membership_id", "membership_id", "id"),
        Index("ix_membership_payments_external_id", "external_id"),
        Index("ix_membership_payments_invoice_id", "invoice_id", postgresql_where=text("invoice_id IS NOT NULL")),
        Index("ix_membership_payments_created_at", "created_at", "id"),
        Index("ix_membership_payments_paid_at", "paid_at", "id", postgresql_where=text("paid_at IS NOT NULL")),
    )

    id: Mapped[BigId]
    membership_id: Mapped[int] = mapped_column(ForeignKey("memberships.id"))
    provider: Mapped[PaymentProvider] = mapped_column(text_enum(PaymentProvider, "provider"))
    external_id: Mapped[str]
    invoice_id: Mapped[str | None] = mapped_column(doc="Stripe's invoice that it paid")
    provider_status: Mapped[str] = mapped_column(doc="the provider's own word")
    amount: Mapped[MoneyFromZero] = mapped_column(doc="what was asked for")
    currency: Mapped[str]
    captured_amount: Mapped[MoneyFromZero] = mapped_column(doc="what was paid")
    refunded_amount: Mapped[MoneyFromZero] = mapped_column(doc="what went back, as the provider counts it")
    reserved_amount: Mapped[MoneyFromZero] = mapped_column(
        doc="refunded or on its way back: the sum of the refunds in a RESERVING state, never more than was paid"
    )
    refundable: Mapped[Flag] = mapped_column(doc="whether the provider gives any of it back")
    fee_amount: Mapped[OptionalMoney] = mapped_column(doc="what the provider kept; null: not told")
    dispute_status: Mapped[str | None]
    paid_at: Mapped[datetime | None]
    period_start: Mapped[datetime | None] = mapped_column(doc="the period that it paid for, where the provider tells")
    period_end: Mapped[datetime | None]
    asked_at: Mapped[datetime] = mapped_column(doc="when the provider said so")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]
