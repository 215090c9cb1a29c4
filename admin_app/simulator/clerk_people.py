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
    verified = person | {"verified": True, "updated_at": _now()}
    world.store.put("person", verified)
    tell(world, "user.updated", verified)
    return verified


def change_email(world: World, person: Document, wanted: Mapping[str, Any]) -> Document:
    """Another address in the place of the one so far, verified at once; `webhook: false` tells nobody."""
    email = text(wanted, "email")
    if email is None:
        raise Refused("email is needed.")
    changed = person | {"email": email, "verified": True, "updated_at": _now()}
    world.store.put("person", changed)
    if wanted.get("webhook", True):
        tell(world, "user.updated", changed)
    return changed


def delete(world: World, person: Document, *, webhook: bool = True) -> None:
    world.store.delete("person", person["id"])
    if webhook:
        tell(world, "user.deleted", person)


def by_email(world: World, email: str) -> Document | None:
    wanted = email.lower()
    return next((person for person in world.store.all("person") if person["email"].lower() == wanted), None)


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
    email_id = person["id"].replace("user_", "idn_", 1)
    return {
        "id": person["id"],
        "object": "user",
        "primary_email_address_id": email_id,
        "first_name": first or None,
        "last_name": last or None,
        "email_addresses": [_email(email_id, person)],
        "created_at": person["created_at"],
        "updated_at": person["updated_at"],
        **_UNPLAYED,
        **{name: [] for name in _EMPTY_LISTS},
        **{f"{kind}_metadata": {} for kind in ("public", "private", "unsafe")},
    }


def _email(email_id: str, person: Document) -> dict[str, Any]:
    return {
        "id": email_id,
        "object": "email_address",
        "email_address": person["email"],
        "reserved": False,
        "verification": {
            "object": "verification_otp",
            "status": "verified" if person["verified"] else "unverified",
            "strategy": "email_code",
            "attempts": 1,
            "expire_at": person["created_at"] + 600_000,
        },
        "linked_to": [],
        "matches_sso_connection": False,
        "created_at": person["created_at"],
        "updated_at": person["updated_at"],
    }
