"""Undo a claim or merge: the profile and the purchase go back to exactly what they were."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound, UndoBlocked
from admin_app.policies.permissions import Permission, require
from admin_app.services import audit
from admin_app.services.audit import Change
from admin_app.services.claims import JOURNALED
from admin_app.services.field_labels import label_of
from admin_app.services.holders import assign
from admin_app.services.merge_fields import CARRIED
from admin_app.services.plans import (
    Plan,
    PlanLine,
    fingerprint,
    require_reason,
    require_same,
    restored,
    snapshot,
)
from admin_app.services.records import lock_names, membership_keys, merge_key, pending_key, profile_key
from models.audit import AuditEntry
from models.merges import Merge, MergeKind
from models.people import ExtraPurchase, PendingProfile, Profile


def plan(ctx: Ctx, *, merge_id: int) -> Plan:
    """What undoing would put back, or what stands in its way."""
    require(ctx, Permission.PURCHASES_READ)
    return _plan(ctx.session, *_rows(ctx, merge_id, lock=False))


def undo(ctx: Ctx, *, merge_id: int, reason: str, shown: str) -> PendingProfile:
    """Put the state before the claim back; refused, naming what, when something later depends on it."""
    require(ctx, Permission.PURCHASES_UNDO)
    reason = require_reason(reason)
    merge, profile, pending = _rows(ctx, merge_id, lock=True)
    current = _plan(ctx.session, merge, profile, pending)
    if current.refusal:
        raise UndoBlocked(current.refusal)
    require_same(shown, current.fingerprint)
    if profile is None or pending is None:
        raise UndoBlocked
    told = {"email": pending.email, "owner": profile.email or merge.user_id, "user_id": merge.user_id}
    changes = _put_back(ctx, merge, profile)
    _reopen_extras(ctx, merge)
    merge.undone_at, merge.undone_by, merge.undo_reason = ctx.now, ctx.actor.label, reason
    # The mail's link was used; only a fresh one may claim again.
    freed = {"claimed": False, "claimed_by_user_id": None, "claimed_at": None, "token": None, "token_expires_at": None}
    assign(ctx, pending, **freed)
    ctx.session.flush()  # the audit entry describes what the database accepted
    audit.record(
        ctx,
        "purchase.undone",
        records=[pending_key(pending), profile_key(merge.user_id), merge_key(merge.id), *membership_keys(pending)],
        reason=reason,
        changes=[*changes, Change("claimed_by_user_id", merge.user_id, None)],
        facts=told,
    )
    return pending


def _put_back(ctx: Ctx, merge: Merge, profile: Profile) -> list[Change]:
    if merge.before is None:
        changes = [Change(name, getattr(profile, name), None, profile_key(profile)) for name in JOURNALED]
        ctx.session.delete(profile)
        return changes
    return assign(ctx, profile, **restored(Profile, merge.before))


def _reopen_extras(ctx: Ctx, merge: Merge) -> None:
    """The worklist as it was: what the merge settled is open again, what it put there is taken off."""
    mine = ExtraPurchase.resolved_at == merge.made_at
    ctx.session.execute(
        update(ExtraPurchase)
        .where(ExtraPurchase.pending_profile_id == merge.pending_profile_id, mine)
        .values(resolved_at=None, resolved_by=None, resolution=None, version=ExtraPurchase.version + 1)
    )
    before = merge.before or {}
    restored_ids = [before.get(name) for name in ("whop_membership_id", "stripe_subscription_id")]
    put_there = ExtraPurchase.replaced_membership_id.in_(restored_ids), ExtraPurchase.noted_at == merge.made_at
    ctx.session.execute(delete(ExtraPurchase).where(*put_there))


def _rows(ctx: Ctx, merge_id: int, *, lock: bool) -> tuple[Merge, Profile | None, PendingProfile | None]:
    """The journal's entry with its two sides, locked in the order that claims lock them."""
    session = ctx.session
    found = session.get(Merge, merge_id)
    if found is None:
        raise NotFound("There is no such claim or merge.")
    if lock:
        lock_names(session, f"user:{found.user_id}")
    options: dict[str, Any] = {"with_for_update": lock or None, "populate_existing": True}
    profile = session.get(Profile, found.user_id, **options)
    pending = session.get(PendingProfile, found.pending_profile_id, **options) if found.pending_profile_id else None
    merge = session.get_one(Merge, merge_id, **options)
    if merge.undone_at is not None and lock:
        raise Conflict(f"This was already undone by {merge.undone_by}.")
    return merge, profile, pending


