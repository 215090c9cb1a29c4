"""Lets things happen at the simulated providers, from the demo's commands and from tests.

`simulator` is its address, for example http://127.0.0.1:8200; `address_from` finds it in the settings.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import httpx

_TIMEOUT_SECONDS = 30
_BATCH = 1000


def address_from(whop_api_base: str) -> str | None:
    """The simulator that this setting points to; None when it points to the real Whop."""
    address, path, rest = whop_api_base.partition("/whop/api/v1")
    return address if path and not rest.strip("/") else None


def purchase(
    simulator: str,
    *,
    email: str | None,
    name: str = "Demo Customer",
    plan: str = "monthly",
    event: str = "v1",
    deliver: bool = True,
    membership_id: str | None = None,
    user_id: str | None = None,
    created_at: datetime | None = None,
) -> dict[str, str]:
    """A customer buys (or with a known membership, renews); answers the ids of what came to be."""
    wanted = {
        "email": email,
        "name": name,
        "plan": plan,
        "event": event,
        "deliver": deliver,
        "membership_id": membership_id,
        "user_id": user_id,
        "created_at": created_at.isoformat() if created_at else None,
    }
    answer: dict[str, str] = post(simulator, "whop/purchases", wanted)
    return answer


def deactivate(simulator: str, membership_id: str, *, event: str = "v1", deliver: bool = True) -> None:
    """The membership ends now."""
    post(simulator, f"whop/memberships/{membership_id}/deactivate", {"event": event, "deliver": deliver})


def cancel_at_period_end(
    simulator: str, membership_id: str, *, cancels: bool = True, event: str = "v1", deliver: bool = True
) -> None:
    """The customer cancels (or takes it back); the membership runs on to the end of its period."""
    wanted = {"cancel_at_period_end": cancels, "event": event, "deliver": deliver}
    post(simulator, f"whop/memberships/{membership_id}/cancel-at-period-end", wanted)


def refund_payment(
    simulator: str,
    payment_id: str,
    *,
    cents: int,
    status: str = "succeeded",
    event: str = "v1",
    deliver: bool = True,
) -> dict[str, Any]:
    """Somebody refunds at Whop's dashboard; answers the payment."""
    wanted = {"cents": cents, "status": status, "event": event, "deliver": deliver}
    answer: dict[str, Any] = post(simulator, f"whop/payments/{payment_id}/refund", wanted)
    return answer


def fail_payment(simulator: str, membership_id: str, *, event: str = "v1", deliver: bool = True) -> dict[str, Any]:
    """A renewal that the card does not pay; answers the payment."""
    wanted = {"event": event, "deliver": deliver}
    answer: dict[str, Any] = post(simulator, f"whop/memberships/{membership_id}/fail-payment", wanted)
    return answer


def seed_memberships(simulator: str, memberships: Sequence[Mapping[str, Any]]) -> int:
    """Make Whop know these without telling anybody.

    Each: membership_id, user_id, email, name, plan, created_at and, when not from the plan, period_start,
    period_end, status, cancel_at_period_end; times as ISO 8601 text. `payments` of it may be named, each with id and
    created_at, and with a refund of it or None: id, cents and created_at.
    """
    return seed(simulator, "whop/memberships", memberships)


def create_user(
    simulator: str, *, name: str, email: str, verified: bool = True, webhook: bool = False
) -> dict[str, Any]:
    """Somebody signs up; answers the person as the users API shows them."""
    wanted = {"name": name, "email": email, "verified": verified, "webhook": webhook}
    answer: dict[str, Any] = post(simulator, "clerk/users", wanted)
    return answer


def verify_user(simulator: str, user_id: str) -> None:
    """The person confirms their address; the product is told by user.updated."""
    post(simulator, f"clerk/users/{user_id}/verify", {})


def change_email(simulator: str, user_id: str, email: str, *, webhook: bool = True) -> None:
    """The person has this address from now on, verified; the product is told by user.updated."""
    post(simulator, f"clerk/users/{user_id}/email", {"email": email, "webhook": webhook})


def add_address(
    simulator: str, user_id: str, email: str, *, verified: bool = True, linked: bool = False, webhook: bool = False
) -> None:
    """The person adds an address beside what they have; `linked`: it comes from an account that they connected."""
    wanted = {"email": email, "verified": verified, "linked": linked, "webhook": webhook}
    post(simulator, f"clerk/users/{user_id}/addresses", wanted)


def person(simulator: str, user_id: str) -> dict[str, Any]:
    """Whom Clerk knows by this id, as the users API shows them."""
    found: dict[str, Any] = get(simulator, f"clerk/users/{user_id}")
    return found


def delete_user(simulator: str, user_id: str, *, webhook: bool = True) -> None:
    """The person deletes their account; the product is told by user.deleted."""
    post(simulator, f"clerk/users/{user_id}/delete", {"webhook": webhook})


def seed_users(simulator: str, users: Sequence[Mapping[str, Any]]) -> int:
    """Make Clerk know these people (id, name, email, verified) without telling anybody."""
    return seed(simulator, "clerk/users", users)


def token(simulator: str, user_id: str, *, ttl: int = 60, azp: str | None = None, status: str = "active") -> str:
    """A session token of this person."""
    wanted = {"user_id": user_id, "ttl": ttl, "azp": azp, "status": status}
    return str(post(simulator, "clerk/tokens", wanted)["token"])


def fault(simulator: str, provider: str, mode: str, *, times: int = 1, seconds: float = 30, after: int = 0) -> None:
    """The provider's next calls, `after` some more, go wrong in a way of `faults.MODES`; `off` ends it."""
    wanted = {"provider": provider, "mode": mode, "times": times, "seconds": seconds, "after": after}
    post(simulator, "faults", wanted)


def mails(simulator: str) -> list[dict[str, str]]:
    """The latest mails that the product sent, oldest first: id, received_at, from, to, subject, text, html."""
    listed: list[dict[str, str]] = get(simulator, "mails.json")
    return listed


def deliveries(simulator: str) -> list[dict[str, Any]]:
    """The latest webhooks and how they went, oldest first."""
    listed: list[dict[str, Any]] = get(simulator, "deliveries")
    return listed


@cache
def _http() -> httpx.Client:
    return httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False)


def seed(simulator: str, path: str, items: Sequence[Mapping[str, Any]]) -> int:
    """Make a provider know these without telling anybody."""
    starts = range(0, len(items), _BATCH)
    return sum(post(simulator, path, items[start : start + _BATCH])["seeded"] for start in starts)


def get(simulator: str, path: str, **query: str) -> Any:
    """Look at something of the simulator's."""
    answer = _http().get(f"{simulator}/_sim/{path}", params=query)
    answer.raise_for_status()
    return answer.json()


def post(simulator: str, path: str, wanted: Any) -> Any:
    """Press a control of the simulator's; raises ValueError with its sentence when it refuses."""
    answer = _http().post(f"{simulator}/_sim/{path}", json=wanted)
    if answer.status_code == 422:
        raise ValueError(answer.json()["error"])
    answer.raise_for_status()
    return answer.json()
