"""What we hold and a provider does not, or the other way round: the comparisons and what they found."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, Count, CreatedAt, Version, text_enum


class DriftState(StrEnum):
    """`repaired`: by the run that found it; `gone`: a later run found both sides alike."""

    OPEN = "open"
    REPAIRED = "repaired"
    ADOPTED = "adopted"
    PUSHED = "pushed"
    IGNORED = "ignored"
    GONE = "gone"


class DriftRun(Base):
    """One comparison with one provider; `cursor` is where a run that was interrupted goes on."""

    __tablename__ = "drift_runs"
    __table_args__ = (
        Index("ix_drift_runs_started_at", "started_at", "id"),
        Index("ix_drift_runs_provider", "provider", "started_at", "id"),
        Index("uq_drift_runs_unfinished", "provider", unique=True, postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[BigId]
    provider: Mapped[str]
    by: Mapped[str]
    started_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None] = mapped_column(doc="null: nobody is at it, whoever comes goes on")
    lease: Mapped[str | None] = mapped_column(doc="whose it is: whoever took it over has another one")
    cursor: Mapped[dict[str, Any] | None]
    compared: Mapped[Count]
    repaired: Mapped[Count]
    found: Mapped[Count] = mapped_column(doc="findings that wait for a person")
    error_code: Mapped[str | None]


class DriftFinding(Base):
    """One field on which both sides differ; while it is open there is one of it, whatever the number of runs."""

    __tablename__ = "drift_findings"
    __table_args__ = (
        Index("uq_drift_findings_open", "provider", "external_id", "field", unique=True,
              postgresql_where=text("state = 'open'")),
        Index("ix_drift_findings_external_id", "provider", "external_id", "field", "id"),
        Index("ix_drift_findings_provider", "provider", "found_at", "id"),
        Index("ix_drift_findings_found_at", "found_at", "id"),
        Index("ix_drift_findings_state", "state", "found_at", "id"),
        Index("ix_drift_findings_subject", "subject", "id"),
        Index("ix_drift_findings_run_id", "run_id"),
        Index("ix_drift_findings_owner_id", "owner_id"),
    )  # fmt: skip

    id: Mapped[BigId]
    run_id: Mapped[int] = mapped_column(ForeignKey("drift_runs.id"))
    provider: Mapped[str]
    external_id: Mapped[str]
    subject: Mapped[str | None] = mapped_column(doc="our record, as the audit names it; null: we have none")
    field: Mapped[str]
    ours: Mapped[str | None]
    theirs: Mapped[str | None]
    because: Mapped[str | None] = mapped_column(doc="stable code of what keeps it from being taken in by itself")
    wanted: Mapped[str | None] = mapped_column(doc="adopt or push: decided, and a job is at it")
    state: Mapped[DriftState] = mapped_column(text_enum(DriftState, "state"), server_default=DriftState.OPEN.value)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    found_at: Mapped[CreatedAt]
    last_seen_at: Mapped[CreatedAt]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]
    reason: Mapped[str | None]
    version: Mapped[Version]
