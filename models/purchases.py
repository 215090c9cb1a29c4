"""Who holds what was bought: profiles, waiting purchases, the links that claim them, and merges."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, Count, CreatedAt, Email, Flag, OptionalEmail, Version, search_index, text_enum
from models.memberships import Membership, MembershipStatus, PaymentProvider, PlanDuration

LEGACY_PREFIX = "temp_"


class Profile(Base):
    """What an account owns. `user_id` is the identity provider's; `temp_…` marks a legacy unclaimed purchase."""

    __tablename__ = "profiles"
    __table_args__ = (
        CheckConstraint("used_credits >= 0", name="used_credits_not_negative"),
        Index("ix_profiles_email", "email"),
        Index("ix_profiles_whop_membership_id", "whop_membership_id"),
        Index("ix_profiles_whop_user_id", "whop_user_id"),
        Index("ix_profiles_stripe_customer_id", "stripe_customer_id"),
        Index("ix_profiles_stripe_subscription_id", "stripe_subscription_id",
              postgresql_where=text("stripe_subscription_id IS NOT NULL")),
        Index("ix_profiles_created_at", "created_at", "user_id"),
        Index("ix_profiles_account_deleted", "created_at", "user_id",
              postgresql_where=text("account_deleted_at IS NOT NULL")),
        Index("ix_profiles_next_credit_renewal", "next_credit_renewal", "user_id",
              postgresql_where=text("membership = 'pro' AND status = 'active' AND next_credit_renewal IS NOT NULL")),
        search_index("ix_profiles_email_trgm", "lower(email::text)"),
    )  # fmt: skip

    user_id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[OptionalEmail]
    name: Mapped[str | None]
    membership: Mapped[Membership] = mapped_column(
        text_enum(Membership, "membership"), server_default=Membership.FREE.value
    )
    payment_provider: Mapped[PaymentProvider | None] = mapped_column(text_enum(PaymentProvider, "payment_provider"))
    whop_user_id: Mapped[str | None]
    whop_membership_id: Mapped[str | None]
    stripe_customer_id: Mapped[str | None]
    stripe_subscription_id: Mapped[str | None]
    plan_duration: Mapped[PlanDuration | None] = mapped_column(text_enum(PlanDuration, "plan_duration"))
    billing_cycle_start: Mapped[datetime | None]
    billing_cycle_end: Mapped[datetime | None]
    next_credit_renewal: Mapped[datetime | None]
    usage_credits: Mapped[Count]
    used_credits: Mapped[Count]
    status: Mapped[MembershipStatus] = mapped_column(
        text_enum(MembershipStatus, "status"), server_default=MembershipStatus.ACTIVE.value
    )
    cancel_at_period_end: Mapped[Flag]
    provider_event_at: Mapped[datetime | None]
    account_deleted_at: Mapped[datetime | None] = mapped_column(
        doc="since when the identity provider knows this account no more; what it held waits for its person"
    )
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]

    @property
    def is_legacy(self) -> bool:
        return self.user_id.startswith(LEGACY_PREFIX)


class PendingProfile(Base):
    """A purchase that waits for its owner. The row stays after the claim, marked, for the record."""

    __tablename__ = "pending_profiles"
    __table_args__ = (
        CheckConstraint("claimed = (claimed_by_user_id IS NOT NULL)", name="claimed_by_someone"),
        Index("ix_pending_profiles_whop_user_id", "whop_user_id"),
        Index("ix_pending_profiles_claimed_by_user_id", "claimed_by_user_id"),
        Index("ix_pending_profiles_unclaimed", "created_at", "id", postgresql_where=text("NOT claimed")),
        Index("ix_pending_profiles_created_at", "created_at", "id"),
        search_index("ix_pending_profiles_email_trgm", "lower(email::text)"),
        search_index(
            "ix_pending_profiles_whop_ids_trgm",
            "lower((coalesce(whop_user_id, '') || ' ') || coalesce(whop_membership_id, ''))",
        ),
    )

    id: Mapped[BigId]
    email: Mapped[Email] = mapped_column(unique=True)
    name: Mapped[str | None]
    token: Mapped[str | None] = mapped_column(unique=True, doc="SHA-256 of the claim token, in hex")
    token_expires_at: Mapped[datetime | None]
    membership: Mapped[Membership] = mapped_column(
        text_enum(Membership, "membership"), server_default=Membership.PRO.value
    )
    payment_provider: Mapped[PaymentProvider] = mapped_column(
        text_enum(PaymentProvider, "payment_provider"), server_default=PaymentProvider.WHOP.value
    )
    whop_user_id: Mapped[str | None]
    whop_membership_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_customer_id: Mapped[str | None]
    stripe_subscription_id: Mapped[str | None] = mapped_column(unique=True)
    plan_duration: Mapped[PlanDuration | None] = mapped_column(text_enum(PlanDuration, "plan_duration"))
    billing_cycle_start: Mapped[datetime | None]
    billing_cycle_end: Mapped[datetime | None]
    next_credit_renewal: Mapped[datetime | None]
    usage_credits: Mapped[int | None]
    used_credits: Mapped[int | None]
    status: Mapped[MembershipStatus] = mapped_column(
        text_enum(MembershipStatus, "status"), server_default=MembershipStatus.ACTIVE.value
    )
    cancel_at_period_end: Mapped[Flag]
    provider_event_at: Mapped[datetime | None]
    legacy_user_id: Mapped[str | None] = mapped_column(unique=True, doc="the temp_ row that this purchase came from")
    likely_owners: Mapped[int | None] = mapped_column(
        doc="how many likely owners the last look found; null: not looked yet"
    )
    owners_checked_at: Mapped[datetime | None]
    claimed: Mapped[Flag]
    claimed_by_user_id: Mapped[str | None]
    claimed_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    version: Mapped[Version]


