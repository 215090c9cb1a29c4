"""Session tokens of the simulated Clerk, signed by a key that stays the same between runs."""

import secrets
import time
from typing import Any

from joserfc import jwt
from joserfc.jws import JWSRegistry

from admin_app.simulator.clerk.clerk_people import INSTANCE_ID
from admin_app.simulator.signing_keys import signing_key
from admin_app.simulator.world import World

LIFETIME_SECONDS = 60
_KEY = "session-tokens"
# Clerk's header carries `cat`, which is not a registered parameter.
_RS256 = JWSRegistry(algorithms=["RS256"], strict_check_header=False)


def jwks(world: World) -> dict[str, Any]:
    public = signing_key(world, _KEY).as_dict(private=False)
    return {"keys": [public | {"kid": INSTANCE_ID, "use": "sig", "alg": "RS256"}]}


def issue(
    world: World,
    user_id: str,
    *,
    ttl: int = LIFETIME_SECONDS,
    azp: str | None = None,
    status: str = "active",
) -> str:
    """A token as the front end would send it from the product's own origin."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "azp": azp or world.settings.base_url,
        "exp": now + ttl,
        "fva": [0, -1],
        "iat": now,
        "iss": world.settings.clerk_issuer,
        "jti": secrets.token_hex(10),
        "nbf": now - 10,
        "sid": f"sess_{secrets.token_hex(12)}",
        "sts": status,
        "sub": user_id,
        "v": 2,
    }
    header = {"alg": "RS256", "kid": INSTANCE_ID, "cat": "cl_demo"}
    return jwt.encode(header, claims, signing_key(world, _KEY), registry=_RS256)
