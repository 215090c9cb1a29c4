"""Staff, their sessions, and the keys of programs."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, BigId, Count, CreatedAt, Email, Version, text_enum


class Role(StrEnum):
    """What a staff member may do: each role is a set of permissions in `admin_app/policies/permissions.py`."""

    SUPPORT = "support"
    OPS = "ops"
    FINANCE = "finance"
    ADMIN = "admin"
    AUDITOR = "auditor"


class StaffMember(Base):
    """An account of the console. `version` guards its edits; `locked_until` is the wait after failed sign-ins."""

    __tablename__ = "staff"

    id: Mapped[BigId]
    email: Mapped[Email] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[Role] = mapped_column(text_enum(Role, "role"))
    password_hash: Mapped[str]
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    failed_sign_ins: Mapped[Count]
    locked_until: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    last_signed_in_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    version: Mapped[Version]


class StaffSession(Base):
    """One signed-in browser. Only a hash of its cookie is kept; ending it is setting `revoked_at`."""

    __tablename__ = "staff_sessions"
    __table_args__ = (Index(None, "staff_id", "created_at"),)

    id: Mapped[BigId]
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]

    staff: Mapped[StaffMember] = relationship(lazy="raise")


class SignInBrake(Base):
    """Failed sign-ins that belong to no account: of a network, or under an e-mail that is nobody's.

    Only a hash says which; a row is forgotten a day after its last failure.
    """

    __tablename__ = "sign_in_brakes"

    key_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failed_sign_ins: Mapped[Count]
    locked_until: Mapped[datetime | None]
    last_failed_at: Mapped[CreatedAt] = mapped_column(index=True)


class Scope(StrEnum):
    """What a key may be used for."""

    CLIENTS_READ = "clients:read"
    GATE_ASK = "gate:ask"
    ONBOARDING_REPORT = "onboarding:report"


class ServiceKey(Base):
    """One program's key. Only its SHA-256 is kept; `hint` is its beginning, by which people tell keys apart."""

    __tablename__ = "service_keys"
    __table_args__ = (Index("ix_service_keys_created_at", "created_at", "id"),)

    id: Mapped[BigId]
    name: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    created_by: Mapped[str]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None]
    version: Mapped[Version]
