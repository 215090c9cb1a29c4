"""Customers: who signed in (`users`), what they own (`profiles`), what waits for them (`pending_profiles`)."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, Count, CreatedAt, Email, Flag, OptionalEmail, Version, search_index, text_enum

LEGACY_PREFIX = "temp_"


class Membership(StrEnum):
    FREE = "free"
    PRO = "pro"


class PaymentProvider(StrEnum):
    WHOP = "whop"
    STRIPE = "stripe"


class PlanDuration(StrEnum):
    MONTHLY = "monthly"
    YEARLY = "yearly"


class MembershipStatus(StrEnum):
    """`inactive`: the provider ended the membership; nothing is deleted."""

    ACTIVE = "active"
    INACTIVE = "inactive"


class User(Base):
    """A person known by sign-in, upserted on `open_id`."""

    __tablename__ = "users"
    __table_args__ = (
        Index("ix_users_email", "email"),
        Index("ix_users_created_at", "created_at"),
        search_index("ix_users_email_trgm", "lower(email::text)"),
        search_index("ix_users_name_trgm", "lower(name)"),
    )

    id: Mapped[BigId]
    open_id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    email: Mapped[OptionalEmail]
    role: Mapped[str] = mapped_column(server_default="user")
    created_at: Mapped[CreatedAt]
    last_signed_in: Mapped[CreatedAt]
    provider_asked_at: Mapped[datetime | None] = mapped_column(
        doc="when the identity provider was asked for what is known of this person; null: never"
    )
    provider_told_at: Mapped[datetime | None] = mapped_column(
        doc="the newest state that a delivery told of by itself, because the provider could not be asked"
    )


class PersonAddress(Base):
    """An address that the identity provider says is verified as this person's, from when on and until when.

    Nobody else has it meanwhile; one that is given up and verified again is a row more.
    """

    __tablename__ = "person_addresses"
    __table_args__ = (
        CheckConstraint("NOT is_primary OR given_up_at IS NULL", name="primary_is_verified"),
        Index("uq_person_addresses_verified", "email", unique=True, postgresql_where=text("given_up_at IS NULL")),
        Index("uq_person_addresses_primary", "user_id", unique=True, postgresql_where=text("is_primary")),
        Index("ix_person_addresses_user_id", "user_id", "id"),
        Index("ix_person_addresses_email", "email"),
        Index("ix_person_addresses_verified_at", "verified_at", "id"),
        Index("ix_person_addresses_given_up", "verified_at", "id", postgresql_where=text("given_up_at IS NOT NULL")),
    )

    id: Mapped[BigId]
    user_id: Mapped[str]
    email: Mapped[Email]
    is_primary: Mapped[Flag]
    verified_at: Mapped[datetime]
    given_up_at: Mapped[datetime | None]


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
