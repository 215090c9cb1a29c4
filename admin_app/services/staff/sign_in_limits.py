"""The rate limit on guessing passwords: after a few failures a wait that doubles, kept in the database.

An account counts its own failures. What belongs to no account, a network or an e-mail that is nobody's,
counts in a row of its own by the same rule, so that a wait does not tell which addresses exist.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address
from types import MappingProxyType
from typing import Protocol

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import TooManyAttempts
from models import SignInBrake

FREE_FAILURES = 4
# A whole office may share an address: the limit of a network is against one password on many accounts.
FREE_FAILURES_OF_A_NETWORK = 30
# Without this the slips of many people would add up over the days until each further one stops all of them.
NETWORK_FORGIVES_ONE_EVERY = timedelta(minutes=5)
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=15)
FORGET_AFTER = timedelta(days=1)
# What a sign-in that succeeds, or an administrator, puts back.
RELEASED: Mapping[str, int | None] = MappingProxyType({"failed_sign_ins": 0, "locked_until": None})


class Limited(Protocol):
    """Whatever counts failures: a staff member or a row of its own."""

    failed_sign_ins: int
    locked_until: datetime | None


def is_on(row: Limited | None, now: datetime) -> bool:
    """Whether sign-ins are refused at `now`; no row, or a lock that is over, refuses none."""
    return row is not None and row.locked_until is not None and row.locked_until > now


def count_failure(row: Limited, now: datetime, *, free: int = FREE_FAILURES) -> bool:
    """Count one more failure on a row that is locked; True when the limit is reached by it."""
    row.failed_sign_ins += 1
    beyond = row.failed_sign_ins - free
    if beyond <= 0:
        return False
    # The exponent is bounded before the doubling: the counter itself never is.
    row.locked_until = now + min(FIRST_WAIT * 2 ** min(beyond - 1, 10), LONGEST_WAIT)
    return True


def release(row: Limited) -> None:
    """Forget the failed sign-ins and end the lock. The row is the caller's to lock and to commit."""
    for name, value in RELEASED.items():
        setattr(row, name, value)


def too_many_attempts() -> TooManyAttempts:
    """The error, to be raised, which does not tell whether the account, the address or the network is locked: 429."""
    return TooManyAttempts("Too many attempts. Wait up to 15 minutes and try again, or ask an administrator.")


def of_address(email: str) -> bytes:
    """The key of an e-mail that is nobody's; what was typed is not kept."""
    return digest("email", email.casefold())


def of_network(ip: str | None, kind: str = "network") -> bytes | None:
    """The key of the network an attempt comes from: an IPv4 address, or the /64 of an IPv6 user."""
    try:
        address = ip_address(ip or "")
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return digest(kind, str(address.ipv4_mapped or IPv6Network((address, 64), strict=False)))
    return digest(kind, str(address))


def of_caller(ip: str | None, kind: str) -> bytes | None:
    """The network of somebody outside. A caller on this machine is the business's own web site, which asks for many."""
    network = of_network(ip, kind)
    return None if network is None or ip_address(ip or "").is_loopback else network


def find(session: Session, key: bytes) -> SignInBrake | None:
    """The count of failed sign-ins under a digest, not locked; None: none failed."""
    return session.get(SignInBrake, key)


def hold(ctx: Ctx, key: bytes, *, forgives_one_every: timedelta | None = None) -> SignInBrake:
    """The row of this key, locked until the transaction ends, without the failures that time has forgiven."""
    ctx.session.execute(insert(SignInBrake).values(key_hash=key, last_failed_at=ctx.now).on_conflict_do_nothing())
    row = ctx.session.scalars(
        select(SignInBrake)
        .where(SignInBrake.key_hash == key)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    silence = ctx.now - row.last_failed_at
    if silence > FORGET_AFTER:
        release(row)
    elif forgives_one_every is not None:
        row.failed_sign_ins = max(0, row.failed_sign_ins - silence // forgives_one_every)
    row.last_failed_at = ctx.now
    return row


def forget_old(ctx: Ctx, *, limit: int = 100) -> None:
    """Delete rows that count no more; rows in use are passed over, so that nobody waits for this."""
    old = (
        select(SignInBrake.key_hash)
        .where(SignInBrake.last_failed_at < ctx.now - FORGET_AFTER)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ctx.session.execute(delete(SignInBrake).where(SignInBrake.key_hash.in_(old)))


def digest(kind: str, value: str) -> bytes:
    """The SHA-256 under which failures of an address or a network are counted, so that neither is kept."""
    return hashlib.sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).digest()
