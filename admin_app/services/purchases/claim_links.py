"""The links of claim mails: which purchase one leads to, and what its page may show before anybody has proved who they
are.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from admin_app.addresses import comparable, is_one_of
from admin_app.errors import InvalidToken
from models.memberships import Membership
from models.purchases import ClaimToken, PendingProfile

# Of one purchase; whoever had so many links sent since has a newer one.
MOST_KEPT = 50


@dataclass(frozen=True)
class ClaimPreview:
    """The purchase with its address blotted out: the link may have been forwarded."""

    masked_email: str
    plan_duration: str | None
    usage_credits: int | None
    claimed: bool
    claimed_by_user_id: str | None
    ended: bool


def token_digest(token: str) -> str:
    """What is kept of a link's token: its SHA-256 in hexadecimal, whatever characters somebody sent."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def fits(pending: PendingProfile, token: str, now: datetime) -> bool:
    """The link is good until it is replaced or expires; a claimed purchase keeps answering its own claimant."""
    if pending.token != token_digest(token):
        return False
    return pending.claimed or pending.token_expires_at is None or pending.token_expires_at > now


def leads(session: Session, pending: PendingProfile, token: str, verified: bool, now: datetime) -> bool:
    """Whether a link leads to its purchase: to whoever verified the address also a replaced one or one too old."""
    return fits(pending, token, now) or (verified and _purchase_of(session, token) == pending.id)


def replace(session: Session, pending: PendingProfile, token: str, *, now: datetime, expires_at: datetime) -> None:
    """The purchase's link is this one from now on; the latest of those before are remembered, by their digests."""
    of_this = ClaimToken.pending_profile_id == pending.id
    session.execute(update(ClaimToken).where(of_this, ClaimToken.replaced_at.is_(None)).values(replaced_at=now))
    oldest_kept = select(ClaimToken.id).where(of_this).order_by(ClaimToken.id.desc()).offset(MOST_KEPT - 1).limit(1)
    session.execute(delete(ClaimToken).where(of_this, ClaimToken.id <= oldest_kept.scalar_subquery()))
    pending.token, pending.token_expires_at = token_digest(token), expires_at
    pending.version += 1
    session.add(ClaimToken(digest=pending.token, pending_profile_id=pending.id, sent_at=now, expires_at=expires_at))


def _purchase_of(session: Session, token: str) -> int | None:
    """The purchase that a link was ever one of."""
    digest = token_digest(token)
    former = session.scalar(select(ClaimToken.pending_profile_id).where(ClaimToken.digest == digest))
    return former or session.scalar(select(PendingProfile.id).where(PendingProfile.token == digest))


def purchase_behind(
    session: Session, *, token: str, verified: Collection[str] = (), now: datetime
) -> PendingProfile | None:
    """The purchase that a link leads to. To whoever verified its address a link that is too old or was replaced still
    leads to it, and one of a purchase that is here no more leads to what waits under their addresses.
    """
    by_token = select(PendingProfile).where(PendingProfile.id == _purchase_of(session, token))
    pending = session.scalar(by_token.execution_options(populate_existing=True))
    if pending is not None and leads(session, pending, token, comparable(pending.email) in verified, now):
        return pending
    if not verified:
        return None
    own = select(PendingProfile).where(is_one_of(PendingProfile.email, *verified), ~PendingProfile.claimed)
    return session.scalar(own.order_by(PendingProfile.id).limit(1).execution_options(populate_existing=True))


def preview_by_token(session: Session, *, token: str, verified: Collection[str] = (), now: datetime) -> ClaimPreview:
    """The purchase behind a link; refused when the link was replaced or is too old for one who verified nothing."""
    pending = purchase_behind(session, token=token, verified=verified, now=now)
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
