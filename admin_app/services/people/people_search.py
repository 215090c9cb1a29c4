"""Finds the account that a person means: by part of an e-mail or name, or by its whole id."""

from sqlalchemy import SQLColumnExpression, Text, cast, func, select
from sqlalchemy.orm import Session

from admin_app.addresses import is_one_of, spellings
from admin_app.services.people.users import Owner
from models.people import User
from models.purchases import LEGACY_PREFIX, Profile

SHORTEST = 3
MOST = 20


def find_accounts(session: Session, text: str) -> list[Owner]:
    """Up to 20 accounts, an exact id or address first; nothing for fewer than three characters."""
    wanted = " ".join(text.split()).lower()[:200]
    if len(wanted) < SHORTEST or "\x00" in wanted:
        return []
    escaped = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = f"%{escaped}%"
    ids = set(_ids(session, User.open_id, func.lower(User.name).like(pattern)))
    ids.update(_ids(session, User.open_id, func.lower(cast(User.email, Text)).like(pattern)))
    ids.update(_ids(session, Profile.user_id, func.lower(cast(Profile.email, Text)).like(pattern)))
    if len(spellings(wanted)) > 1:  # the other spelling has no part in common with what was typed
        ids.update(_ids(session, User.open_id, is_one_of(User.email, wanted)))
        ids.update(_ids(session, Profile.user_id, is_one_of(Profile.email, wanted)))
    ids.update(_ids(session, User.open_id, User.open_id == text.strip()))
    ids.update(_ids(session, Profile.user_id, Profile.user_id == text.strip()))
    users = {row.open_id: row for row in session.scalars(select(User).where(User.open_id.in_(ids)))}
    profiles = {row.user_id: row for row in session.scalars(select(Profile).where(Profile.user_id.in_(ids)))}
    found = [_owner(user_id, users.get(user_id), profiles.get(user_id)) for user_id in ids]
    return sorted(found, key=lambda owner: _order(owner, wanted))[:MOST]


def _ids(session: Session, column: SQLColumnExpression[str], condition: SQLColumnExpression[bool]) -> list[str]:
    query = select(column).where(condition, ~column.startswith(LEGACY_PREFIX, autoescape=True)).limit(MOST)
    return list(session.scalars(query))


def _owner(user_id: str, user: User | None, profile: Profile | None) -> Owner:
    email = (profile.email if profile else None) or (user.email if user else None)
    name = (user.name if user else None) or (profile.name if profile else None)
    return Owner(user_id, email, name)


def _order(owner: Owner, wanted: str) -> tuple[bool, str]:
    exact = wanted in (owner.user_id.lower(), (owner.email or "").lower())
    return not exact, (owner.email or owner.user_id).lower()
