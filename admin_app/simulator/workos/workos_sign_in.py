"""Sign-in at the simulated WorkOS: codes by mail, sessions, and the access tokens that prove them."""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import NameOID
from joserfc import jwt

from admin_app.simulator.mail import mail_server
from admin_app.simulator.signing_keys import signing_key
from admin_app.simulator.store import Document
from admin_app.simulator.workos import workos_people
from admin_app.simulator.world import World

CODE = "workos_code"
CODE_MINUTES = 10
TOKEN_SECONDS = 300
_PENDING = "workos_pending"
_KEY = "workos-access-tokens"
_KEY_ID = "sso_oidc_key_pair_01DEMO"
_MOST_TRIES = 10


class SignInRefused(Exception):
    """What authenticate answers instead of a session."""

    def __init__(self, code: str, status: int = 400, **more: Any) -> None:
        self.code, self.status, self.more = code, status, more


def send_code(world: World, email: str) -> Document:
    """A new code, mailed; who is not known becomes a user by it, as with WorkOS."""
    user = workos_people.user_by_email(world, email) or workos_people.create_user(world, {"email": email})
    assert user is not None
    now = datetime.now(UTC)
    code = {
        "id": workos_people.new_id("magic_auth"),
        "user_id": user["id"],
        "email": user["email"],
        "code": f"{secrets.randbelow(1_000_000):06}",
        "expires_at": workos_people.stamp(now + timedelta(minutes=CODE_MINUTES)),
        "created_at": workos_people.stamp(now),
        "updated_at": workos_people.stamp(now),
        "used": False,
        "tries": 0,
    }
    world.store.put(CODE, code)
    _mail(world, code)
    return code


def _mail(world: World, code: Document) -> None:
    mail = EmailMessage()
    mail["From"] = "WorkOS (simulated) <workos@simulator.test>"
    mail["To"] = code["email"]
    mail["Subject"] = f"Your sign-in code is {code['code']}"
    mail.set_content(f"Your sign-in code is {code['code']}. It works for {CODE_MINUTES} minutes.\n")
    mail_server.keep(world.store, mail.as_bytes(), [code["email"]])


def by_code(world: World, email: str, given: str) -> dict[str, Any]:
    """The session that the latest code of this address opens."""
    with world.store.lock:
        codes = [found for found in world.store.all(CODE) if found["email"] == email.strip().lower()]
        if not codes:
            raise SignInRefused("invalid_one_time_code")
        code = codes[-1]
        if code["tries"] >= _MOST_TRIES:
            raise SignInRefused("one_time_code_too_many_attempts")
        if given != code["code"]:
            world.store.put(CODE, code | {"tries": code["tries"] + 1})
            raise SignInRefused("invalid_one_time_code")
        if code["used"]:
            raise SignInRefused("one_time_code_previously_used")
        if code["expires_at"] <= workos_people.stamp(datetime.now(UTC)):
            raise SignInRefused("one_time_code_expired")
        world.store.put(CODE, code | {"used": True})
    return _session(world, code["user_id"])


def by_choice(world: World, token: str, organization_id: str) -> dict[str, Any]:
    """The session of somebody who was asked which organization to sign in to."""
    pending = world.store.get(_PENDING, token)
    if pending is None:
        raise SignInRefused("invalid_pending_authentication_token")
    if organization_id not in _organizations_of(world, pending["user_id"]):
        raise SignInRefused("invalid_organization_id")
    world.store.delete(_PENDING, token)
    return _answer(world, pending["user_id"], organization_id)


def _session(world: World, user_id: str) -> dict[str, Any]:
    organizations = _organizations_of(world, user_id)
    if len(organizations) < 2:
        return _answer(world, user_id, next(iter(organizations), None))
    token = secrets.token_urlsafe(18)
    world.store.put(_PENDING, {"id": token, "user_id": user_id})
    user = world.store.get(workos_people.USER, user_id)
    assert user is not None
    raise SignInRefused(
        "organization_selection_required",
        403,
        pending_authentication_token=token,
        user=workos_people.user_answer(user),
        organizations=[{"id": found, "name": name} for found, name in organizations.items()],
    )


def _organizations_of(world: World, user_id: str) -> dict[str, str]:
    listed = [found["organization_id"] for found in workos_people.memberships_of(world, user_id)]
    found = (world.store.get(workos_people.ORGANIZATION, organization) for organization in listed)
    return {organization["id"]: organization["name"] for organization in found if organization}


def _answer(world: World, user_id: str, organization_id: str | None) -> dict[str, Any]:
    user = world.store.get(workos_people.USER, user_id)
    assert user is not None
    user = user | {"email_verified": True, "last_sign_in_at": workos_people.stamp(datetime.now(UTC))}
    world.store.put(workos_people.USER, user)
    return {
        "user": workos_people.user_answer(user),
        **({"organization_id": organization_id} if organization_id else {}),
        "access_token": token(world, user_id, organization_id=organization_id),
        "refresh_token": secrets.token_urlsafe(18),
        "authentication_method": "MagicAuth",
    }


def issuer(world: World) -> str:
    return f"{world.settings.own_url}/workos/user_management/{world.settings.workos_client_id}"


def token(
    world: World, user_id: str, *, organization_id: str | None = None, ttl: int = TOKEN_SECONDS, iss: str | None = None
) -> str:
    """An access token; it names no e-mail address, as WorkOS's does not."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": iss or issuer(world),
        "sub": user_id,
        "sid": workos_people.new_id("session"),
        "jti": secrets.token_hex(13).upper(),
        "exp": now + ttl,
        "iat": now,
    }
    if organization_id:
        claims |= {"org_id": organization_id, "role": "member", "roles": ["member"], "permissions": []}
    return jwt.encode({"alg": "RS256", "kid": _KEY_ID}, claims, signing_key(world, _KEY), algorithms=["RS256"])


def jwks(world: World) -> dict[str, Any]:
    certificate = _certificate(world)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()
    public: Mapping[str, Any] = signing_key(world, _KEY).as_dict(private=False)
    return {
        "keys": [
            {
                "alg": "RS256",
                "kty": "RSA",
                "use": "sig",
                "x5c": [base64.b64encode(certificate).decode()],
                "n": public["n"],
                "e": public["e"],
                "kid": _KEY_ID,
                "x5t#S256": thumbprint,
            }
        ]
    }


def _certificate(world: World) -> bytes:
    """The published key once more, in a certificate that it signed itself."""
    with world.store.lock:
        kept = world.store.get("key", f"{_KEY}-certificate")
        if kept is None:
            key = signing_key(world, _KEY).private_key
            assert isinstance(key, RSAPrivateKey)
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulator.test")])
            now = datetime.now(UTC)
            made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            made = made.not_valid_before(now).not_valid_after(now + timedelta(days=3650))
            der = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
            kept = {"id": f"{_KEY}-certificate", "der": base64.b64encode(der).decode()}
            world.store.put("key", kept)
    return base64.b64decode(kept["der"])
