"""A provider's purchase, applied to its membership and to whoever holds it: a profile or a purchase that waits."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from admin_app.addresses import comparable
from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services import memberships
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.records import membership_key, pending_key
from admin_app.services.memberships import Holder, credits, news
from admin_app.services.memberships.news import MembershipSnapshot
from admin_app.services.memberships.rows import DELETED, hand_over, put
from admin_app.services.purchases import holders, owners
from admin_app.services.purchases.deciding import Decision, decide
from models.memberships import MembershipStatus, ProviderMembership
from models.purchases import PendingProfile, Profile

__all__ = ["Applied", "MembershipSnapshot", "end", "record", "set_cancellation"]

LISTED = ("membership", "plan_duration", "billing_cycle_start", "billing_cycle_end", "usage_credits")


class Applied(StrEnum):
    """What became of a provider's news."""

    DONE = "done"
    SUPERSEDED = "superseded"
    EMAIL_MISSING = "email_missing"
    MEMBERSHIP_UNKNOWN = "membership_unknown"
    IGNORED = "ignored"


def record(ctx: Ctx, snapshot: MembershipSnapshot) -> Applied:
    """A paid or activated membership: it serves its holder, or waits under its buyer's address."""
    if snapshot.membership_id is None:
        return Applied.MEMBERSHIP_UNKNOWN
    row, holder = holders.of_snapshot(ctx, snapshot)
    decision = decide(row, holder, snapshot)
    if decision is Decision.IGNORE:
        return _ignore(ctx, row, snapshot)
    if decision is Decision.SUPERSEDED:
        return Applied.SUPERSEDED
    if row is None or holder is None:
        return _receive(ctx, row, snapshot)
    told = {"status": MembershipStatus.ACTIVE, "cancel_at_period_end": snapshot.cancel_at_period_end}
    _ask_where_no_order(ctx, row, snapshot, **told)
    if decision is Decision.FILL_IN:
        return _fill_in(ctx, row, holder, snapshot)
    if decision is Decision.LOSE:
        return _lose(ctx, row, holder, snapshot)
    _pay(ctx, row, holder, snapshot, is_new=False)
    return Applied.DONE


def end(ctx: Ctx, snapshot: MembershipSnapshot) -> Applied:
    """A membership that is over: where no other one serves, its holder becomes free; credits and rows stay."""
    ended = {"status": MembershipStatus.INACTIVE, "cancel_at_period_end": False}
    return _change_state(ctx, snapshot, "purchase.ended", ended)


def set_cancellation(ctx: Ctx, snapshot: MembershipSnapshot) -> Applied:
    """The customer asked for, or took back, a cancellation at the end of the period."""
    dates = {"period_start": snapshot.period_start, "period_end": snapshot.period_end}
    stated: dict[str, Any] = {name: value for name, value in dates.items() if value is not None}
    if snapshot.cancel_at_period_end is not None:
        stated["cancel_at_period_end"] = snapshot.cancel_at_period_end
    return _change_state(ctx, snapshot, "purchase.cancellation", stated)


def _change_state(ctx: Ctx, snapshot: MembershipSnapshot, event: str, values: dict[str, Any]) -> Applied:
    if snapshot.membership_id is None:
        return Applied.MEMBERSHIP_UNKNOWN
    holders.lock(ctx, membership_id=snapshot.membership_id, email=None)
    # Only the membership's id tells whose end it is: its address may hold another membership by now.
    row, holder = holders.of_membership(ctx, snapshot.membership_id, snapshot.provider)
    if row is None:
        return Applied.MEMBERSHIP_UNKNOWN
    if holder is None:
        if not news.is_older(row, snapshot, purchase=False):
            word = {"provider_status": snapshot.provider_status} if snapshot.provider_status else {}
            put(ctx, row, **word, **values, provider_event_at=snapshot.occurred_at)
        return Applied.SUPERSEDED
    _ask_where_no_order(ctx, row, snapshot, **_states(values))
    if news.is_older(row, snapshot, purchase=False):
        return _fill_in(ctx, row, holder, snapshot)
    rows = memberships.of(ctx, holder)
    told = news.current(row, snapshot)
    told = {n: v for n, v in told.items() if n == "provider_status" or getattr(row, n) is None}
    told |= news.corrected(ctx, row, snapshot)
    own = put(ctx, row, **(told | values | {"provider_event_at": snapshot.occurred_at}))
    _tell(ctx, event, holder, [row], own, memberships.settle(ctx, holder, rows))
    return Applied.DONE


def _states(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("status", "cancel_at_period_end") if name in values}


