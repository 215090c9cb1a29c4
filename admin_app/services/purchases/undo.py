"""Undo a claim or merge: profile and purchase go back to what they were, as far as that is still true."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound, UndoBlocked
from admin_app.policies.permissions import Permission, require
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.field_labels import label_of
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same, restored, snapshot
from admin_app.services.core.records import lock_names, membership_keys, merge_key, pending_key, profile_key
from admin_app.services.memberships import adjustments, credits, extras, meaning
from admin_app.services.memberships.meaning import Meaning
from admin_app.services.memberships.rows import basis, copied, hand_over, held_by
from admin_app.services.people import users
from admin_app.services.purchases import merge_fields
from admin_app.services.purchases.claims import JOURNALED
from admin_app.services.purchases.holders import assign
from admin_app.services.purchases.merge_fields import CARRIED
from models.memberships import Membership, ProviderMembership
from models.purchases import ExtraPurchase, Merge, MergeKind, PendingProfile, Profile

AGAIN = "waiting again"
PERSON_IDS = ("whop_user_id", "stripe_customer_id")
# The address follows the identity provider: an undo would bring a former one back.
PERSONAL = ("name", *PERSON_IDS)
IDS = ("whop_membership_id", "stripe_subscription_id")


@dataclass(frozen=True)
class Found:
    """A claim and what it is about now: the memberships that go back, those that stay, those that are elsewhere.

    `by_hand` are the credits that staff added since, less those that they took, as far as no renewal came after.
    """

    merge: Merge
    profile: Profile | None
    pending: PendingProfile | None
    back: Sequence[ProviderMembership]
    stays: Sequence[ProviderMembership]
    elsewhere: tuple[str, ...]
    by_hand: int = 0


def plan(ctx: Ctx, *, merge_id: int) -> Plan:
    """What undoing would put back, or what stands in its way."""
    require(ctx, Permission.PURCHASES_READ)
    return _plan(ctx.session, _found(ctx.session, *_rows(ctx, merge_id, lock=False)))


def undo(ctx: Ctx, *, merge_id: int, reason: str, shown: str) -> PendingProfile:
    """Put back what is still true of the state before the claim; refused, naming why, when there is nowhere to put it.

    The memberships go back to the purchase as they are now. What was used stays counted with the account that used it.
    """
    require(ctx, Permission.PURCHASES_UNDO)
    reason = require_reason(reason)
    merge, profile, pending = _rows(ctx, merge_id, lock=True)
    if profile is not None:
        memberships.of(ctx, profile)
    found = _found(ctx.session, merge, profile, pending)
    current = _plan(ctx.session, found)
    if current.refusal:
        raise UndoBlocked(current.refusal)
    require_same(shown, current.fingerprint)
    if profile is None or pending is None:
        raise UndoBlocked
    told = {"email": pending.email, "owner": profile.email or merge.user_id, "user_id": merge.user_id}
    merge.undone_at, merge.undone_by, merge.undo_reason = ctx.now, ctx.actor.label, reason
    # The mail's link was used; only a fresh one may claim again.
    freed = {"claimed": False, "claimed_by_user_id": None, "claimed_at": None, "token": None, "token_expires_at": None}
    assign(ctx, pending, **freed)
    back_before = {row.id: row.version for row in found.back}
    for row in found.back:
        hand_over(row, pending)
        row.preferred_at, row.updated_at = None, ctx.now
        row.version = back_before[row.id] + 1
    credits.go_back(ctx, found.back)
    _reopen_extra(ctx, merge)
    changes = _put_back(ctx, found, profile)
    memberships.settle(ctx, pending, found.back)
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


def _put_back(ctx: Ctx, found: Found, profile: Profile) -> list[Change]:
    after = _profile_after(found)
    if after is None:
        changes = [Change(name, getattr(profile, name), None, profile_key(profile)) for name in JOURNALED]
        extras.see_to(ctx, profile, ())
        ctx.session.flush()
        ctx.session.delete(profile)
        return changes
    event_at = after.pop("provider_event_at")
    changes = memberships.settle(ctx, profile, found.stays, **after)
    profile.provider_event_at = event_at
    return [Change(change.field, change.before, change.after, profile_key(profile)) for change in changes]


def _reopen_extra(ctx: Ctx, merge: Merge) -> None:
    """What the merge took off the worklist waits there again; what support decided stays decided."""
    for item in ctx.session.scalars(_taken_off_by(merge)):
        item.resolved_at = item.resolved_by = item.resolution = None
        item.version += 1


def _taken_off_by(merge: Merge) -> Select[ExtraPurchase]:
    mine = ExtraPurchase.pending_profile_id == merge.pending_profile_id
    return select(ExtraPurchase).where(mine, ExtraPurchase.resolved_at == merge.made_at)


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


def _found(session: Session, merge: Merge, profile: Profile | None, pending: PendingProfile | None) -> Found:
    held = memberships.seen(session, profile) if profile is not None else []
    moved = set(merge.memberships)
    back = [row for row in held if row.id in moved] if moved else _of_before(merge, held)
    stays = [row for row in held if row not in back]
    elsewhere = _elsewhere(session, merge, profile) if moved else ()
    by_hand = adjustments.by_hand_since(session, merge.user_id, merge.made_at)
    return Found(merge, profile, pending, back, stays, elsewhere, by_hand)


def _of_before(merge: Merge, held: Sequence[ProviderMembership]) -> list[ProviderMembership]:
    """What a claim brought that was made before memberships were noted with it: what the journal names."""
    ids = {merge.after.get(name) for name in IDS} - {(merge.before or {}).get(name) for name in IDS} - {None}
    return [row for row in held if row.external_id in ids]


def _elsewhere(session: Session, merge: Merge, profile: Profile | None) -> tuple[str, ...]:
    """Those that went on to somebody else since."""
    rows = session.scalars(select(ProviderMembership).where(ProviderMembership.id.in_(merge.memberships)))
    return tuple(
        extras.name_of(row) for row in rows if row.profile_user_id != merge.user_id and row.ignored_because is None
    )


def _profile_after(found: Found) -> dict[str, Any] | None:
    """The profile's columns after the undo; None when nothing is left of a profile that the claim made."""
    merge, profile = found.merge, found.profile
    if profile is None:
        return None
    used = _used_since(merge, profile)
    is_untouched = not used and not found.by_hand and _is_as_claimed(found, profile)
    if merge.before is None and not found.stays and is_untouched:
        return None
    before = restored(Profile, merge.before) if merge.before is not None else _blank(profile)
    after = restored(Profile, {name: merge.after[name] for name in JOURNALED if name in merge.after})
    # What somebody changed since is the newer truth.
    own = {name: _as_before(name, profile, before, after) for name in PERSONAL}
    own |= {"email": profile.email}
    usage, used = before["usage_credits"] + found.by_hand, before["used_credits"] + used
    own |= {"usage_credits": max(usage, used) if found.by_hand else usage, "used_credits": used}
    if _has_other_credits(found, profile):
        own["used_credits"] = profile.used_credits
        own["usage_credits"] = profile.used_credits + _left_beside(found, profile)
    if found.stays:
        linked = memberships.derived(found.stays, None)
        return linked | own | {name: linked[name] or own[name] for name in PERSON_IDS}
    was_free = before["membership"] is Membership.FREE
    linked = {name: before[name] for name in memberships.LINKED} if was_free else memberships.derived((), profile)
    return dict.fromkeys(JOURNALED) | linked | own | ({} if "status" in linked else {"status": profile.status})


