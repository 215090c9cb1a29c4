"""The addresses of a person: rows that say from when on and until when the identity provider calls them verified.

They are taken from the provider's answer, and the newest answer counts. Nobody has an address that somebody else has:
whoever verifies it now takes it over, and the former account is asked about by a job.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.orm import Session

from admin_app.addresses import comparable, is_one_of
from admin_app.context import Ctx, Customer
from admin_app.integrations import job_queue
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.records import address_key, profile_key
from admin_app.services.people.users import verified_emails
from models.people import PersonAddress, User
from models.purchases import LEGACY_PREFIX, Profile

_IS_VERIFIED: ColumnElement[bool] = PersonAddress.given_up_at.is_(None)
# More accounts than this never show one address, unless somebody makes them on purpose.
MOST_ASKED_ABOUT = 20


def account_of(session: Session, email: str) -> str | None:
    """The account whose person has this address verified now, in whatever spelling; locks nothing."""
    held = select(PersonAddress.user_id).where(is_one_of(PersonAddress.email, email), _IS_VERIFIED)
    return session.scalar(held.order_by(PersonAddress.verified_at.desc(), PersonAddress.id.desc()).limit(1))


def has(owner: str | None, email: str) -> ColumnElement[bool]:
    """The condition that finds the profile of whoever has this address: `owner`, the account that verified it now.

    Where nobody did, a profile that shows the address has it, unless its person gave the address up.
    """
    if owner is not None:
        return Profile.user_id == owner
    former = exists().where(PersonAddress.user_id == Profile.user_id, is_one_of(PersonAddress.email, email))
    return and_(is_one_of(Profile.email, email), ~former)


def gave_up(session: Session, user_id: str, email: str) -> bool:
    """Whether this person had the address once and has it no more."""
    rows = select(PersonAddress.given_up_at).where(
        PersonAddress.user_id == user_id, is_one_of(PersonAddress.email, email)
    )
    found = session.scalars(rows).all()
    return bool(found) and None not in found


def verified(session: Session, user_id: str) -> list[PersonAddress]:
    """What this person has verified now, the primary address first."""
    rows = select(PersonAddress).where(PersonAddress.user_id == user_id, _IS_VERIFIED)
    in_order = rows.order_by(PersonAddress.is_primary.desc(), PersonAddress.id)
    return list(session.scalars(in_order.execution_options(populate_existing=True)))


def names(session: Session, customer: Customer, emails: Iterable[str] = ()) -> list[str]:
    """The names to lock before this person's addresses are taken in: all that they had, have, or ask for."""
    known = (row.email for row in verified(session, customer.user_id))
    concerned = {comparable(email) for email in (*emails, *customer.verified_emails, *known)}
    return [*(f"email:{email}" for email in concerned), f"user:{customer.user_id}"]


def apply(ctx: Ctx, customer: Customer, *, told_at: datetime | None = None, takes_over: bool = True) -> Customer:
    """Note what the provider says; answers the customer with those addresses alone that are theirs now.

    The caller holds the locks of `names`. `told_at`: nobody was asked, a delivery tells of the state of this moment.
    What is older than what is known changes nothing. `takes_over`: what somebody else has goes to this person.
    """
    wanted = verified_emails(customer)
    mine = {comparable(row.email): row for row in verified(ctx.session, customer.user_id)}
    as_of = told_at or customer.asked_at or ctx.now
    if is_older(ctx.session, customer.user_id, as_of, answered=told_at is None):
        return _only(customer, mine.keys())
    others = _of_others(ctx, customer.user_id, wanted)
    taken = [row for row in others if takes_over and not _asked_since(ctx, row.user_id, customer)]
    theirs = set(wanted) - {comparable(row.email) for row in others if row not in taken}
    _give_up(ctx, [*taken, *(row for email, row in mine.items() if email not in theirs)])
    if takes_over:
        seen_first = not was_asked(ctx.session, customer.user_id)
        news = [email for email in theirs if seen_first or email not in mine]
        _ask_about_former(ctx, customer.user_id, news, taken)
    _keep(ctx, customer, theirs, mine)
    return _only(customer, theirs)


def give_up_all(ctx: Ctx, user_id: str) -> list[str]:
    """Note that this person has no address any more; answers those they had, the primary one first."""
    rows = verified(ctx.session, user_id)
    emails = [row.email for row in rows]
    _give_up(ctx, rows)
    return emails


