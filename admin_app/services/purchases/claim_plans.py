"""What claiming a purchase for an account means: for support's plan, and for every other plan by which one is claimed.

The fields of the account are those of `merge_fields`, by which a claim acts; the rest follows from who holds what then.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.services.core.plans import Plan, PlanLine, fingerprint
from admin_app.services.core.records import pending_key, profile_key
from admin_app.services.memberships import extras, meaning
from admin_app.services.memberships.meaning import Meaning
from admin_app.services.memberships.rows import basis, held_by
from admin_app.services.people.users import Owner
from admin_app.services.purchases import merge_fields
from admin_app.services.purchases.merge_fields import Sides
from models.purchases import ExtraPurchase, MergeKind, PendingProfile, Profile

SOURCE = "this claim"


def of_claim(session: Session, pending: PendingProfile, owner: Owner, profile: Profile | None) -> Plan:
    """The plan of support's claim for this account, or of its merge into the account's profile."""
    sides = merge_fields.sides(session, pending, profile, owner)
    besides = besides_the_account(session, sides)
    return Plan(
        title=f"Merge into the profile of {owner.email or owner.user_id}"
        if profile is not None
        else f"Claim for {owner.email or owner.user_id}",
        outcome="merged" if profile is not None else "created",
        lines=(*merge_fields.lines(sides, keep_email=True), *besides.lines),
        consequences=_consequences(sides),
        fingerprint=fingerprint(pending, profile, owner.user_id, basis(sides.bought), basis(sides.own)),
        refusal="This purchase is already claimed. Undo that claim first." if pending.claimed else None,
        names={profile_key(owner.user_id): owner.email or owner.user_id, **(besides.names or {})},
        adds=besides.adds,
    )


def of_arrival(
    ctx: Ctx, pending: PendingProfile, owner: Owner, profile: Profile | None, *, is_one_too_many: bool
) -> Meaning:
    """What becomes of a purchase by its account's own claim: theirs, or `is_one_too_many` and goes to the worklist."""
    if is_one_too_many:
        return _noted(ctx, pending, owner.user_id)
    sides = merge_fields.sides(ctx.session, pending, profile, owner)
    # Its address is the account's already.
    lines = [line for line in merge_fields.lines(sides, keep_email=True) if line.field != "email" and line.changes]
    return Meaning(tuple(lines)) + besides_the_account(ctx.session, sides)


def _noted(ctx: Ctx, pending: PendingProfile, user_id: str) -> Meaning:
    item = ctx.session.scalar(select(ExtraPurchase).where(ExtraPurchase.pending_profile_id == pending.id))
    if item is None:
        return Meaning(adds=(meaning.EXTRA,))
    if extras.is_noted(ctx, item, pending, user_id):
        return Meaning()
    return meaning.of_item(item, {"user_id": user_id, "resolution": None}, "the account is pro already")


def besides_the_account(session: Session, sides: Sides) -> Meaning:
    """The purchase's mark, whose its memberships are, the claim in the journal, and the worklist."""
    pending, user_id, key = sides.pending, sides.owner.user_id, pending_key(sides.pending)
    mark = PlanLine(key, "claimed_by_user_id", pending.claimed_by_user_id, user_id, SOURCE)
    found = Meaning((mark,), {key: f"the purchase of {pending.email}"}, ("merge",))
    if sides.profile is None:
        found += Meaning(adds=(meaning.PROFILE,))
    theirs = held_by(sides.profile or Profile(user_id=user_id))
    for row, then in zip(sides.bought, sides.arrives, strict=True):
        found += meaning.of_row(row, {**theirs, "next_credits_at": then.next_credits_at}, SOURCE)
    found += Meaning(adds=(meaning.MEMBERSHIP,) * sum(not row.id for row in sides.own))
    open_item = select(ExtraPurchase).where(
        ExtraPurchase.pending_profile_id == pending.id, ExtraPurchase.resolved_at.is_(None)
    )
    kind = MergeKind.CREATED if sides.profile is None else MergeKind.MERGED
    for item in session.scalars(open_item):
        found += meaning.of_item(item, {"resolution": kind.value}, SOURCE)
    return found + meaning.of_worklist(session, user_id, [*sides.own, *sides.arrives])


def _consequences(sides: Sides) -> tuple[str, ...]:
    said = ["No mail is sent.", "No money moves."]
    bought, own = sides.bought_is_live, sides.own_is_live
    if own and bought and not sides.own_is_paid:
        first = "The account is already pro by a complimentary membership: what was bought counts from now on."
    elif own and bought and not sides.bought_is_paid:
        first = "The account is already pro: what waits is complimentary, and serves when what is paid ends."
    elif own and bought:
        first = (
            "The account is already pro: it gains no access. Both memberships are paid; the one that does not count "
            "goes to the worklist."
        )
    elif own:
        first = "The membership behind this purchase has ended: the account keeps the pro access that it has."
    elif not bought:
        first = "The membership behind this purchase has ended: the account does not become pro."
    elif sides.profile is None:
        first = "A profile is made, and the account gains pro access."
    else:
        first = "The account gains pro access."
    return first, *said
