"""What the business's own programs send and get about clients: fields may be added, never renamed."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from admin_app.services.clients import ClientNow
from admin_app.services.clients.gate import Decision


class OnboardingSteps(BaseModel):
    forwarding_enabled: bool
    test_call_detected: bool


class ClientAnswer(BaseModel):
    """Switches and billing as they are by the clock."""

    id: int
    name: str
    email: str | None
    phone: str | None
    onboarding_complete: bool
    outbound_paused: bool
    ai_disabled: bool
    billing_status: Literal["none", "trial", "active", "canceled", "past_due"]
    payment_active: bool
    trial_used_at: datetime | None
    pending_cancellation: bool
    cancellation_requested_at: datetime | None
    onboarding: OnboardingSteps

    @classmethod
    def of(cls, client: ClientNow) -> Self:
        row = client.row
        return cls(
            id=row.id,
            name=row.name,
            email=row.email,
            phone=row.phone,
            onboarding_complete=bool(client.facts.onboarding_complete),
            outbound_paused=client.outbound_paused,
            ai_disabled=client.ai_disabled,
            billing_status=client.billing_status.value,
            payment_active=client.payment_active,
            trial_used_at=row.trial_used_at,
            pending_cancellation=row.pending_cancellation,
            cancellation_requested_at=row.cancellation_requested_at,
            onboarding=OnboardingSteps(
                forwarding_enabled=bool(row.forwarding_enabled), test_call_detected=bool(row.test_call_detected)
            ),
        )


class BlockShape(BaseModel):
    code: str = Field(description="Stable; new ones may come, and each of them is a no")
    message: str
    until: datetime | None = Field(description="When it ends by the clock alone; null: only somebody ends it")


class GateAnswer(BaseModel):
    allowed: bool
    action: Literal["outbound", "ai"]
    blocks: list[BlockShape] = Field(description="Every block that applies, worst first")

    @classmethod
    def of(cls, decision: Decision) -> Self:
        blocks = [BlockShape(code=block.code, message=block.message, until=block.until) for block in decision.blocks]
        return cls(allowed=decision.allowed, action=decision.action, blocks=blocks)


class OnboardingReport(BaseModel):
    """What is left out or null stays as it is."""

    forwarding_enabled: bool | None = None
    test_call_detected: bool | None = None
    complete: bool | None = Field(
        default=None, description="Refused until both steps hold, those of this report included; false says nothing"
    )