class ClaimToken(Base):
    """A link of a claim mail, by its digest: whoever verified the address is let in by a replaced one as well."""

    __tablename__ = "claim_tokens"
    __table_args__ = (Index("ix_claim_tokens_pending_profile_id", "pending_profile_id", "id"),)

    id: Mapped[BigId]
    digest: Mapped[str] = mapped_column(unique=True, doc="SHA-256 of the token, in hex")
    pending_profile_id: Mapped[int] = mapped_column(ForeignKey("pending_profiles.id", ondelete="CASCADE"))
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    replaced_at: Mapped[datetime | None]


class ExtraPurchase(Base):
    """A purchase of someone who already is pro: support decides what to do with it.

    Either it waits as a pending profile, or it is the membership `replaced_membership_id` that the account holds beside
    the one that counts. What support decided stands while the live ones, of account or purchase, are those of
    `decided_about`.
    """

    __tablename__ = "extra_purchases"
    __table_args__ = (
        CheckConstraint(
            "pending_profile_id IS NOT NULL OR replaced_membership_id IS NOT NULL", name="says_which_purchase"
        ),
        CheckConstraint("(resolved_at IS NULL) = (resolved_by IS NULL)", name="resolved_by_someone"),
        Index("ix_extra_purchases_open", "noted_at", "id", postgresql_where=text("resolved_at IS NULL")),
        Index("ix_extra_purchases_user_id", "user_id"),
        Index("ix_extra_purchases_noted_at", "noted_at", "id"),
    )

    id: Mapped[BigId]
    pending_profile_id: Mapped[int | None] = mapped_column(
        ForeignKey("pending_profiles.id", ondelete="CASCADE"), unique=True
    )
    replaced_membership_id: Mapped[str | None] = mapped_column(unique=True)
    user_id: Mapped[str]
    noted_at: Mapped[CreatedAt]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]
    resolution: Mapped[str | None]
    decided_about: Mapped[str | None] = mapped_column(doc="the ids of the live memberships then, in order")
    version: Mapped[Version]


class MergeKind(StrEnum):
    """`created`: the claim made the profile; `merged`: it changed one that existed."""

    CREATED = "created"
    MERGED = "merged"


class Merge(Base):
    """One claim or merge: what the profile was before and after, field by field."""

    __tablename__ = "merges"
    __table_args__ = (
        CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undone_by_someone"),
        CheckConstraint("kind <> 'merged' OR before IS NOT NULL", name="merged_has_before"),
        Index("ix_merges_user_id", "user_id", "id"),
        Index(
            "uq_merges_pending_profile_in_force",
            "pending_profile_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
        Index("ix_merges_made_at", "made_at", "id"),
    )

    id: Mapped[BigId]
    kind: Mapped[MergeKind] = mapped_column(text_enum(MergeKind, "kind"))
    pending_profile_id: Mapped[int | None] = mapped_column(
        ForeignKey("pending_profiles.id", ondelete="SET NULL"), index=True
    )
    user_id: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any]]
    choices: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    memberships: Mapped[list[Any]] = mapped_column(
        server_default=text("'[]'::jsonb"), doc="the ids of those that went to the profile with it"
    )
    by_staff: Mapped[Flag]
    made_by: Mapped[str]
    reason: Mapped[str | None]
    made_at: Mapped[CreatedAt]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]
    undo_reason: Mapped[str | None]


class CreditRenewal(Base):
    """Renewals as they were kept before credits belonged to periods of memberships (`credit_periods`): history."""

    __tablename__ = "credit_renewals"
    __table_args__ = (
        UniqueConstraint("user_id", "due_at"),
        Index("ix_credit_renewals_renewed_at", "renewed_at", "id"),
    )

    id: Mapped[BigId]
    user_id: Mapped[str]
    due_at: Mapped[datetime]
    renewed_at: Mapped[datetime]
    credits: Mapped[int]
    used_before: Mapped[int] = mapped_column(doc="what had been used of the earlier ones")
