"""Lets things happen at the simulated WorkOS, from the demo's commands and from tests."""

from collections.abc import Mapping, Sequence
from typing import Any

from admin_app.simulator import control


def create_user(simulator: str, *, email: str, name: str = "Gina Guest", team: str | None = None) -> dict[str, Any]:
    """Somebody whom WorkOS knew before, perhaps in a team; answers the user as the API shows them."""
    first, _, last = name.partition(" ")
    wanted = {"email": email, "first_name": first, "last_name": last, "organization": team}
    answer: dict[str, Any] = control.post(simulator, "workos/users", wanted)
    return answer


def seed(simulator: str, guests: Sequence[Mapping[str, Any]]) -> int:
    """Make WorkOS know these guests (user_id, email, name, organization_id) without writing to anybody."""
    return int(control.post(simulator, "workos/guests", guests)["seeded"])


def delete_user(simulator: str, user_id: str) -> None:
    control.post(simulator, f"workos/users/{user_id}/delete", {})


def state(simulator: str) -> dict[str, list[dict[str, Any]]]:
    """All that it knows: users, organizations, memberships, codes (each was mailed), oldest first."""
    answer: dict[str, list[dict[str, Any]]] = control.get(simulator, "workos/state")
    return answer


def users(simulator: str, email: str) -> list[dict[str, Any]]:
    return [user for user in state(simulator)["users"] if user["email"] == email.lower()]


def codes(simulator: str, email: str) -> list[str]:
    """Every code that was mailed to this address, the latest last."""
    return [code["code"] for code in state(simulator)["codes"] if code["email"] == email.lower()]


def token(simulator: str, user_id: str, *, ttl: int = 300, issuer: str | None = None) -> str:
    """An access token of this user."""
    return str(control.post(simulator, "workos/tokens", {"user_id": user_id, "ttl": ttl, "issuer": issuer})["token"])
