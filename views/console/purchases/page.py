"""What the purchase page shows: the facts, who probably owns it, and everything that happened to it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.policies.permissions import Permission
from admin_app.services import inbox, memberships
from admin_app.services.core import audit
from admin_app.services.core.records import pending_key
from admin_app.services.people import people_search
from admin_app.services.purchases import owners
from models import ExtraPurchase, Merge, PendingProfile, Profile, SentEmail, WebhookEvent
from views.console.framework.columns import EMPTY, Cell, age_text, record_address, time_text
from views.console.framework.current_staff import Viewer

MOST_ROWS = 25
CLAIMED_ELSEWHERE = (
    "It was claimed in an earlier system, and nothing is known of what the account had before. If it is somebody "
    "else's, open the membership on the account's page and move it to them."
)


def purchase_page(session: Session, pending: PendingProfile, wanted: str, viewer: Viewer) -> dict[str, Any]:
    """Everything that the template shows; `wanted` is what was typed to find another account."""
    zone = viewer.zone
    merges = _merges(session, pending)
    return {
        "pending": pending,
        "state": _badge(pending),
        "age": age_text(datetime.now(UTC) - pending.created_at),
        "actions": _actions(pending, merges, viewer),
        "groups": _groups(session, pending, merges, zone),
        "may_claim": viewer.may(Permission.PURCHASES_CLAIM) and not pending.claimed,
        "owners": [] if pending.claimed else owners.likely_owners(session, pending),
        "likely_score": owners.LIKELY_SCORE,
        "wanted": wanted,
        "found": people_search.find_accounts(session, wanted) if wanted else [],
        "extra": session.scalar(
            select(ExtraPurchase).where(
                ExtraPurchase.pending_profile_id == pending.id, ExtraPurchase.resolved_at.is_(None)
            )
        ),
        "merges": [_merge(merge, zone) for merge in merges],
        "events": [_event(event, zone) for event in _events(session, pending)],
        "mails": [_mail(mail, zone) for mail in _mails(session, pending)],
        "history": audit.history(session, pending_key(pending)),
        "zone": zone.key,
    }


def _badge(pending: PendingProfile) -> Cell:
    if pending.claimed:
        return Cell("badge", "claimed", "good")
    return Cell("badge", "waiting", "warn")


def _actions(pending: PendingProfile, merges: Sequence[Merge], viewer: Viewer) -> list[tuple[str, str, str]]:
    address = record_address("purchases", pending.id)
    if pending.claimed:
        in_force = [merge.id for merge in merges if merge.undone_at is None]
        undo = record_address("purchases/undo", in_force[0]) if in_force else ""
        actions = [("Undo the claim", undo, "danger", Permission.PURCHASES_UNDO)] if in_force else []
    else:
        actions = [
            ("Correct e-mail", f"{address}/email", "plain", Permission.PURCHASES_CORRECT),
            ("Send claim mail", f"{address}/mail", "plain", Permission.PURCHASES_MAIL),
            ("Delete", f"{address}/delete", "danger", Permission.PURCHASES_DELETE),
        ]
    return [(label, href, tone) for label, href, tone, permission in actions if viewer.may(permission)]


def _groups(
    session: Session, pending: PendingProfile, merges: Sequence[Merge], zone: ZoneInfo
) -> list[tuple[str, list[tuple[str, Any]]]]:
    bought = [
        ("E-mail", pending.email),
        ("Buyer", pending.name),
        ("Bought", _time(pending.created_at, zone)),
        ("Paid through", _seller(session, pending)),
        ("Memberships", Cell("link", "held by it", f"/admin/memberships/?purchase={pending.id}")),
        ("Whop user", pending.whop_user_id),
        ("Whop membership", pending.whop_membership_id),
    ]
    plan = [
        ("Membership", Cell("badge", pending.membership.value, "good" if pending.membership == "pro" else "plain")),
        ("Status", Cell("badge", pending.status.value, "good" if pending.status == "active" else "bad")),
        ("Plan", pending.plan_duration.value if pending.plan_duration else None),
        ("Billing cycle", _span(pending, zone)),
        ("Cancels at period end", "yes" if pending.cancel_at_period_end else "no"),
        ("Credits", _credits(pending)),
        ("Next credit renewal", _time(None if pending.status == "inactive" else pending.next_credit_renewal, zone)),
    ]
    groups: list[tuple[str, list[tuple[str, Any]]]] = [("The purchase", bought), ("What it gives", plan)]
    if pending.claimed and pending.claimed_by_user_id:
        user_id = pending.claimed_by_user_id
        known_as = session.scalar(select(Profile.email).where(Profile.user_id == user_id)) or user_id
        owner = Cell("link", known_as, record_address("profiles", user_id))
        claimed: list[tuple[str, Any]] = [("By", owner), ("At", _time(pending.claimed_at, zone))]
        if not merges:
            claimed.append(("Undo", CLAIMED_ELSEWHERE))
        groups.append(("Claimed", claimed))
    return groups


def _seller(session: Session, pending: PendingProfile) -> str:
    """A purchase always names a provider, also while it only holds what staff gave."""
    rows = memberships.held(session, pending)
    is_given = bool(rows) and all(row.is_complimentary for row in rows)
    return "nobody: staff gave it" if is_given else pending.payment_provider.value


def _time(moment: datetime | None, zone: ZoneInfo) -> Cell:
    if moment is None:
        return EMPTY
    return Cell("time", time_text(moment, zone), moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ"))


def _span(pending: PendingProfile, zone: ZoneInfo) -> str | None:
    start, end = pending.billing_cycle_start, pending.billing_cycle_end
    if start is None or end is None:
        return None
    return f"{time_text(start, zone)} – {time_text(end, zone)}"


def _credits(pending: PendingProfile) -> str | None:
    if pending.usage_credits is None:
        return None
    return f"{pending.usage_credits:,} ({pending.used_credits or 0:,} used)"


def _merges(session: Session, pending: PendingProfile) -> list[Merge]:
    query = select(Merge).where(Merge.pending_profile_id == pending.id).order_by(Merge.id.desc()).limit(MOST_ROWS)
    return list(session.scalars(query))


def _merge(merge: Merge, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "href": record_address("merges", merge.id),
        "what": "Merged into" if merge.before is not None else "Claimed for",
        "user_id": merge.user_id,
        "by": merge.made_by,
        "at": _time(merge.made_at, zone),
        "undone_by": merge.undone_by,
        "undone_at": _time(merge.undone_at, zone),
    }


def _events(session: Session, pending: PendingProfile) -> list[Any]:
    """The provider's deliveries about this membership, without their bodies."""
    if pending.whop_membership_id is None:
        return []
    event = WebhookEvent
    query = (
        select(event.id, event.type, event.occurred_at, event.received_at, event.state, event.parked_because)
        .where(event.provider == "whop", event.subject == pending.whop_membership_id)
        .order_by(event.received_at.desc(), event.id.desc())
        .limit(MOST_ROWS)
    )
    return list(session.execute(query))


