"""People of the simulated Clerk: their records, their shape in the users API, what the product is told."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.world import Refused, World, text

INSTANCE_ID = "ins_DemoInstance0001"


def create(world: World, wanted: Mapping[str, Any]) -> Document:
    """A new person; `verified` says whether the address is."""
    person = _person(wanted)
    world.store.put("person", person)
    if wanted.get("webhook", False):
        tell(world, "user.created", person)
    return person


def seed(world: World, wanted: list[Mapping[str, Any]]) -> int:
    """Many people at once, without webhooks; one that is known is replaced."""
    people = [_person(item) for item in wanted]
    world.store.put_all("person", people)
    return len(people)


def verify(world: World, person: Document) -> Document:
    """The person confirms all their addresses."""
    known = [address | {"verified": True} for address in addresses(person)]
    return keep(world, person, known, person_primary(person))


def change_email(world: World, person: Document, wanted: Mapping[str, Any]) -> Document:
    """Another address in the place of the one so far, verified at once; `webhook: false` tells nobody."""
    email = text(wanted, "email")
    if email is None:
        raise Refused("email is needed.")
    known = [
        {"id": address["id"], "email": email, "verified": True} if address["id"] == person_primary(person) else address
        for address in addresses(person)
    ]
    return keep(world, person, known, person_primary(person), webhook=bool(wanted.get("webhook", True)))


def add_address(world: World, person: Document, wanted: Mapping[str, Any]) -> Document:
    """One address more, which the person adds themselves; nobody is told unless `webhook`."""
    email = text(wanted, "email")
    if email is None:
        raise Refused("email is needed.")
    made: Document = {"id": f"idn_{secrets.token_hex(12)}", "email": email}
    made |= {name: wanted.get(name) is True for name in ("verified", "linked")}
    known = [*addresses(person), made]
    return keep(world, person, known, person_primary(person), webhook=wanted.get("webhook") is True)


def delete(world: World, person: Document, *, webhook: bool = True) -> None:
    world.store.delete("person", person["id"])
    if webhook:
        tell(world, "user.deleted", person)


def by_email(world: World, email: str) -> Document | None:
    return next((person for person in world.store.all("person") if has(person, email)), None)


def after(people: list[Document], cursor: str | None) -> list[Document]:
    """Those who follow the person of this id; all without one."""
    places = [place for place, person in enumerate(people) if person["id"] == cursor]
    return people[places[0] + 1 :] if places else people


def has(person: Document, email: str) -> bool:
    return any(address["email"].lower() == email.lower() for address in addresses(person))


def addresses(person: Document) -> list[Document]:
    """Each with id, email and verified; a person of whom only one is kept has that."""
    known: list[Document] | None = person.get("addresses")
    if known is not None:
        return known
    first = {"id": person["id"].replace("user_", "idn_", 1), "email": person["email"], "verified": person["verified"]}
    return [first]


def person_primary(person: Document) -> str | None:
    primary: str | None = person.get("primary", addresses(person)[0]["id"] if addresses(person) else None)
    return primary


def keep(
    world: World, person: Document, known: list[Document], primary: str | None, *, webhook: bool = True
) -> Document:
    """The person with these addresses; `email` and `verified` are of the primary one."""
    main = next((address for address in known if address["id"] == primary), {"email": "", "verified": False})
    own = {"email": main["email"], "verified": main["verified"], "addresses": known, "primary": primary}
    changed = person | own | {"updated_at": _now()}
    world.store.put("person", changed)
    if webhook:
        tell(world, "user.updated", changed)
    return changed


def tell(world: World, name: str, person: Document) -> None:
    data = {"deleted": True, "id": person["id"], "object": "user"} if name == "user.deleted" else answer(person)
    body = {
        "data": data,
        "event_attributes": {"http_request": {"client_ip": "192.0.2.10", "user_agent": "Simulator"}},
        "instance_id": INSTANCE_ID,
        "object": "event",
        "timestamp": _now(),
        "type": name,
    }
    world.deliver_clerk(f"msg_{secrets.token_hex(12)}", body)


def _person(wanted: Mapping[str, Any]) -> Document:
    email = text(wanted, "email")
    if email is None:
        raise Refused("email is needed.")
    return {
        "id": text(wanted, "id") or f"user_{secrets.token_hex(12)}",
        "name": text(wanted, "name") or "",
        "email": email,
        "verified": wanted.get("verified", True) is True,
        "banned": wanted.get("banned") is True,
        "created_at": _now(),
        "updated_at": _now(),
    }


def _now() -> int:
    return int(time.time() * 1000)


# What Clerk always answers and this simulator does not play.
_UNPLAYED: dict[str, Any] = {
    **dict.fromkeys(
        (
            *("external_id", "username", "locale", "primary_phone_number_id", "primary_web3_wallet_id"),
            *("mfa_enabled_at", "mfa_disabled_at", "last_sign_in_at", "last_active_at"),
            *("lockout_expires_in_seconds", "create_organizations_limit", "legal_accepted_at"),
        )
    ),
    **dict.fromkeys(
        ("has_image", "two_factor_enabled", "totp_enabled", "backup_code_enabled", "banned", "locked"), False
    ),
    **dict.fromkeys(("password_enabled", "delete_self_enabled", "create_organization_enabled"), True),
    "image_url": "https://img.example.com/u/1",
    "verification_attempts_remaining": 100,
}
_EMPTY_LISTS = (
    *("phone_numbers", "web3_wallets", "passkeys"),
    *("external_accounts", "saml_accounts", "enterprise_accounts"),
)


def answer(person: Document) -> dict[str, Any]:
    """The person as GET /v1/users/{id} shows them."""
    first, _, last = person["name"].partition(" ")
    return {
        "id": person["id"],
        "object": "user",
        "primary_email_address_id": person_primary(person),
        "first_name": first or None,
        "last_name": last or None,
        "email_addresses": [email_answer(person, address) for address in addresses(person)],
        "created_at": person["created_at"],
        "updated_at": person["updated_at"],
        **_UNPLAYED,
        "banned": person.get("banned", False),
        **{name: [] for name in _EMPTY_LISTS},
        **{f"{kind}_metadata": {} for kind in ("public", "private", "unsafe")},
    }


def email_answer(person: Document, address: Document) -> dict[str, Any]:
    """An address as the API shows it."""
    return {
        "id": address["id"],
        "object": "email_address",
        "email_address": address["email"],
        "reserved": False,
        "verification": _verification(person, address),
        "linked_to": [{"id": "idn_elsewhere", "type": "oauth_google"}] if address.get("linked") else [],
        "matches_sso_connection": False,
        "created_at": person["created_at"],
        "updated_at": person["updated_at"],
    }


def _verification(person: Document, address: Document) -> dict[str, Any] | None:
    """How the address was verified, or is to be; none of one that the API added and nobody verified."""
    if address.get("by_api"):
        called = {"object": "verification_admin", "status": "verified", "strategy": "admin"}
        return called | {"attempts": None, "expire_at": None} if address["verified"] else None
    return {
        "object": "verification_otp",
        "status": "verified" if address["verified"] else "unverified",
        "strategy": "email_code",
        "attempts": 1,
        "expire_at": person["created_at"] + 600_000,
    }
