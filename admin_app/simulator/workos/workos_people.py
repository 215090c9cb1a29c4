"""Users, organizations and memberships of the simulated WorkOS: their records and their shapes in the API."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.world import Refused, World, text

USER, ORGANIZATION, MEMBERSHIP = "workos_user", "workos_organization", "workos_membership"


def user_by_email(world: World, email: str) -> Document | None:
    wanted = email.strip().lower()
    return next((user for user in world.store.all(USER) if user["email"] == wanted), None)


def create_user(world: World, wanted: Mapping[str, Any]) -> Document | None:
    """A new user; None when somebody has the address."""
    email = text(wanted, "email")
    if email is None or "@" not in email:
        raise Refused("email must be an email address.")
    with world.store.lock:
        if user_by_email(world, email):
            return None
        user = {
            "id": new_id("user"),
            "email": email.strip().lower(),
            "first_name": text(wanted, "first_name"),
            "last_name": text(wanted, "last_name"),
            "email_verified": wanted.get("email_verified") is True,
            "external_id": text(wanted, "external_id"),
            "last_sign_in_at": None,
            **_born(),
        }
        world.store.put(USER, user)
    return user


def organization_by_external_id(world: World, external_id: str) -> Document | None:
    return next((found for found in world.store.all(ORGANIZATION) if found["external_id"] == external_id), None)


def create_organization(world: World, wanted: Mapping[str, Any]) -> Document | None:
    """A new organization; None when the external id is in use."""
    name, external_id = text(wanted, "name"), text(wanted, "external_id")
    if name is None:
        raise Refused("name is required.")
    with world.store.lock:
        if external_id and organization_by_external_id(world, external_id):
            return None
        organization = {"id": new_id("org"), "name": name, "external_id": external_id, **_born()}
        world.store.put(ORGANIZATION, organization)
    return organization


def create_membership(world: World, user: Document, organization: Document) -> Document | None:
    """A new membership; None when there is one."""
    with world.store.lock:
        if organization["id"] in {found["organization_id"] for found in memberships_of(world, user["id"])}:
            return None
        membership = {
            "id": new_id("om"),
            "user_id": user["id"],
            "organization_id": organization["id"],
            **_born(),
        }
        world.store.put(MEMBERSHIP, membership)
    return membership


def seed(world: World, guests: list[Mapping[str, Any]]) -> int:
    """Guests as the product left them, each with a personal organization; who is known is replaced."""
    for kind, shape in ((USER, _seeded_user), (ORGANIZATION, _seeded_organization), (MEMBERSHIP, _seeded_membership)):
        world.store.put_all(kind, [shape(guest) for guest in guests])
    return len(guests)


def _seeded_user(guest: Mapping[str, Any]) -> Document:
    user_id, email = text(guest, "user_id"), text(guest, "email")
    if user_id is None or email is None:
        raise Refused("user_id and email are needed.")
    first, _, last = (text(guest, "name") or "").partition(" ")
    names = {"first_name": first or None, "last_name": last or None}
    unplayed = {"email_verified": True, "external_id": None, "last_sign_in_at": None}
    return {"id": user_id, "email": email.lower(), **names, **unplayed, **_born()}


def _seeded_organization(guest: Mapping[str, Any]) -> Document:
    name = f"user-{guest['user_id']}"
    return {"id": text(guest, "organization_id") or f"org_{name}", "name": name, "external_id": name, **_born()}


def _seeded_membership(guest: Mapping[str, Any]) -> Document:
    organization_id = _seeded_organization(guest)["id"]
    ids = {"user_id": guest["user_id"], "organization_id": organization_id}
    return {"id": f"om_{guest['user_id']}", **ids, **_born()}


def memberships_of(world: World, user_id: str) -> list[Document]:
    return [found for found in world.store.all(MEMBERSHIP) if found["user_id"] == user_id]


def new_id(kind: str) -> str:
    return f"{kind}_01{secrets.token_hex(12).upper()}"


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _born() -> dict[str, str]:
    now = stamp(datetime.now(UTC))
    return {"created_at": now, "updated_at": now}


def user_answer(user: Document) -> dict[str, Any]:
    names = filter(None, (user["first_name"], user["last_name"]))
    return {
        "object": "user",
        **user,
        "name": " ".join(names) or None,
        "profile_picture_url": None,
        "metadata": {},
        "locale": None,
    }


def organization_answer(organization: Document) -> dict[str, Any]:
    return {
        "object": "organization",
        **organization,
        "domains": [],
        "metadata": {},
        "allow_profiles_outside_organization": False,
    }


def membership_answer(world: World, membership: Document) -> dict[str, Any]:
    organization = world.store.get(ORGANIZATION, membership["organization_id"])
    user = world.store.get(USER, membership["user_id"])
    assert organization is not None
    assert user is not None
    return {
        "object": "organization_membership",
        **membership,
        "status": "active",
        "directory_managed": False,
        "organization_name": organization["name"],
        "custom_attributes": {},
        "role": {"slug": "member"},
        "roles": [{"slug": "member"}],
        "user": user_answer(user),
    }
