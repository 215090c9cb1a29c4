"""Who a waiting purchase probably belongs to, with the evidence for each; a person decides, never this module."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import SQLColumnExpression, Text, cast, func, literal, or_, select, text, update
from sqlalchemy.orm import Session

from admin_app.addresses import comparable, is_one_of
from admin_app.context import Ctx
from admin_app.services.people.address_likeness import bare_local, compare, meant_provider
from models.bookings import Booking, Meeting
from models.memberships import Membership
from models.people import User
from models.purchases import LEGACY_PREFIX, PendingProfile, Profile

MADE_WITHIN = timedelta(minutes=15)
LEAST_SIMILARITY, MOST_SIMILARITY = 0.45, 0.6
SLIP = 5  # a slip changes at most about so many of an address's trigrams
MOST_CANDIDATES = 60
LIKELY_SCORE = 40
SHOWN = 8
REFRESH_AFTER = timedelta(minutes=30)

# The planner takes comparing two addresses for cheap and would rather do it with every row: 295 ms instead of 2 ms
# with 20,000 profiles.
_INDEXES_ONLY = text(
    "SELECT set_config('pg_trgm.similarity_threshold', :threshold, true), set_config('enable_seqscan', 'off', true)"
)
_AS_BEFORE = text("SET LOCAL enable_seqscan = DEFAULT")


@dataclass(frozen=True)
class Evidence:
    """One reason to believe in an owner; `weight` adds up to the score (about 100 is as good as certain)."""

    code: str
    sentence: str
    weight: int


@dataclass(frozen=True)
class LikelyOwner:
    """Somebody whose the purchase may be, with what speaks for it; `score` is 0 to 100."""

    user_id: str
    email: str | None
    name: str | None
    membership: Membership | None
    has_profile: bool
    made_at: datetime | None
    evidence: tuple[Evidence, ...]

    @property
    def score(self) -> int:
        return min(100, sum(piece.weight for piece in self.evidence))


@dataclass(frozen=True)
class _Person:
    user_id: str
    emails: frozenset[str]
    email: str | None
    name: str | None
    whop_user_id: str | None
    membership: Membership | None
    has_profile: bool
    made_at: datetime | None


def likely_owners(session: Session, pending: PendingProfile, *, limit: int = SHOWN) -> list[LikelyOwner]:
    """People with any evidence for this purchase, the strongest first. Reads through indexes only."""
    names = _names_at_address(session, pending.email)
    people = _candidates(session, pending, names)
    found = []
    for person in people:
        evidence = tuple(sorted(_weigh(pending, person, names), key=lambda piece: -piece.weight))
        owner = LikelyOwner(
            person.user_id,
            person.email,
            person.name,
            person.membership,
            person.has_profile,
            person.made_at,
            evidence,
        )
        if owner.score >= 15:
            found.append(owner)
    return sorted(found, key=lambda owner: (-owner.score, owner.user_id))[:limit]


def refresh(ctx: Ctx, pending: PendingProfile) -> None:
    """Remember on the purchase how many likely owners there are, so that lists need not look again.

    For whoever holds the purchase's lock already, and changes it.
    """
    _remember(ctx, pending, likely_owners(ctx.session, pending))


def _remember(ctx: Ctx, pending: PendingProfile, owners: Sequence[LikelyOwner]) -> None:
    ctx.session.execute(
        update(PendingProfile)
        .where(PendingProfile.id == pending.id)
        .values(likely_owners=sum(owner.score >= LIKELY_SCORE for owner in owners), owners_checked_at=ctx.now)
    )


def stale(session: Session, now: datetime, *, limit: int) -> Sequence[int]:
    """The ids of unclaimed purchases whose last look is old, the oldest first."""
    old = or_(PendingProfile.owners_checked_at.is_(None), PendingProfile.owners_checked_at < now - REFRESH_AFTER)
    found = select(PendingProfile.id).where(~PendingProfile.claimed, old)
    oldest_first = found.order_by(PendingProfile.owners_checked_at.nulls_first(), PendingProfile.id)
    return session.scalars(oldest_first.limit(limit)).all()


def refresh_one(ctx: Ctx, *, pending_profile_id: int) -> bool:
    """Look again at a purchase; False when it is claimed or gone by now, or somebody is at it.

    It waits for no lock, and holds its own from the last statement on: so it is in nobody's way, in whatever order rows
    are looked at, and what was skipped is still due.
    """
    pending = ctx.session.get(PendingProfile, pending_profile_id)
    if pending is None or pending.claimed:
        return False
    owners = likely_owners(ctx.session, pending)
    free = select(PendingProfile.id).where(PendingProfile.id == pending.id, ~PendingProfile.claimed)
    if ctx.session.scalar(free.with_for_update(skip_locked=True, key_share=True)) is None:
        return False
    _remember(ctx, pending, owners)
    return True


def _names_at_address(session: Session, email: str) -> frozenset[str]:
    """Names under which this address booked or met."""
    bookings = select(Booking.client_name).where(is_one_of(Booking.client_email, email)).limit(20)
    meetings = select(Meeting.guest_name).where(is_one_of(Meeting.guest_email, email)).limit(20)
    found = [*session.scalars(bookings), *session.scalars(meetings)]
    return frozenset(name.strip().lower() for name in found if name and name.strip())


def _candidates(session: Session, pending: PendingProfile, names: frozenset[str]) -> list[_Person]:
    ids: set[str] = set()
    address = comparable(pending.email)
    wanted_names = names | ({pending.name.strip().lower()} if pending.name else frozenset())
    session.execute(_INDEXES_ONLY, {"threshold": str(_threshold(address))})
    spellings = _spellings(address)
    ids.update(_ids(session, Profile.user_id, _near(Profile.email, spellings), _likeness(Profile.email, address)))
    ids.update(_ids(session, User.open_id, _near(User.email, spellings), _likeness(User.email, address)))
    if pending.whop_user_id:
        ids.update(_ids(session, Profile.user_id, Profile.whop_user_id == pending.whop_user_id))
    if wanted_names:
        ids.update(_ids(session, User.open_id, func.lower(User.name).in_(wanted_names)))
    around = User.created_at.between(pending.created_at - MADE_WITHIN, pending.created_at + MADE_WITHIN)
    ids.update(_ids(session, User.open_id, around))
    people = _people(session, ids)
    session.execute(_AS_BEFORE)
    return people


def _threshold(address: str) -> float:
    """Similar enough for one slip and no more: below it every address of a large provider would be looked at."""
    trigrams = sum(len(word) + 1 for word in re.findall(r"[a-z0-9]+", address))
    return min(MOST_SIMILARITY, max(LEAST_SIMILARITY, (trigrams - SLIP) / (trigrams + SLIP)))


def _spellings(address: str) -> list[str]:
    """The address, the same without dots and plus-tag, and the same at the provider that was meant."""
    local, _, domain = address.partition("@")
    bare, provider = bare_local(local), meant_provider(domain)
    spellings = [address]
    if len(bare) >= 4:
        spellings.append(f"{bare}@{domain}")
    if provider:
        spellings.append(f"{local}@{provider}")
    return [*dict.fromkeys(spellings)]


def _near(column: SQLColumnExpression[str | None], spellings: Sequence[str]) -> SQLColumnExpression[bool]:
    """Similar by trigrams to one of the spellings of an address."""
    lowered = func.lower(cast(column, Text))
    return or_(*(lowered.op("%")(spelling) for spelling in spellings))


def _likeness(column: SQLColumnExpression[str | None], address: str) -> SQLColumnExpression[float]:
    return func.similarity(func.lower(cast(column, Text)), literal(address)).desc()


def _ids(
    session: Session,
    column: SQLColumnExpression[str],
    condition: SQLColumnExpression[bool],
    order: SQLColumnExpression[float] | None = None,
) -> Iterable[str]:
    query = select(column).where(condition, ~column.startswith(LEGACY_PREFIX, autoescape=True)).limit(MOST_CANDIDATES)
    return session.scalars(query if order is None else query.order_by(order))


def _people(session: Session, ids: set[str]) -> list[_Person]:
    profiles = {row.user_id: row for row in session.scalars(select(Profile).where(Profile.user_id.in_(ids)))}
    users = {row.open_id: row for row in session.scalars(select(User).where(User.open_id.in_(ids)))}
    people = []
    for user_id in ids:
        profile, user = profiles.get(user_id), users.get(user_id)
        if profile is not None and profile.account_deleted_at is not None:
            continue
        emails = [row.email for row in (profile, user) if row is not None and row.email]
        people.append(
            _Person(
                user_id=user_id,
                emails=frozenset(map(comparable, emails)),
                email=emails[0] if emails else None,
                name=(user.name if user else None) or (profile.name if profile else None),
                whop_user_id=profile.whop_user_id if profile else None,
                membership=profile.membership if profile else None,
                has_profile=profile is not None,
                made_at=user.created_at if user else (profile.created_at if profile else None),
            )
        )
    return people


def _weigh(pending: PendingProfile, person: _Person, names: frozenset[str]) -> Iterable[Evidence]:
    if pending.whop_user_id and person.whop_user_id == pending.whop_user_id:
        yield Evidence("whop_user", "Same Whop user id", 70)
    likenesses = [found for email in person.emails if (found := compare(comparable(pending.email), email)) is not None]
    if likenesses:
        best = max(likenesses, key=lambda found: found.weight)
        yield Evidence(best.code, best.sentence, best.weight)
    own = person.name.strip().lower() if person.name else ""
    if own and pending.name and own == pending.name.strip().lower():
        yield Evidence("name", f"Same name as the buyer: {person.name}", 30)
    if own and own in names:
        yield Evidence("booking", f"{person.name} booked or met under the purchase's address", 35)
    if person.made_at is not None and abs(person.made_at - pending.created_at) <= MADE_WITHIN:
        minutes = round(abs(person.made_at - pending.created_at).total_seconds() / 60)
        when = "after" if person.made_at >= pending.created_at else "before"
        yield Evidence("made_near", f"Account made {minutes} min {when} the purchase", 20)
