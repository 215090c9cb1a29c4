"""Has a person's address corrected or unlinked at Clerk, from where addresses come: by a plan, with a reason.

Clerk is asked before the plan is shown and before it is acted upon. The act notes the call and the reason;
`address_sending` makes the call and applies what Clerk says then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.addresses import comparable, is_one_of
from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services import memberships
from admin_app.services.core.email_fields import clean_email
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import lock_names, profile_key
from admin_app.services.memberships.meaning import Meaning
from admin_app.services.memberships.rows import Holder, basis
from admin_app.services.people import person_addresses, users
from admin_app.services.people.users import Owner
from admin_app.services.purchases import claim_plans, claims, legacy
from admin_app.services.purchases.address_actions import ACCOUNT_GONE, AddressAction, Change, Snapshot, calls
from admin_app.services.purchases.address_sending import ask_for, is_open, subject_of
from models.inbox import ProviderCall
from models.people import PersonAddress
from models.purchases import LEGACY_PREFIX, PendingProfile, Profile

GONE = "This address is not here any more."
TITLES: Mapping[AddressAction, str] = MappingProxyType(
    {
        AddressAction.ADD: "Add {email} at Clerk",
        AddressAction.PRIMARY: "Make {email} the primary address at Clerk",
        AddressAction.UNLINK: "Unlink {email} at Clerk",
    }
)
OUTCOMES: Mapping[AddressAction, str] = MappingProxyType(
    {AddressAction.ADD: "added", AddressAction.PRIMARY: "primary", AddressAction.UNLINK: "unlinked"}
)
NO_MAIL = "Backdesk sends no mail; Clerk may write to the person."


class Waiting(NamedTuple):
    """What waits under an address, and whether the account, which pays for a membership already, does not get it."""

    purchase: Holder | None
    is_one_too_many: bool


def of_row(session: Session, address_id: int, action: AddressAction) -> Change:
    """This action on an address that is kept here."""
    row = session.get(PersonAddress, address_id, populate_existing=True)
    if row is None:
        raise NotFound(GONE)
    return Change(action, row.user_id, row.email)


def right_one(
    session: Session, snapshot: Snapshot, *, user_id: str, email: str, verified: bool, wrong_id: int | None = None
) -> Change:
    """The change that gives the person this address, in the place of a wrong one where that is named.

    It becomes the primary one where staff call it verified, and the wrong one is that or nothing else is. What nobody
    verified is added beside the others, for the person to verify: then nothing is taken from them either.
    """
    address = clean_email(email)
    wrong = of_row(session, wrong_id, AddressAction.UNLINK) if wrong_id is not None else None
    if wrong is not None and comparable(wrong.email) == comparable(address):
        sentence = "This is the address that is to be corrected. Write the right one."
        raise InvalidInput(sentence, fields={"email": sentence})
    if not verified:
        return Change(AddressAction.ADD, user_id, address)
    main, former = snapshot.primary, snapshot.entry(wrong.email) if wrong is not None else None
    is_main = main is None or (former is not None and former.primary)
    change = Change(AddressAction.ADD, user_id, address, verified=True, primary=is_main)
    if wrong is None or former is None:
        return change
    # What comes from a connected account would come back, so it stays.
    return replace(change, beside=wrong.email) if former.linked else replace(change, instead_of=wrong.email)


def plan(ctx: Ctx, *, change: Change, snapshot: Snapshot) -> Plan:
    """What this would change at Clerk and here, with what Clerk says now."""
    require(ctx, Permission.USERS_READ)
    return _plan(ctx, change, snapshot)


def begin(ctx: Ctx, *, change: Change, snapshot: Snapshot, reason: str, shown: str) -> ProviderCall:
    """Note that Clerk is to be told; it is, after the commit, and what it says then is applied."""
    require(ctx, Permission.ADDRESSES_CHANGE)
    if change.verified:
        require(ctx, Permission.PURCHASES_CLAIM)  # what waits under the address goes to the account
    reason = require_reason(reason)
    lock_names(ctx.session, f"user:{change.user_id}", f"email:{comparable(change.email)}")
    found = _plan(ctx, change, snapshot)
    if found.refusal:
        raise Conflict(found.refusal)
    require_same(shown, found.fingerprint)
    return ask_for(ctx, change, reason=reason)


def _plan(ctx: Ctx, change: Change, snapshot: Snapshot) -> Plan:
    session = ctx.session
    profile = session.get(Profile, change.user_id, populate_existing=True)
    if profile is None and not users.is_known(session, change.user_id):
        raise NotFound("There is no account with this id. Search for the person by e-mail or name.")
    here = [row.email for row in person_addresses.verified(session, change.user_id)]
    owner = person_addresses.account_of(session, change.email)
    call = session.scalar(select(ProviderCall.id).where(_about(change.user_id), is_open()).limit(1))
    held = memberships.seen(session, profile) if profile is not None else []
    pays = profile is not None and claims.pays_already(profile, held)
    waiting, main = Waiting(_under(session, change.email), pays), _primary_after(change, snapshot)
    # Whatever is changed: Clerk's answer claims what waits under the primary address that it names.
    arriving = _under(session, main) if main is not None else None
    means = Meaning()
    if isinstance(arriving, PendingProfile):
        claims_it = Owner(change.user_id, main, snapshot.person.name if snapshot.person else None)
        means = claim_plans.of_arrival(ctx, arriving, claims_it, profile, is_one_too_many=pays)
    besides = arriving if arriving is not None and arriving is not waiting.purchase else None
    return Plan(
        title=TITLES[change.action].format(email=change.email),
        outcome=OUTCOMES[change.action],
        lines=(*_lines(change, snapshot, here, profile), *means.lines),
        consequences=(
            *_consequences(change, snapshot, waiting, has_membership=any(row.is_live for row in held)),
            *(_arrives(Waiting(besides, pays), at_once=True) if besides is not None else ()),
        ),
        fingerprint=fingerprint(
            change.action.value, change.user_id, comparable(change.email), change.verified, change.primary,
            change.instead_of, snapshot.basis, here, owner, call, basis(held),
            None if profile is None else [profile.version, profile.account_deleted_at],
            waiting.purchase, arriving,
        ),
        refusal=_refusal(change, snapshot, profile, here, owner, on_its_way=call is not None),
        names={profile_key(change.user_id): f"the account {change.user_id}", **(means.names or {})},
        calls=calls(change, snapshot),
        adds=means.adds,
    )  # fmt: skip


def _about(user_id: str) -> Any:
    return ProviderCall.subject == subject_of(user_id)


def _under(session: Session, email: str) -> Holder | None:
    """What waits under the address: a purchase, else a legacy row, which is moved when it is claimed."""
    under = select(PendingProfile).where(is_one_of(PendingProfile.email, email), ~PendingProfile.claimed)
    pending = session.scalar(under.order_by(PendingProfile.id).limit(1))
    return pending if pending is not None else legacy.under(session, email)


def _refusal(
    change: Change,
    snapshot: Snapshot,
    profile: Profile | None,
    here: Sequence[str],
    owner: str | None,
    *,
    on_its_way: bool,
) -> str | None:
    if change.user_id.startswith(LEGACY_PREFIX):
        return "A legacy row is a purchase itself, not an account: it has no addresses."
    if profile is not None and profile.account_deleted_at is not None:
        return "This account was deleted at the sign-in provider: it has no address that could be changed."
    if snapshot.trouble is not None:
        return snapshot.trouble
    if on_its_way:
        return "Clerk is being told something about this person’s addresses already. Wait for its answer."
    if snapshot.person is None:
        return ACCOUNT_GONE.sentence
    if change.action is AddressAction.ADD and owner not in (None, change.user_id):
        return (
            f"Account {owner} has this address verified. Two accounts never have the same one: unlink it there first, "
            "or move the membership instead."
        )
    if snapshot.is_so(change) and change.instead_of is None:
        return _nothing_left(change) if _agrees(change, snapshot, here) else None
    obstacle = snapshot.in_the_way(change)
    return obstacle.sentence if obstacle is not None else None


def _nothing_left(change: Change) -> str:
    if change.action is AddressAction.UNLINK:
        return "This account does not have the address at Clerk any more: nothing is left to do."
    if change.action is AddressAction.PRIMARY:
        return "It is the primary address at Clerk already: nothing is left to do."
    return "The account has this address at Clerk already: nothing is left to do."


def _agrees(change: Change, snapshot: Snapshot, here: Sequence[str]) -> bool:
    """Whether it is here as it is there; where a delivery was lost, acting takes over what is so there."""
    return {comparable(email) for email in here} == {comparable(email) for email in snapshot.verified()} and (
        change.action is not AddressAction.PRIMARY
        or [comparable(email) for email in here[:1]] == [comparable(change.email)]
    )


def _lines(change: Change, snapshot: Snapshot, here: Sequence[str], profile: Profile | None) -> list[PlanLine]:
    if snapshot.person is None:
        return []
    key, after = profile_key(change.user_id), _verified_after(change, snapshot)
    lines = [PlanLine(key, "verified_addresses", ", ".join(here), ", ".join(after), "Clerk")]
    if profile is not None:
        lines.append(PlanLine(key, "email", profile.email, after[0] if after else profile.email, "the primary address"))
    return lines


def _primary_after(change: Change, snapshot: Snapshot) -> str | None:
    """The verified primary address if Clerk does what it is asked to do."""
    after = _verified_after(change, snapshot)
    main = snapshot.primary
    is_first = change.action is AddressAction.PRIMARY or change.primary
    wanted = comparable(change.email) if is_first else comparable(main.address) if main is not None else None
    return wanted if wanted in after else None


def _verified_after(change: Change, snapshot: Snapshot) -> list[str]:
    """The verified addresses if Clerk does what it is asked to do, the primary one first."""
    gone = {comparable(change.email)}
    if change.action is AddressAction.ADD and change.instead_of is not None:
        gone.add(comparable(change.instead_of))
    others = [comparable(email) for email in snapshot.verified() if comparable(email) not in gone]
    found = snapshot.entry(change.email)
    is_verified = change.verified or (found is not None and found.verified)
    if change.action is AddressAction.UNLINK or not is_verified:
        return others
    is_first = change.action is AddressAction.PRIMARY or change.primary or (found is not None and found.primary)
    return [comparable(change.email), *others] if is_first else [*others, comparable(change.email)]


def _consequences(change: Change, snapshot: Snapshot, waiting: Waiting, *, has_membership: bool) -> list[str]:
    if snapshot.person is None:
        return []
    if snapshot.is_so(change) and change.instead_of is None:
        found, said = snapshot.entry(change.email), ["Nothing is sent to Clerk: what it says is taken over here."]
        is_main = found is not None and found == snapshot.primary
        return [*said, *(_arrives(waiting, at_once=True) if is_main and waiting.purchase is not None else [])]
    match change.action:
        case AddressAction.UNLINK:
            said = _unlinking(snapshot)
        case AddressAction.PRIMARY:
            said = ["The profile shows this address from then on.", *_arrives(waiting, at_once=True)]
        case AddressAction.ADD:
            said = _adding(change, snapshot, waiting)
    kept = ["What the account holds stays with it."] if has_membership else []
    return [*said, *kept, "What is shown here afterwards is what Clerk says then.", NO_MAIL]


def _unlinking(snapshot: Snapshot) -> list[str]:
    main = snapshot.primary
    return [
        "The person cannot sign in by this address any more"
        + (f"; the primary one is {main.address}." if main is not None else "."),
        "What is bought under it from then on waits for whoever verifies it.",
    ]


def _adding(change: Change, snapshot: Snapshot, waiting: Waiting) -> list[str]:
    if not change.verified:
        return [
            "Clerk lists it as not verified: nobody gets anything by it until the person verifies it in their account.",
            "The addresses that the account has stay as they are. Unlink the wrong one once the right one is verified.",
        ]
    main = snapshot.primary
    said = ["You say that you verified whose it is: Clerk calls it verified, and the person can sign in by it."]
    if change.primary:
        said.append("It becomes the primary address.")
    elif main is not None:
        said.append(f"The primary address stays {main.address}.")
    said += _arrives(waiting, at_once=change.primary)
    if change.instead_of is not None:
        said.append(f"Then {change.instead_of} is unlinked: the person cannot sign in by it any more.")
    if change.beside is not None:
        said.append(
            f"{change.beside} stays: it comes with an account that the person connected at Clerk, such as Google’s, "
            "and would come back with it. Disconnect that at Clerk first, then unlink it here."
        )
    return said


def _arrives(waiting: Waiting, *, at_once: bool) -> list[str]:
    """What waits under the address, and what becomes of it when."""
    purchase, when = waiting.purchase, "at once" if at_once else "when the person signs in next"
    if purchase is None:
        return ["No purchase waits under it."]
    name = f"Purchase {purchase.id}" if isinstance(purchase, PendingProfile) else f"Legacy row {purchase.user_id}"
    waits = f"{name}, which waits under it ({purchase.membership.value}),"
    if waiting.is_one_too_many:
        return [f"{waits} stays there and goes to the worklist {when}: the account is pro already."]
    return [f"{waits} goes to this account {when}."]