def _has_other_credits(found: Found, profile: Profile) -> bool:
    """Whether the account got credits since, by a membership that stays: what it had before says nothing of them."""
    same = profile.usage_credits == found.merge.after.get("usage_credits")
    reset = profile.used_credits < (found.merge.after.get("used_credits") or 0)
    return any(row.is_live for row in found.stays) and (reset or not same)


def _left_beside(found: Found, profile: Profile) -> int:
    """What the memberships that stay have left: each that goes back takes what it gave, as far as it is there."""
    left = max(0, profile.usage_credits - profile.used_credits)
    return left - min(left, credits.CREDITS * sum(row.is_live for row in found.back))


def _as_before(name: str, profile: Profile, before: dict[str, Any], after: dict[str, Any]) -> Any:
    now = getattr(profile, name)
    return before[name] if audit.plain(now) == audit.plain(after.get(name)) else now


def _used_since(merge: Merge, profile: Profile) -> int:
    """What the account used since the claim; after a renewal, what it used since that."""
    used = profile.used_credits - (merge.after.get("used_credits") or 0)
    return used if used >= 0 else profile.used_credits


def _is_as_claimed(found: Found, profile: Profile) -> bool:
    """Whether nobody gave the profile an id of a provider since, but by the memberships that go back."""
    known = {found.merge.after.get(name) for name in PERSON_IDS} | {None}
    known |= {row.provider_user_id for row in found.back} | {row.provider_customer_id for row in found.back}
    return all(getattr(profile, name) in known for name in PERSON_IDS)


def _blank(profile: Profile) -> dict[str, Any]:
    """An account that keeps its address and name, and holds nothing."""
    free = dict.fromkeys(JOURNALED) | users.new_profile_defaults(profile.created_at)
    return free | {"email": profile.email, "name": profile.name}


