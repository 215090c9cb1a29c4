"""Session tokens as Clerk signs them, and as nobody should."""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from admin_app.errors import NotSignedIn
from admin_app.integrations.clerk.clerk_tokens import SessionTokens

ISSUER = "https://demo.clerk.example"
ORIGIN = "https://app.example.com"
KEY = RSAKey.generate_key(2048)
OTHER_KEY = RSAKey.generate_key(2048)
PEM = KEY.as_pem(private=False).decode()


@dataclass(frozen=True)
class FromNow:
    """A time that is only known when the test runs."""

    seconds: int


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    stated = {
        "azp": ORIGIN,
        "exp": now + 60,
        "iat": now,
        "nbf": now - 10,
        "iss": ISSUER,
        "sid": "sess_1",
        "sub": "user_1",
        "sts": "active",
        "v": 2,
    }
    merged = {name: value for name, value in (stated | changed).items() if value is not ...}
    return {name: now + value.seconds if isinstance(value, FromNow) else value for name, value in merged.items()}


def signed(body: dict[str, Any] | None = None, *, key: Any = KEY, alg: str = "RS256", **header: Any) -> str:
    registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
    stated = {"alg": alg, "kid": "ins_1", **header}
    return jwt.encode(stated, body if body is not None else claims(), key, registry=registry)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def refuse(port: SessionTokens, token: str) -> None:
    with pytest.raises(NotSignedIn):
        port.verify(token)
