"""Clerk: session tokens, people with their verified addresses, and its deliveries (sent by Svix)."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
from svix.webhooks import Webhook

from admin_app.config import Settings
from admin_app.errors import (
    AnswerUnreadable,
    BadSignature,
    MalformedEvent,
    NotSignedIn,
    OutcomeUnknown,
    ProviderRefused,
    ProviderUnavailable,
)
from admin_app.integrations.clerk.clerk_tokens import SessionTokens
from admin_app.integrations.http import fields, transport
from admin_app.integrations.http.guard import WEB, Guard, Limits
from admin_app.integrations.http.memory import Memory
from admin_app.integrations.http.signed_tokens import JwksKeys, KeysFor, pem_keys
from admin_app.integrations.http.transport import Patience, Rules
from admin_app.integrations.ports import ClerkEmail, ClerkEvent, ClerkPort, ClerkSession, ClerkUser

_PROVIDER = "clerk"
RULES = Rules(reads=Patience(tries=2, seconds=8, seconds_per_try=5))
_CACHE_SECONDS = 30
_CACHE_SIZE = 1000
_LONGEST_ID = 200
_PAGE = 500
_OUR_KEY = frozenset({401, 403})


def client(settings: Settings, limits: Limits = WEB) -> ClerkPort:
    """Clerk as configured: networkless with a PEM, else by the issuer's published keys."""
    tokens = session_tokens(settings, limits)
    return ClerkApi(tokens, settings.clerk_api_base, settings.clerk_secret_key, Guard(_PROVIDER, limits))


def session_tokens(settings: Settings, limits: Limits = WEB) -> SessionTokens:
    """What checks Clerk's session tokens: by the configured key, else by the keys that Clerk publishes."""
    keys: KeysFor
    if settings.clerk_jwt_key:
        keys = pem_keys(settings.clerk_jwt_key)
    else:
        keys = JwksKeys(_PROVIDER, settings.jwks_url, limits=limits)
    return SessionTokens(settings.clerk_issuer, keys, settings.clerk_authorized_parties)


class ClerkApi:
    """`ClerkPort` over HTTP; a person is kept for half a minute, so that a page of calls asks once."""

    def __init__(
        self, tokens: SessionTokens, api_base: str, secret_key: str, guard: Guard, rules: Rules = RULES
    ) -> None:
        self._tokens = tokens
        self._users_url = f"{api_base}/users"
        self._emails_url = f"{api_base}/email_addresses"
        self._authorized = bool(secret_key)
        self._http = transport.client(guard, api_base, rules)
        self._http.headers["Authorization"] = f"Bearer {secret_key}"
        self._known: Memory[str, ClerkUser] = Memory(seconds=_CACHE_SECONDS, size=_CACHE_SIZE)

    @property
    def knows_people(self) -> bool:
        return self._authorized

    def verify_session_token(self, token: str) -> ClerkSession:
        return self._tokens.verify(token)

    def user(self, user_id: str, *, fresh: bool = False) -> ClerkUser:
        """The person as Clerk has them; NotSignedIn when Clerk knows nobody by this id (any more)."""
        if not fresh and (known := self._known.get(user_id)):
            return known
        asked_at = datetime.now(UTC)
        user = read_user(self._fetch(user_id))
        if user is None:
            raise ProviderUnavailable(_PROVIDER)
        user = replace(user, asked_at=asked_at)
        self._known.put(user_id, user)
        return user

    def _fetch(self, user_id: str) -> Mapping[str, Any]:
        if not self._authorized:
            raise ProviderUnavailable(_PROVIDER)
        try:
            answer = self._http.get(f"{self._users_url}/{quote(user_id, safe='')}")
        except httpx.InvalidURL:
            raise ProviderUnavailable(_PROVIDER) from None
        if answer.status_code == 404:
            raise NotSignedIn
        try:
            answer.raise_for_status()
            return fields.mapping(answer.json())
        except (httpx.HTTPError, ValueError):
            raise ProviderUnavailable(_PROVIDER) from None

    def people(self, *, after: str | None = None) -> list[ClerkUser]:
        wanted = {"limit": str(_PAGE), "order_by": "created_at"} | ({"starting_after": after} if after else {})
        if not self._authorized:
            raise ProviderUnavailable(_PROVIDER)
        asked_at = datetime.now(UTC)
        answer = self._http.get(self._users_url, params=wanted)
        if answer.is_client_error:
            raise ProviderRefused(_PROVIDER, _code(answer), passing=answer.status_code in _OUR_KEY)
        try:
            listed = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            raise ProviderUnavailable(_PROVIDER) from None
        page = [read_user(fields.mapping(item)) for item in fields.items(listed)]
        known = [replace(person, asked_at=asked_at) for person in page if person is not None]
        # A page that begins anew, or none of whose people can be read, would be asked for without end.
        if not isinstance(listed, list) or (listed and not known) or after in {person.id for person in known}:
            raise AnswerUnreadable(_PROVIDER)
        return known

    def add_email(self, user_id: str, address: str, *, verified: bool, primary: bool) -> str:
        wanted = {"user_id": user_id, "email_address": address, "verified": verified, "primary": primary}
        return self._changed("POST", self._emails_url, wanted)

    def change_email(self, email_id: str, *, verified: bool = False, primary: bool = False) -> str:
        wanted = {name: True for name, is_wanted in (("verified", verified), ("primary", primary)) if is_wanted}
        return self._changed("PATCH", self._email_url(email_id), wanted)

    def remove_email(self, email_id: str) -> str:
        return self._changed("DELETE", self._email_url(email_id), None)

    def _email_url(self, email_id: str) -> str:
        return f"{self._emails_url}/{quote(email_id, safe='')}"

    def _changed(self, method: str, url: str, wanted: Mapping[str, Any] | None) -> str:
        """Make something happen at Clerk, and say of a failure whether it may have happened; the id of what it was."""
        if not self._authorized:
            raise ProviderUnavailable(_PROVIDER)
        answer = self._http.request(method, url, json=wanted)
        if answer.is_client_error:
            raise ProviderRefused(_PROVIDER, _code(answer), passing=answer.status_code in _OUR_KEY)
        identity = fields.text(_object(answer).get("id")) if answer.is_success else None
        if identity is None:
            raise OutcomeUnknown(_PROVIDER)
        return identity


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        return fields.mapping(answer.json())
    except ValueError:
        return {}