def _plan(session: Session, found: Found) -> Plan:
    blockers, besides = list(_blockers(session, found)), _besides(session, found)
    merge, profile, pending = found.merge, found.profile, found.pending
    return Plan(
        title="Undo the claim" if merge.kind is MergeKind.CREATED else "Undo the merge",
        outcome="undone",
        lines=(*_lines(found), *besides.lines),
        consequences=_consequences(found),
        fingerprint=fingerprint(snapshot(merge), profile, pending, basis(found.back), basis(found.stays)),
        refusal=" ".join(["This cannot be undone any more:", *blockers]) if blockers else None,
        names={**_names(found), **(besides.names or {})},
        adds=besides.adds,
        removes=(meaning.PROFILE,) if profile is not None and _profile_after(found) is None else (),
    )


def _besides(session: Session, found: Found) -> Meaning:
    """Whose the memberships are again, what the purchase says of them, and the worklist."""
    profile, pending = found.profile, found.pending
    if profile is None or pending is None:
        return Meaning()
    means, back = Meaning(), []
    for row in found.back:
        values = {"next_credits_at": credits.next_when_back(session, row)}
        means += meaning.of_row(row, {**held_by(pending), **values}, AGAIN)
        back.append(copied(row, preferred_at=None, **values))
    told = memberships.derived(back, pending)
    key = pending_key(pending)
    lines = [PlanLine(key, name, getattr(pending, name), value, "its memberships") for name, value in told.items()]
    means += Meaning(tuple(line for line in lines if line.changes))
    for item in session.scalars(_taken_off_by(found.merge)):
        means += meaning.of_item(item, {"resolution": None}, AGAIN)
    return means + meaning.of_worklist(session, profile.user_id, found.stays)


def _lines(found: Found) -> tuple[PlanLine, ...]:
    profile, pending = found.profile, found.pending
    if profile is None or pending is None:
        return ()
    after = _profile_after(found)
    source = "before the claim" if after is not None else "no profile before"
    values = after if after is not None else dict.fromkeys(JOURNALED)
    key = profile_key(profile)
    lines = [PlanLine(key, name, getattr(profile, name), values[name], source) for name in JOURNALED]
    mark = PlanLine(pending_key(pending), "claimed_by_user_id", pending.claimed_by_user_id, None, AGAIN)
    return (*lines, mark)


def _names(found: Found) -> dict[str, str]:
    profile, pending = found.profile, found.pending
    if profile is None or pending is None:
        return {}
    name = profile.email or profile.user_id
    return {profile_key(profile): name, pending_key(pending): f"the purchase of {pending.email}"}


def _consequences(found: Found) -> tuple[str, ...]:
    merge, profile = found.merge, found.profile
    said = []
    if profile is not None:
        after = _profile_after(found)
        if after is None:
            said.append("The profile that this claim made is removed, and the account loses its pro access.")
        elif after["membership"] is Membership.PRO:
            said.append("The account keeps the pro access that it has by another membership.")
        elif profile.membership is Membership.PRO:
            said.append("The account loses its pro access.")
        used = _used_since(merge, profile)
        if used:
            said.append(f"Credits used since the claim stay counted with the account: {used:,}.")
        changed = _changed_since(merge, profile)
        if changed:
            said.append(f"{', '.join(changed)} changed since the claim: what is true now counts.")
    if any(not row.is_live for row in found.back):
        said.append("A membership of this purchase has ended since: it waits as ended.")
    return *said, "The purchase waits again.", "No mail is sent.", "No money moves."


def _changed_since(merge: Merge, profile: Profile) -> list[str]:
    moved = [name for name, value in snapshot(profile, JOURNALED).items() if value != merge.after.get(name)]
    return [label_of(name) for name in moved if name not in (*CARRIED, *merge_fields.CREDIT_FIELDS)]


def _blockers(session: Session, found: Found) -> Iterable[str]:
    """What leaves nothing to go back to, each as a sentence that names it."""
    merge = found.merge
    if merge.undone_at is not None:
        yield f"It was undone already by {merge.undone_by}."
        return
    if found.pending is None:
        yield "The purchase itself was deleted."
        return
    if found.profile is None:
        yield f"The profile {merge.user_id} is gone."
        return
    if found.profile.account_deleted_at is not None:
        yield "The account was deleted at the sign-in provider: what it held waits already."
        return
    later = session.scalars(
        select(Merge)
        .where(Merge.user_id == merge.user_id, Merge.id > merge.id, Merge.undone_at.is_(None))
        .order_by(Merge.id)
    ).all()
    for other in later:
        yield f"Merge {other.id} by {other.made_by} put another purchase on the same profile: undo that one first."
    for name in found.elsewhere:
        yield f"The membership {name} went to somebody else since: move it back first."
