"""Who holds more than one live membership that is paid: a fact read from the rows whenever they change, for support.

A complimentary one beside another costs nobody anything: there is nothing to decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.services.core import audit
from admin_app.services.core.records import extra_key, membership_key, pending_key, profile_key
from admin_app.services.memberships.order import serving
from admin_app.services.memberships.rows import held
from models.memberships import ProviderMembership
from models.purchases import ExtraPurchase, PendingProfile, Profile

ENDED = "the provider ended it"
NOT_BESIDE = "it is not held beside another any more"


def name_of(membership: ProviderMembership) -> str:
    """The provider's id, or ours where nobody told one."""
    return membership.external_id or f"membership {membership.id}"


def live_ones(rows: Sequence[ProviderMembership]) -> str:
    """The set that a decision is about, as it is kept with it."""
    return ",".join(str(row.id) for row in sorted(rows, key=lambda row: row.id or 0) if row.is_paid)


@dataclass(frozen=True)
class Due:
    """What the worklist is to be told: the memberships to decide about, each with the item that it had, if it had one,
    and the items that leave nothing to decide, each with why.
    """

    opens: Mapping[str, ExtraPurchase | None]
    closes: Sequence[tuple[ExtraPurchase, str]]


def due(session: Session, user_id: str, rows: Sequence[ProviderMembership]) -> Due:
    """One open item for each paid membership beside the one that counts, unless support decided on just these."""
    best = serving(rows)
    beside = [name_of(row) for row in rows if row.is_paid and row is not best]
    items = _items(session, user_id, beside)
    mine = [item for item in items if item.user_id == user_id]
    decided = live_ones(rows)
    is_decided = any(item.resolved_at and item.decided_about == decided for item in mine)
    listed = {item.replaced_membership_id: item for item in items}
    is_open = {item.replaced_membership_id for item in mine if item.resolved_at is None}
    over = {name_of(row) for row in rows if not row.is_live}
    return Due(
        {name: listed.get(name) for name in beside if not is_decided and name not in is_open},
        [
            (item, ENDED if item.replaced_membership_id in over else NOT_BESIDE)
            for item in mine
            if item.resolved_at is None and item.replaced_membership_id not in beside
        ],
    )


def see_to(ctx: Ctx, profile: Profile, rows: Sequence[ProviderMembership]) -> None:
    """Keep the worklist as `due` says."""
    found = due(ctx.session, profile.user_id, rows)
    for name, item in found.opens.items():
        _open(ctx, profile, name, item)
    for item, because in found.closes:
        _close(ctx, item, because)


def note_purchase(ctx: Ctx, pending: PendingProfile, user_id: str) -> None:
    """A purchase that waits for somebody who is pro already is an item; decided on, until it holds something else."""
    item = ctx.session.scalar(
        select(ExtraPurchase).where(ExtraPurchase.pending_profile_id == pending.id).with_for_update()
    )
    if item is None:
        item = ExtraPurchase(pending_profile_id=pending.id, user_id=user_id, noted_at=ctx.now, version=1)
        ctx.session.add(item)
    elif is_noted(ctx, item, pending, user_id):
        return
    else:
        _ask_again(ctx, item, user_id)
    ctx.session.flush()
    records = [pending_key(pending), profile_key(user_id), extra_key(item.id)]
    audit.record(ctx, "purchase.extra", records=records, facts={"user_id": user_id})


def is_noted(ctx: Ctx, item: ExtraPurchase, pending: PendingProfile, user_id: str) -> bool:
    """Whether the item asks about this purchase for this account already, or was decided on as it is."""
    is_decided = item.decided_about in (None, waiting(ctx, pending))
    return item.user_id == user_id and (item.resolved_at is None or is_decided)


def waiting(ctx: Ctx, pending: PendingProfile) -> str:
    """The set of live memberships that waits with the purchase, as it is kept with a decision."""
    return live_ones(held(ctx.session, pending))


def _ask_again(ctx: Ctx, item: ExtraPurchase, user_id: str) -> None:
    item.user_id, item.noted_at = user_id, ctx.now
    item.resolved_at = item.resolved_by = item.resolution = item.decided_about = None
    item.version += 1


def _items(session: Session, user_id: str, names: Sequence[str]) -> Sequence[ExtraPurchase]:
    mine = (ExtraPurchase.user_id == user_id) & ExtraPurchase.replaced_membership_id.is_not(None)
    found = select(ExtraPurchase).where(mine | ExtraPurchase.replaced_membership_id.in_(names))
    return session.scalars(found.order_by(ExtraPurchase.id)).all()


def _open(ctx: Ctx, profile: Profile, name: str, item: ExtraPurchase | None) -> None:
    if item is None:
        item = ExtraPurchase(user_id=profile.user_id, replaced_membership_id=name, noted_at=ctx.now, version=1)
        ctx.session.add(item)
    else:
        _ask_again(ctx, item, profile.user_id)
    ctx.session.flush()
    audit.record(
        ctx,
        "purchase.extra",
        records=[profile_key(profile), membership_key(name), extra_key(item.id)],
        facts={"user_id": profile.user_id},
    )


def _close(ctx: Ctx, item: ExtraPurchase, because: str) -> None:
    """What is not true any more leaves nothing to decide."""
    item.resolved_at, item.resolved_by, item.resolution = ctx.now, ctx.actor.label, because
    item.version += 1
    audit.record(
        ctx,
        "purchase.extra_resolved",
        records=[profile_key(item.user_id), membership_key(item.replaced_membership_id or ""), extra_key(item.id)],
        facts={"user_id": item.user_id, "resolution": because},
    )
