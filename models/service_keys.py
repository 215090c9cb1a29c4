"""The keys by which the business's own programs call the public endpoints."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, LargeBinary
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, CreatedAt, Version


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
