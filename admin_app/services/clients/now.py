"""A client as the business's own programs are shown it: by the clock, not by what a job has still to tidy up."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, select
from sqlalchemy.orm import Session

from admin_app.services.clients.client_facts import GateFacts, NoSuchClient, facts_of
from models import BillingStatus, Client, OnboardingState

_CLIENT = (
    select(
        *(Client.id, Client.name, Client.email, Client.phone, Client.trial_used_at, Client.pending_cancellation),
        *(Client.cancellation_requested_at, OnboardingState.forwarding_enabled, OnboardingState.test_call_detected),
    )
    .outerjoin(OnboardingState, OnboardingState.client_id == Client.id)
    .where(Client.id == bindparam("client_id", type_=BigInteger))
)


@dataclass(frozen=True)
class ClientNow:
    """The row of a client, and its facts judged at one moment."""

    row: Any
    facts: GateFacts
    now: datetime

    @property
    def outbound_paused(self) -> bool:
        return bool(self.facts.outbound_paused and self.facts.outbound_paused.is_on(self.now))

    @property
    def ai_disabled(self) -> bool:
        return bool(self.facts.ai_disabled and self.facts.ai_disabled.is_on(self.now))

    @property
    def billing_status(self) -> BillingStatus:
        """What is in force; where that cannot be told, what was noted last."""
        billing = self.facts.billing
        return (billing and (billing.in_force(self.now).status or billing.kept)) or BillingStatus.NONE

    @property
    def payment_active(self) -> bool:
        return bool(self.facts.billing and self.facts.billing.in_force(self.now).payment_active)


def read(session: Session, client_id: int, *, trial_days: int, now: datetime) -> ClientNow:
    """One client; NoSuchClient when there is none."""
    facts = facts_of(session, client_id, trial_days=trial_days)
    row = session.connection().execute(_CLIENT, {"client_id": client_id}).one_or_none()
    if row is None:
        raise NoSuchClient
    return ClientNow(row, facts, now)
