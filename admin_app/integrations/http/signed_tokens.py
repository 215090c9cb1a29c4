"""Tokens that an identity provider signed: the signature comes first and nothing but RS256 counts, then the claims.

Anything that is not a three-part JWT is refused before any key is looked at.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry, extract_compact
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from admin_app.errors import NotSignedIn, ProviderUnavailable
from admin_app.integrations.http import deadline, fields, transport
from admin_app.integrations.http.guard import WEB, Guard, Limits
from admin_app.integrations.http.transport import Patience, Rules

_JWT = re.compile(r"[A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]{1,16000}\.[A-Za-z0-9_-]{1,2000}")
_LEEWAY_SECONDS = 5
_JWKS_TIMEOUT_SECONDS = 3
_JWKS_FRESH_SECONDS = 600
_UNKNOWN_KEY_PAUSE_SECONDS = 10
_FAILURE_PAUSE_SECONDS = 1
# Headers may carry parameters of the issuer's own (Clerk's `cat`), which the strict check would refuse.
_RS256 = JWSRegistry(algorithms=["RS256"], strict_check_header=False)

KeysFor = Callable[[str | None], Sequence[RSAKey]]


def pem_keys(pem: str) -> KeysFor:
    """The one key of a PEM, whatever key id a token names; its line ends may be written as a literal \\n."""
    key = RSAKey.import_key(pem.replace("\\n", "\n").strip())
    return lambda _kid: [key]


class JwksKeys:
    """The issuer's published keys, fetched when needed and kept for ten minutes; safe between threads."""

    def __init__(
        self,
        provider: str,
        url: str,
        *,
        timeout: float = _JWKS_TIMEOUT_SECONDS,
        limits: Limits = WEB,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._url = url
        self._clock = clock
        once = Rules(reads=Patience(tries=1, seconds=timeout, seconds_per_try=timeout))
        self._http = transport.client(Guard(provider, limits), url, once)
        self._lock = threading.Lock()
        self._waiting, self._room_within = threading.BoundedSemaphore(limits.calls), limits.seconds_for_room
        self._keys: list[tuple[str | None, RSAKey]] = []
        self._fetched_at = self._failed_at = float("-inf")

    def __call__(self, kid: str | None) -> Sequence[RSAKey]:
        known = self._matching(kid)
        if known and self._age() <= _JWKS_FRESH_SECONDS:
            return known
        if known:
            return self._renewed(kid, known)
        with self._a_turn():
            if not self._matching(kid) and self._age() > _UNKNOWN_KEY_PAUSE_SECONDS:
                self._fetch_or_raise()
        return self._matching(kid)

    @contextmanager
    def _a_turn(self) -> Iterator[None]:
        """One caller fetches and a few wait for what it brings; more of them are refused when no room comes soon."""
        if not self._waiting.acquire(timeout=max(0.0, deadline.clipped(self._room_within) or 0.0)):
            raise ProviderUnavailable(self._provider, retry_after=_JWKS_TIMEOUT_SECONDS)
        try:
            left = deadline.remaining()
            if not self._lock.acquire(timeout=-1 if left is None else max(0.0, left)):
                raise ProviderUnavailable(self._provider, retry_after=_JWKS_TIMEOUT_SECONDS)
            try:
                yield
            finally:
                self._lock.release()
        finally:
            self._waiting.release()

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _matching(self, kid: str | None) -> list[RSAKey]:
        return [key for name, key in self._keys if kid is None or name in (None, kid)]

    def _renewed(self, kid: str | None, known: Sequence[RSAKey]) -> Sequence[RSAKey]:
        """Look again for a key that is held already: one caller does, and nobody waits or fails for it."""
        if self._clock() - self._failed_at < _UNKNOWN_KEY_PAUSE_SECONDS or not self._lock.acquire(blocking=False):
            return known
        try:
            self._fetch_or_raise()
        except ProviderUnavailable:
            return known
        finally:
            self._lock.release()
        return self._matching(kid)

    def _fetch_or_raise(self) -> None:
        # Whoever waited for the lock while the issuer did not answer must not wait for it once more.
        if self._clock() - self._failed_at < _FAILURE_PAUSE_SECONDS:
            raise ProviderUnavailable(self._provider)
        try:
            answer = self._http.get(self._url)
            answer.raise_for_status()
            self._keys = _read_jwks(answer.json())
            self._fetched_at = self._clock()
        except (ProviderUnavailable, httpx.HTTPError, httpx.InvalidURL, ValueError):
            self._failed_at = self._clock()
            raise ProviderUnavailable(self._provider) from None


def _read_jwks(document: Any) -> list[tuple[str | None, RSAKey]]:
    """The RSA signing keys; one that cannot be read does not spoil the others."""
    listed = fields.mapping(document).get("keys")
    keys: list[tuple[str | None, RSAKey]] = []
    for item in map(fields.mapping, listed if isinstance(listed, list) else ()):
        if item.get("kty") == "RSA" and item.get("use", "sig") == "sig":
            with suppress(JoseError, LookupError, TypeError, ValueError):
                public: dict[str, str | list[str]] = {"kty": "RSA", "n": str(item["n"]), "e": str(item["e"])}
                keys.append((fields.text(item.get("kid")), RSAKey.import_key(public)))
    if not keys:
        raise ValueError("no usable key")
    return keys


class SignedTokens:
    """The claims of one issuer's tokens; `required` names those that must be there beside issuer, subject and end."""

    def __init__(self, issuers: Sequence[str], keys_for: KeysFor, *required: str) -> None:
        self._keys_for = keys_for
        needed: dict[str, ClaimsOption] = {name: {"essential": True} for name in ("sub", "exp", *required)}
        needed["iss"] = {"essential": True, "values": list(issuers)}
        self._claims = JWTClaimsRegistry(None, _LEEWAY_SECONDS, **needed)

    def claims(self, token: str) -> dict[str, Any]:
        """What the token says; raises NotSignedIn, or ProviderUnavailable when no key can be had."""
        if not _JWT.fullmatch(token):
            raise NotSignedIn
        try:
            for key in self._keys_for(_key_id(token)):
                if claims := _decoded(token, key):
                    self._claims.validate(claims)
                    return claims
        except ProviderUnavailable:
            raise
        except Exception:  # anybody's input, and not every error on an odd token is the library's own
            raise NotSignedIn from None
        raise NotSignedIn


def _key_id(token: str) -> str | None:
    return fields.text(extract_compact(token.encode()).headers().get("kid"))


def _decoded(token: str, key: RSAKey) -> dict[str, Any] | None:
    try:
        return jwt.decode(token, key, registry=_RS256).claims
    except BadSignatureError:
        return None