def _event(row: Any, zone: ZoneInfo) -> dict[str, Any]:
    tones = {"processed": "good", "parked": "warn", "received": "warn", "failed": "bad"}
    return {
        "href": record_address("webhook-events", row.id),
        "type": row.type,
        "at": _time(row.occurred_at or row.received_at, zone),
        "state": Cell("badge", row.state.value, tones.get(row.state.value, "plain")),
        "because": inbox.PARKED_SENTENCES.get(row.parked_because or "", ""),
    }


def _mails(session: Session, pending: PendingProfile) -> list[SentEmail]:
    query = (
        select(SentEmail)
        .where(SentEmail.pending_profile_id == pending.id)
        .order_by(SentEmail.id.desc())
        .limit(MOST_ROWS)
    )
    return list(session.scalars(query))


def _mail(mail: SentEmail, zone: ZoneInfo) -> dict[str, Any]:
    tone = {
        "sent": "good",
        "kept": "plain",
        "failed": "bad",
        "unknown": "bad",
        "superseded": "plain",
        "settled": "plain",
    }.get(mail.state, "warn")
    return {
        "href": record_address("sent-emails", mail.id),
        "subject": mail.subject,
        "to": mail.to_email,
        "at": _time(mail.created_at, zone),
        "state": Cell("badge", mail.state, tone),
    }