def note_asked(ctx: Ctx, customer: Customer, told_at: datetime | None) -> None:
    """Remember on the person's row, which exists by now, how new what is known of them is, and no former address."""
    user = ctx.session.scalars(
        select(User).where(User.open_id == customer.user_id).execution_options(populate_existing=True)
    ).one()
    if told_at is not None:
        user.provider_told_at = max(told_at, user.provider_told_at or told_at)
    else:
        as_of = customer.asked_at or ctx.now
        user.provider_asked_at = max(as_of, user.provider_asked_at or as_of)
    if customer.email is None and user.email and gave_up(ctx.session, customer.user_id, user.email):
        user.email = None


def was_asked(session: Session, user_id: str) -> bool:
    """Whether the identity provider itself said once who this is."""
    asked = select(User.provider_asked_at).where(User.open_id == user_id)
    return session.scalar(asked) is not None


def _asked_since(ctx: Ctx, user_id: str, customer: Customer) -> bool:
    """Whether the provider was asked about this person after it answered for the customer."""
    asked = ctx.session.scalar(select(User.provider_asked_at).where(User.open_id == user_id))
    return asked is not None and customer.asked_at is not None and customer.asked_at < asked


def is_older(session: Session, user_id: str, as_of: datetime, *, answered: bool = False) -> bool:
    """Whether something newer is known of this person than a state of this moment; no delivery outdates an answer."""
    columns = select(User.provider_asked_at, User.provider_told_at).where(User.open_id == user_id)
    known = session.execute(columns).first()
    if known is None:
        return False
    newest = [known.provider_asked_at, None if answered else known.provider_told_at]
    return any(moment is not None and as_of < moment for moment in newest)


def _only(customer: Customer, theirs: Collection[str]) -> Customer:
    kept = frozenset(email for email in customer.verified_emails if comparable(email) in theirs)
    main = customer.email if customer.email and comparable(customer.email) in theirs else None
    return replace(customer, verified_emails=kept, email=main)


def _of_others(ctx: Ctx, user_id: str, emails: list[str]) -> list[PersonAddress]:
    rows = select(PersonAddress).where(
        is_one_of(PersonAddress.email, *emails), _IS_VERIFIED, PersonAddress.user_id != user_id
    )
    return list(ctx.session.scalars(rows.order_by(PersonAddress.id).with_for_update()))


def _ask_about_former(ctx: Ctx, user_id: str, news: list[str], taken: list[PersonAddress]) -> None:
    """Whoever had an address that is this person's now, or shows it on a profile, may have changed or be gone."""
    shown = select(Profile.user_id).where(
        is_one_of(Profile.email, *news),
        Profile.user_id != user_id,
        Profile.account_deleted_at.is_(None),
        ~Profile.user_id.startswith(LEGACY_PREFIX, autoescape=True),
    )
    for former in sorted({*(row.user_id for row in taken), *ctx.session.scalars(shown.limit(MOST_ASKED_ABOUT))}):
        job_queue.defer(ctx.session, "ask_about_person", once_key=f"ask_about_person:{former}", user_id=former)


def _give_up(ctx: Ctx, rows: list[PersonAddress]) -> None:
    for row in rows:
        row.given_up_at, row.is_primary = ctx.now, False
        key = address_key(row.id)
        audit.record(
            ctx,
            "person.address_given_up",
            records=[profile_key(row.user_id), key],
            changes=[Change("given_up_at", None, ctx.now, key)],
            facts={"user_id": row.user_id},
        )
    # Before the same address gets its next row: one at a time has it.
    ctx.session.flush()


def _keep(ctx: Ctx, customer: Customer, theirs: set[str], mine: dict[str, PersonAddress]) -> None:
    primary = comparable(customer.email) if customer.email else None
    for email, row in mine.items():
        if row.is_primary and email != primary:
            row.is_primary = False
    ctx.session.flush()  # one primary address at a time
    for email in sorted(theirs):
        row = mine.get(email) or PersonAddress(user_id=customer.user_id, verified_at=ctx.now)
        row.email, row.is_primary = email, email == primary
        ctx.session.add(row)
    ctx.session.flush()