def _ask_where_no_order(ctx: Ctx, row: ProviderMembership, snapshot: MembershipSnapshot, **told: object) -> None:
    if news.without_order(row, snapshot, **told):
        once = f"compare_membership:{snapshot.membership_id}"
        job_queue.defer(ctx.session, "compare_membership", once_key=once, membership_id=snapshot.membership_id)


# -- who it is for -----------------------------------------------------------------------------------------------


def _receive(ctx: Ctx, row: ProviderMembership | None, snapshot: MembershipSnapshot) -> Applied:
    """A membership that nobody holds: whoever its address is gets it, else it waits under it."""
    if not snapshot.email:
        return Applied.EMAIL_MISSING
    is_new = row is None or (row.period_start is None and row.next_credits_at is None)
    if row is not None and row.ignored_because != DELETED and news.is_older(row, snapshot, purchase=True):
        return Applied.SUPERSEDED
    holder = holders.of_email(ctx, snapshot.email)
    if holder is None:
        _create_pending(ctx, row, snapshot)
        return Applied.DONE
    rows = memberships.of(ctx, holder)
    for one in rows:
        memberships.catch_up(ctx, holder, one)
    nameless = next((one for one in rows if one.external_id is None and one.provider is snapshot.provider), None)
    if row is None and nameless is not None:
        # Known so far without its id: the earlier system gave it. Its name is known now.
        nameless.external_id = snapshot.membership_id
        _pay(ctx, nameless, holder, snapshot, is_new=False)
        return Applied.DONE
    _pay(ctx, row or _new_row(ctx, snapshot), holder, snapshot, is_new=is_new)
    return Applied.DONE


def _new_row(ctx: Ctx, snapshot: MembershipSnapshot) -> ProviderMembership:
    row = ProviderMembership(
        provider=snapshot.provider,
        external_id=snapshot.membership_id,
        status=MembershipStatus.INACTIVE,
        cancel_at_period_end=False,
        created_at=snapshot.occurred_at,
        updated_at=ctx.now,
        version=1,
    )
    ctx.session.add(row)
    return row


def _ignore(ctx: Ctx, row: ProviderMembership | None, snapshot: MembershipSnapshot) -> Applied:
    """What does not make anybody pro is seen, with the reason, and held by nobody."""
    if row is None:
        row = _new_row(ctx, snapshot)
    elif news.is_older(row, snapshot, purchase=True):
        return Applied.IGNORED
    values = news.current(row, snapshot) | news.cycle(row, snapshot, is_new=False)
    values |= {"provider_event_at": snapshot.occurred_at, "status": MembershipStatus.ACTIVE}
    if snapshot.cancel_at_period_end is not None:
        values["cancel_at_period_end"] = snapshot.cancel_at_period_end
    because = snapshot.ignored_because or row.ignored_because
    put(ctx, row, **values, ignored_because=because, ignored_at=row.ignored_at or ctx.now)
    ctx.session.flush()
    return Applied.IGNORED


def _lose(ctx: Ctx, row: ProviderMembership, holder: Holder, snapshot: MembershipSnapshot) -> Applied:
    """It changed to what makes nobody pro: its holder keeps it, has nothing by it, and is pro again when it does."""
    rows = memberships.of(ctx, holder)
    before = row.ignored_because
    _ignore(ctx, row, snapshot)
    own = [Change("ignored_because", before, row.ignored_because)] if before != row.ignored_because else []
    event = "purchase.ended" if before is None else "purchase.ignored"
    _tell(ctx, event, holder, [row], own, memberships.settle(ctx, holder, rows))
    return Applied.IGNORED


# -- what it gives -----------------------------------------------------------------------------------------------


def _pay(ctx: Ctx, row: ProviderMembership, holder: Holder, snapshot: MembershipSnapshot, *, is_new: bool) -> None:
    before = row.email
    hand_over(row, holder)
    own = news.paid(ctx, row, snapshot, is_new=is_new)
    ctx.session.flush()
    moved: dict[str, Any] = {}
    if isinstance(holder, PendingProfile) and _has_another_address(holder, snapshot, before):
        holder, moved = _follow_the_buyer(ctx, row, holder, snapshot.email or "")
    rows = memberships.of(ctx, holder)
    _, given = credits.grant_due(ctx, row, holder, rows, upto=max(ctx.now, snapshot.occurred_at))
    name = {"name": snapshot.name} if snapshot.name and not holder.name else {}
    changes = memberships.settle(ctx, holder, rows, **(_filled_credits(holder) | moved | given | name))
    _tell(ctx, None, holder, [row], own, changes)


def _filled_credits(holder: Holder) -> dict[str, Any]:
    """A purchase of the earlier system may not say what it has: then it has what each has."""
    if isinstance(holder, PendingProfile) and holder.usage_credits is None:
        return {"usage_credits": credits.CREDITS, "used_credits": holder.used_credits or 0}
    return {}


