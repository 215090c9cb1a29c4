"""Who acts, when, and in which transaction: what every service function receives first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from models.staff import Role, Scope


@dataclass(frozen=True)
class Staff:
    """A person of the business, signed in to the console."""

    id: int
    email: str
    role: Role
    kind: Literal["staff"] = "staff"

    @property
    def label(self) -> str:
        return self.email


@dataclass(frozen=True)
class Customer:
    """A customer whose identity provider's token was verified for this request.

    `verified_emails` is lower case and holds what the provider says *now*: as of `asked_at`, where that is known.
    """

    user_id: str
    verified_emails: frozenset[str] = frozenset()
    email: str | None = None
    name: str | None = None
    asked_at: datetime | None = None
    kind: Literal["customer"] = "customer"

    @property
    def label(self) -> str:
        return self.user_id


@dataclass(frozen=True)
class Guest:
    """A person without an account, or nobody known."""

    workos_user_id: str | None = None
    kind: Literal["guest"] = "guest"

    @property
    def label(self) -> str:
        return self.workos_user_id or "visitor"


@dataclass(frozen=True)
class Service:
    """A program of the business, known by its service key; `id` is the key's number, None for the one in settings."""

    id: int | None
    name: str
    scopes: frozenset[Scope]
    kind: Literal["service"] = "service"

    @property
    def label(self) -> str:
        return self.name


@dataclass(frozen=True)
class Provider:
    """An outside system whose delivery was verified."""

    name: str
    kind: Literal["provider"] = "provider"

    @property
    def label(self) -> str:
        return self.name.capitalize()


@dataclass(frozen=True)
class Job:
    """The product itself: a task, a schedule or an operator's command."""

    name: str
    kind: Literal["job"] = "job"

    @property
    def label(self) -> str:
        return self.name


# What a session of this installation's database knows of the settings: the ids of products and plans that make pro.
PRO_PRODUCTS, PRO_PLANS = "whop_pro_products", "whop_pro_plans"

Actor = Staff | Customer | Guest | Service | Provider | Job


@dataclass(frozen=True)
class Ctx:
    """One unit of work: its session (one transaction), its actor and its time."""

    session: Session
    actor: Actor
    now: datetime
    request_id: str


@dataclass(frozen=True)
class Statement:
    """One SQL statement that is a whole transaction: the driver's own notation, `%(name)s` where a value goes."""

    sql: str
    values: Mapping[str, Any]
