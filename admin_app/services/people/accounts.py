"""Which account support means: by its id, or by the e-mail address that it alone has."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.addresses import is_one_of
from admin_app.errors import InvalidInput, NotFound
from admin_app.services.people import person_addresses, users
from admin_app.services.people.users import Owner
from models.people import User
from models.purchases import LEGACY_PREFIX, Profile

NOBODY = "No account has this e-mail address. Search for the person by name, or write the account's id."
SEVERAL = "More than one account has this e-mail address. Write the id of the one you mean, as on its profile."


def named(session: Session, typed: str, *, field: str) -> Owner:
    """The account of this id or address; refused at this field of the form when none or more than one is meant."""
    try:
        return users.known_owner(session, _id_of(session, typed.strip()))
    except (InvalidInput, NotFound) as error:
        raise InvalidInput(error.sentence, fields={field: error.sentence}) from error


def email_of(session: Session, user_id: str) -> str | None:
    """The address that the account's profile shows, else the one its person signed in with."""
    profile = session.get(Profile, user_id)
    shown = profile.email if profile is not None else None
    return shown or session.scalar(select(User.email).where(User.open_id == user_id))


def _id_of(session: Session, typed: str) -> str:
    if "@" not in typed:
        return typed
    found = _at_address(session, typed)
    if len(found) > 1:
        raise InvalidInput(SEVERAL)
    if not found:
        raise InvalidInput(NOBODY)
    return found.pop()


def _at_address(session: Session, email: str) -> set[str]:
    """Whoever has it verified, and every profile that shows it; deleted accounts have none."""
    living = Profile.account_deleted_at.is_(None), ~Profile.user_id.startswith(LEGACY_PREFIX, autoescape=True)
    shown = select(Profile.user_id).where(is_one_of(Profile.email, email), *living).limit(2)
    signed_in = select(User.open_id).where(is_one_of(User.email, email)).limit(2)
    verified = person_addresses.account_of(session, email)
    with_profile = {*session.scalars(shown), *([verified] if verified is not None else [])}
    return with_profile or set(session.scalars(signed_in))
