"""Service keys: how the business's own programs prove who they are at the public endpoints.

A key is shown once, when it is made; kept are its SHA-256 and its beginning. It is 32 random bytes, so that a fast hash
is enough. Whether it still counts is read at every request, so a revocation holds from the very next one.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import LargeBinary, bindparam, select, update
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Service
from admin_app.errors import Conflict, DomainError, InvalidInput, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit, plans
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import Plan, PlanLine
from admin_app.services.core.records import lock_names, service_key_key
from models import Scope, ServiceKey

PREFIX = "bdk_"
RANDOM_BYTES = 32
HINT_LENGTH = len(PREFIX) + 6
LONGEST_NAME = 80
NOTED_EVERY = timedelta(minutes=1)
OF_THE_SETTINGS = "SERVICE_API_KEY"


class KeyRefused(DomainError):
    """`code` says why: service_key_missing, service_key_unknown, service_key_revoked, service_key_expired."""

    status = 401
    code = "service_key_unknown"
    sentence = "This service key is not known here."


@dataclass(frozen=True)
class Caller:
    """Who calls by a key, and whether its last use was noted too long ago."""

    service: Service
    note_use: bool = False


_BY_HASH = select(
    ServiceKey.id, ServiceKey.name, ServiceKey.scopes, ServiceKey.expires_at, ServiceKey.revoked_at,
    ServiceKey.last_used_at,
).where(ServiceKey.key_hash == bindparam("key_hash", type_=LargeBinary))  # fmt: skip


def caller(session: Session, presented: str, *, of_settings: str, now: datetime) -> Caller:
    """Who holds this key; KeyRefused when nobody may enter by it.

    `of_settings` is the key of the settings, which has every scope; empty, it opens nothing.
    """
    if not presented:
        raise KeyRefused("Send a service key as a bearer token or in X-API-Key.", code="service_key_missing")
    given = presented.encode("utf-8", "surrogateescape")
    if of_settings and hmac.compare_digest(given, of_settings.encode()):
        return Caller(Service(None, OF_THE_SETTINGS, frozenset(Scope)))
    row = session.connection().execute(_BY_HASH, {"key_hash": _hashed(given)}).one_or_none()
    if row is None:
        raise KeyRefused
    if row.revoked_at is not None:
        raise KeyRefused("This service key was revoked. Ask an administrator for another.", code="service_key_revoked")
    if row.expires_at is not None and row.expires_at <= now:
        raise KeyRefused("This service key has expired. Ask an administrator for another.", code="service_key_expired")
    # A scope that a later version took away allows nothing.
    scopes = frozenset(scope for scope in Scope if scope.value in row.scopes)
    noted_long_ago = row.last_used_at is None or now - row.last_used_at >= NOTED_EVERY
    return Caller(Service(row.id, row.name, scopes), noted_long_ago)


def note_use(ctx: Ctx) -> None:
    """Remember that the calling key was used now, at most once a minute; no part of its history."""
    if isinstance(ctx.actor, Service) and ctx.actor.id is not None:
        never_or_before = ServiceKey.last_used_at.is_(None) | (ServiceKey.last_used_at <= ctx.now - NOTED_EVERY)
        ctx.session.execute(
            update(ServiceKey).where(ServiceKey.id == ctx.actor.id, never_or_before).values(last_used_at=ctx.now)
        )


def create(
    ctx: Ctx, *, name: str, scopes: Collection[str], expires_at: datetime | None, reason: str
) -> tuple[ServiceKey, str]:
    """A new key and what it is; the second is kept nowhere. InvalidInput names the fields that are not right."""
    require(ctx, Permission.SERVICE_KEYS_MANAGE)
    wanted = sorted({scope for scope in Scope if scope.value in set(scopes)})
    unknown = set(scopes) - set(Scope)
    stripped = " ".join(name.split())
    lock_names(ctx.session, f"service_key:{stripped}")
    problems = {
        "name": _name_problem(ctx, stripped),
        "scopes": "" if wanted and not unknown else "Choose at least one of the scopes.",
        "expires_at": "" if expires_at is None or expires_at > ctx.now else "Choose a time that is still to come.",
        "reason": "" if reason.strip() else "Write a reason.",
    }
    if any(problems.values()):
        raise InvalidInput(fields={field: sentence for field, sentence in problems.items() if sentence})
    reason = plans.require_reason(reason)
    key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    row = ServiceKey(
        name=stripped,
        hint=key[:HINT_LENGTH],
        key_hash=_hashed(key.encode()),
        scopes=[scope.value for scope in wanted],
        created_by=ctx.actor.label,
        created_at=ctx.now,
        expires_at=expires_at,
    )
    ctx.session.add(row)
    ctx.session.flush()
    audit.record(ctx, "service_key.created", records=[service_key_key(row.id)], reason=reason,
                 facts={"name": row.name, "scopes": ", ".join(row.scopes), "expires_at": expires_at})  # fmt: skip
    return row, key


def plan_revoke(ctx: Ctx, *, service_key_id: int) -> Plan:
    """What revoking would change."""
    require(ctx, Permission.SERVICE_KEYS_MANAGE)
    row = _locked(ctx, service_key_id)
    used = f"It was last used {row.last_used_at:%d %b %Y %H:%M} UTC." if row.last_used_at else "It was never used."
    return Plan(
        title=f"Revoke the key {row.name}",
        outcome="revoked",
        lines=(PlanLine(service_key_key(row.id), "revoked_at", row.revoked_at, ctx.now, "time of the act"),),
        consequences=("Whoever calls by it is refused from the next request on.", used, "It cannot be taken back."),
        # Not by its last use: a key in use would move all the time.
        fingerprint=plans.fingerprint(row.id, row.name, row.version),
        refusal="This key is revoked already." if row.revoked_at else None,
    )


def revoke(ctx: Ctx, *, service_key_id: int, reason: str, shown: str) -> ServiceKey:
    """Refuse the key from the next request on, for ever."""
    reason = plans.require_reason(reason)
    plan = plan_revoke(ctx, service_key_id=service_key_id)
    plans.require_same(shown, plan.fingerprint)
    if plan.refusal:
        raise Conflict(plan.refusal)
    row = _locked(ctx, service_key_id)
    row.revoked_at, row.revoked_by = ctx.now, ctx.actor.label
    row.version += 1
    ctx.session.flush()
    audit.record(ctx, "service_key.revoked", records=[service_key_key(row.id)], reason=reason,
                 changes=[Change("revoked_at", None, ctx.now)], facts={"name": row.name})  # fmt: skip
    return row


def _locked(ctx: Ctx, service_key_id: int) -> ServiceKey:
    row = ctx.session.get(ServiceKey, service_key_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("There is no such service key.")
    return row


def _name_problem(ctx: Ctx, name: str) -> str:
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        return f"Name the program that will use it, in at most {LONGEST_NAME} plain characters."
    taken = ctx.session.scalar(select(ServiceKey.id).where(ServiceKey.name == name))
    return "There is a key of this name. Choose another name." if taken is not None else ""


def _hashed(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
