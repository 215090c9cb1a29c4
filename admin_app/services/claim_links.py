"""What the page behind a claim mail's link may show before anybody has proved who they are."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.errors import InvalidToken
from admin_app.services.claims import token_digest
from models.people import Membership, PendingProfile


@dataclass(frozen=True)
class ClaimPreview:
    """The purchase with its address blotted out: the link may have been forwarded."""

    masked_email: str
    plan_duration: str | None
    usage_credits: int | None
    claimed: bool
    claimed_by_user_id: str | None
    ended: bool


def preview_by_token(session: Session, *, token: str) -> ClaimPreview:
    """The purchase behind a link; refused when the link was replaced or is too old."""
    digest = token_digest(token)
    pending = session.scalar(
        select(PendingProfile).where(
            PendingProfile.token == digest,
            PendingProfile.claimed
            | PendingProfile.token_expires_at.is_(None)
            | (PendingProfile.token_expires_at > func.now()),
        )
    )
    if pending is None:
        raise InvalidToken
    return ClaimPreview(
        masked_email=mask(pending.email),
        plan_duration=pending.plan_duration.value if pending.plan_duration else None,
        usage_credits=pending.usage_credits,
        claimed=pending.claimed,
        claimed_by_user_id=pending.claimed_by_user_id,
        ended=pending.membership is Membership.FREE,
    )


def mask(email: str) -> str:
    """`max.member@example.com` as `m•••@e•••.com`: enough for its owner, too little for anyone else."""
    name, _, domain = email.rpartition("@")
    host, dot, end = domain.rpartition(".")
    return f"{name[:1]}•••@{host[:1]}•••{dot}{end}"
