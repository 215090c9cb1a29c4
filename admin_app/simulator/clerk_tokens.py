"""Session tokens of the simulated Clerk, signed by a key that stays the same between runs."""

import secrets
import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from admin_app.simulator.clerk_people import INSTANCE_ID
from admin_app.simulator.world import World

LIFETIME_SECONDS = 60
_KEY = "session-tokens"
# Clerk's header carries `cat`, which is not a registered parameter.
_RS256 = JWSRegistry(algorithms=["RS256"], strict_check_header=False)


def _key(world: World) -> RSAKey:
    with world.store.lock:
        kept = world.store.get("key", _KEY)
        if kept is None:
            pem = RSAKey.generate_key(2048).as_pem(private=True).decode()
            kept = {"id": _KEY, "pem": pem}
            world.store.put("key", kept)
    return RSAKey.import_key(kept["pem"])


def jwks(world: World) -> dict[str, Any]:
    public = _key(world).as_dict(private=False)
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
    return jwt.encode(header, claims, _key(world), registry=_RS256)
