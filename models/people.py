"""People with an account, and the addresses that are verified as theirs."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, CreatedAt, Email, Flag, OptionalEmail, search_index


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