def _code(answer: httpx.Response) -> str:
    """Clerk's own code of a refusal; never its sentence, which may quote what was sent."""
    stated = fields.items(_object(answer).get("errors"))
    return fields.text(fields.mapping(stated[0] if stated else None).get("code")) or f"http_{answer.status_code}"


def read_user(data: Mapping[str, Any]) -> ClerkUser | None:
    """A person from the users API or an event; None without an id. Only what says `verified` is verified."""
    identity = fields.text(data.get("id"))
    if identity is None:
        return None
    names = (fields.text(data.get("first_name")), fields.text(data.get("last_name")))
    listed = data.get("email_addresses")
    emails = [
        ClerkEmail(
            address=address,
            verified=fields.mapping(item.get("verification")).get("status") == "verified",
            primary=item.get("id") is not None and item.get("id") == data.get("primary_email_address_id"),
            id=fields.text(item.get("id")),
            linked=bool(fields.items(item.get("linked_to"))),
        )
        for item in map(fields.mapping, listed if isinstance(listed, list) else ())
        if (address := fields.email(item.get("email_address")))
    ]
    return ClerkUser(
        id=identity,
        name=" ".join(filter(None, names)) or None,
        emails=tuple(emails),
        created_at=fields.moment(data.get("created_at")),
        updated_at=fields.moment(data.get("updated_at")),
        banned=data.get("banned") is True,
    )


def verify_webhook(raw: bytes, headers: Mapping[str, str], secret: str) -> None:
    """Accept a delivery that Svix signed within five minutes of now; raise BadSignature for anything else."""
    try:
        Webhook(secret).verify(raw, dict(headers))
    except Exception:  # the verifier lets errors of its parts through on malformed input
        raise BadSignature from None


def parse_event(raw: bytes, headers: Mapping[str, str]) -> ClerkEvent:
    """Read a delivery; raise MalformedEvent for what is none."""
    try:
        body = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MalformedEvent from None
    given = {name.lower(): value for name, value in headers.items()}
    external_id = fields.text(given.get("svix-id") or given.get("webhook-id"))
    kind = fields.text(fields.mapping(body).get("type"))
    if kind is None or external_id is None or len(external_id) > _LONGEST_ID:
        raise MalformedEvent
    data = fields.mapping(body.get("data"))
    if not kind.startswith("user."):
        made = fields.moment(data.get("created_at"))
        return ClerkEvent(external_id, kind, None, fields.text(data.get("user_id")), made)
    user = read_user(data)
    if user is None:
        raise MalformedEvent
    return ClerkEvent(external_id, kind, None if data.get("deleted") is True else user, user.id)
