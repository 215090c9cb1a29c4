"""Guests of meetings and their organizations."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import (
    Base,
    BigId,
    CreatedAt,
    Email,
    Version,
    search_index,
    text_enum,
)


class OrganizationKind(StrEnum):
    """Whether a WorkOS organization is one guest's own or shared by several."""

    PERSONAL = "personal"
    TEAM = "team"


class Organization(Base):
    """An organization of guests as WorkOS has it; `workos_id` is its id there (`org_…`)."""

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