def _plan(session: Session, merge: Merge, profile: Profile | None, pending: PendingProfile | None) -> Plan:
    blockers = list(_blockers(session, merge, profile, pending))
    return Plan(
        title="Undo the claim" if merge.kind is MergeKind.CREATED else "Undo the merge",
        outcome="undone",
        lines=_lines(merge, profile, pending),
        consequences=_consequences(merge),
        fingerprint=fingerprint(snapshot(merge), profile, pending),
        refusal=" ".join(["This cannot be undone any more:", *blockers]) if blockers else None,
    )


def _lines(merge: Merge, profile: Profile | None, pending: PendingProfile | None) -> tuple[PlanLine, ...]:
    if profile is None or pending is None:
        return ()
    before = restored(Profile, merge.before) if merge.before is not None else dict.fromkeys(JOURNALED)
    source = "before the merge" if merge.before is not None else "no profile before"
    key = profile_key(profile)
    lines = [PlanLine(key, name, getattr(profile, name), before[name], source) for name in JOURNALED]
    mark = PlanLine(pending_key(pending), "claimed_by_user_id", pending.claimed_by_user_id, None, "waiting again")
    return (*lines, mark)


def _consequences(merge: Merge) -> tuple[str, ...]:
    access = (
        "The profile that this claim made is removed, and the account loses its pro access."
        if merge.kind is MergeKind.CREATED
        else "The profile gets back exactly what it held before the merge."
    )
    return access, "The purchase waits again.", "No mail is sent.", "No money moves."


def _blockers(session: Session, merge: Merge, profile: Profile | None, pending: PendingProfile | None) -> Iterable[str]:
    """Everything later that rests on this claim, each as a sentence that names it."""
    if merge.undone_at is not None:
        yield f"It was undone already by {merge.undone_by}."
        return
    if pending is None:
        yield "The purchase itself was deleted."
        return
    if profile is None:
        yield f"The profile {merge.user_id} is gone."
        return
    later = session.scalars(
        select(Merge)
        .where(Merge.user_id == merge.user_id, Merge.id > merge.id, Merge.undone_at.is_(None))
        .order_by(Merge.id)
    ).all()
    for other in later:
        yield f"Merge {other.id} by {other.made_by} put another purchase on the same profile: undo that one first."
    if later:
        return
    former = (merge.before or {}).get("whop_membership_id")
    if former and former != merge.after.get("whop_membership_id") and _lives_elsewhere(session, former, merge.user_id):
        yield f"The membership {former}, which the profile held before, came back as another purchase since."
    moved = [n for n, value in snapshot(profile, JOURNALED).items() if value != merge.after.get(n)]
    if moved:
        fields = ", ".join(label_of(name) for name in moved if name not in CARRIED) or label_of(moved[0])
        yield f"{fields} changed since.{_who_changed(session, merge, moved)}"


def _lives_elsewhere(session: Session, membership_id: str, user_id: str) -> bool:
    """Whether a purchase or another profile holds what the profile would get back."""
    waiting = select(PendingProfile.id).where(
        PendingProfile.whop_membership_id == membership_id,
        PendingProfile.claimed_by_user_id.is_distinct_from(user_id),
    )
    profile = select(Profile.user_id).where(Profile.whop_membership_id == membership_id, Profile.user_id != user_id)
    return any(session.execute(query.limit(1)).first() is not None for query in (waiting, profile))


def _who_changed(session: Session, merge: Merge, fields: list[str]) -> str:
    """The audit entry that last touched one of the fields, as a sentence."""
    entries = session.scalars(
        select(AuditEntry)
        .where(audit.about(profile_key(merge.user_id)), AuditEntry.at >= merge.made_at)
        .order_by(AuditEntry.id.desc())
        .limit(20)
    )
    key = profile_key(merge.user_id)
    for entry in entries:
        own = entry.event == "purchase.claimed" and entry.at == merge.made_at
        if not own and any(change.get("record") == key and change.get("field") in fields for change in entry.changes):
            return f" Last by this: {audit.as_history(entry).sentence} ({entry.at:%Y-%m-%d %H:%M} UTC)."
    return ""