def _fill_in(ctx: Ctx, row: ProviderMembership, holder: Holder, snapshot: MembershipSnapshot) -> Applied:
    own = news.filled(ctx, row, snapshot)
    if not own:
        return Applied.SUPERSEDED
    name = {"name": snapshot.name} if snapshot.name and not holder.name else {}
    _tell(ctx, None, holder, [row], own, memberships.settle(ctx, holder, memberships.of(ctx, holder), **name))
    return Applied.DONE


def _create_pending(ctx: Ctx, row: ProviderMembership | None, snapshot: MembershipSnapshot) -> PendingProfile:
    values = {
        "email": snapshot.email,
        "name": snapshot.name,
        "payment_provider": snapshot.provider,
        "usage_credits": 0,
        "used_credits": 0,
        "created_at": snapshot.occurred_at,
        "updated_at": ctx.now,
    }
    pending_id = ctx.session.scalars(insert(PendingProfile).values(values).returning(PendingProfile.id)).one()
    pending = ctx.session.get_one(PendingProfile, pending_id)
    is_new = row is None or row.period_start is None
    row = row or _new_row(ctx, snapshot)
    hand_over(row, pending)
    news.paid(ctx, row, snapshot, is_new=is_new)
    _, given = credits.grant_due(ctx, row, pending, [row], upto=max(ctx.now, snapshot.occurred_at))
    memberships.settle(ctx, pending, [row], **given)
    pending.version = 1
    ctx.session.flush()
    owners.refresh(ctx, pending)  # its searches come before the audit's one lock, which everyone waits for
    audit.record(
        ctx,
        "purchase.received",
        records=[pending_key(pending), membership_key(snapshot.membership_id or "")],
        changes=[Change(name, None, getattr(pending, name)) for name in LISTED],
        facts={"email": pending.email},
    )
    job_queue.defer(ctx.session, "send_claim_mail", pending_profile_id=pending.id)
    return pending


def _has_another_address(pending: PendingProfile, snapshot: MembershipSnapshot, before: str | None) -> bool:
    """Whether it waits under an address that the buyer gave up at the provider, and not under one that support gave."""
    if pending.claimed or not snapshot.email or before is None:
        return False
    return comparable(snapshot.email) != comparable(before) == comparable(pending.email)


def _follow_the_buyer(
    ctx: Ctx, row: ProviderMembership, pending: PendingProfile, address: str
) -> tuple[Holder, dict[str, Any]]:
    """Who holds it under the new address, and what that changes: the purchase itself, or whoever that address is."""
    target = holders.of_email(ctx, address)
    if target is None or target is pending:
        job_queue.defer(ctx.session, "send_claim_mail", pending_profile_id=pending.id)
        return pending, {"email": address, "token": None, "token_expires_at": None}
    along = min(max(0, (pending.usage_credits or 0) - (pending.used_credits or 0)), credits.CREDITS)
    has = memberships.of(ctx, target)
    hand_over(row, target)
    ctx.session.flush()
    if isinstance(target, Profile):
        credits.belong_to(ctx, [row], target.user_id)
    left = memberships.held(ctx.session, pending)
    changes = memberships.settle(ctx, pending, left, usage_credits=(pending.usage_credits or 0) - along)
    _tell(ctx, None, pending, [row], (), changes)
    if any(one.is_live for one in has) and not any(one.is_paid for one in has):
        return target, {"usage_credits": along, "used_credits": 0}  # what is paid takes the place of what was given
    return target, {"usage_credits": (target.usage_credits or 0) + along}


def _tell(
    ctx: Ctx,
    event: str | None,
    holder: Holder,
    rows: Sequence[ProviderMembership],
    own: Sequence[Change],
    changes: Sequence[Change],
) -> None:
    """One entry for what changed: the holder's columns, or the membership's own where it does not count."""
    ids = [row.external_id for row in rows if row.external_id]
    kept = [change for change in changes if change.field not in ("token", "token_expires_at")]
    if not kept and any(change.field != "provider_event_at" for change in own):
        named = membership_key(ids[0] if ids else "")
        kept = [Change(change.field, change.before, change.after, named) for change in own]
    if not kept:
        return
    told: dict[str, Any]
    if event is not None:
        told = {"membership_id": ids[0] if ids else ""}
    elif isinstance(holder, Profile):
        event, told = "purchase.credited", {"user_id": holder.user_id}
    else:
        event, told = "purchase.updated", {"email": holder.email}
    replaced = [c.before for c in kept if c.field == "whop_membership_id" and c.before]
    records = [holders.key(holder), *map(membership_key, [*ids, *replaced])]
    audit.record(ctx, event, records=records, changes=kept, facts=told)
