"""What the simulated Clerk does when a person's addresses are changed over its API."""

import secrets
from collections.abc import Mapping
from typing import Any

from admin_app.simulator.clerk import clerk_people
from admin_app.simulator.store import Document
from admin_app.simulator.world import World


class ClerkFailed(Exception):
    """A refusal in Clerk's words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message


def add(world: World, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """One address more. Nobody may have one that is somebody else's, verified; the first one is the primary one."""
    person = world.store.get("person", str(wanted.get("user_id")))
    if person is None:
        raise ClerkFailed(404, "resource_not_found", "No user was found with that id.")
    email = wanted.get("email_address")
    if not isinstance(email, str) or "@" not in email:
        raise ClerkFailed(422, "form_param_format_invalid", "Email address must be a valid email address.")
    if clerk_people.has(person, email) or any(_holds(other, email) for other in world.store.all("person")):
        raise ClerkFailed(422, "form_identifier_exists", "That email address is taken. Please try another.")
    made: Document = {"id": f"idn_{secrets.token_hex(12)}", "email": email, "by_api": True}
    made["verified"] = wanted.get("verified") is True
    known = [*clerk_people.addresses(person), made]
    is_primary = wanted.get("primary") is True or len(known) == 1
    changed = clerk_people.keep(world, person, known, made["id"] if is_primary else clerk_people.person_primary(person))
    return clerk_people.email_answer(changed, made)


def change(world: World, email_id: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Called verified, or made the primary one."""
    person, address = _found(world, email_id)
    if isinstance(wanted.get("verified"), bool):
        address = address | {"verified": wanted["verified"], "by_api": True}
    known = [address if one["id"] == email_id else one for one in clerk_people.addresses(person)]
    primary = email_id if wanted.get("primary") is True else clerk_people.person_primary(person)
    changed = clerk_people.keep(world, person, known, primary)
    return clerk_people.email_answer(changed, address)


def remove(world: World, email_id: str) -> dict[str, Any]:
    """Gone from its person; without a primary one the next verified address is that."""
    person, _ = _found(world, email_id)
    known = [one for one in clerk_people.addresses(person) if one["id"] != email_id]
    primary = clerk_people.person_primary(person)
    if primary == email_id:
        primary = next((one["id"] for one in known if one["verified"]), None)
    clerk_people.keep(world, person, known, primary)
    return {"object": "email_address", "id": email_id, "deleted": True}


def _holds(person: Document, email: str) -> bool:
    return any(one["email"].lower() == email.lower() and one["verified"] for one in clerk_people.addresses(person))


def _found(world: World, email_id: str) -> tuple[Document, Document]:
    for person in world.store.all("person"):
        for address in clerk_people.addresses(person):
            if address["id"] == email_id:
                return person, address
    raise ClerkFailed(404, "resource_not_found", "No email address was found with that id.")
