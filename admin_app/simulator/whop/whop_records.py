"""What the simulated Whop knows: memberships with their buyer, and payments. Times are unix seconds."""

import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

ACCOUNT_ID = "biz_DemoStudio0001"
ACCOUNT_TITLE = "Demo Studio"
PRODUCT_ID = "prod_DemoMember01"
PRODUCT_TITLE = "Pro membership"


@dataclass(frozen=True)
class Plan:
    id: str
    days: int
    cents: int
    per: str

    @property
    def is_bought_once(self) -> bool:
        """For ever: it has no period."""
        return self.days == 0

    @property
    def renews(self) -> str:
        return self.amount if self.is_bought_once else f"{self.amount} / {self.per}"

    @property
    def amount(self) -> str:
        return amount(self.cents)


PLANS = {
    "monthly": Plan("plan_DemoMonthly01", 30, 4900, "month"),
    "yearly": Plan("plan_DemoYearly001", 365, 49000, "year"),
    "lifetime": Plan("plan_DemoLifetime1", 0, 99000, ""),
}


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(7)}"


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(frozen=True)
class Membership:
    id: str
    user_id: str
    member_id: str
    email: str | None
    name: str
    plan: str
    created_at: int
    period_start: int
    period_end: int
    updated_at: int
    status: str = "active"
    cancel_at_period_end: bool = False
    canceled_at: int | None = None

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        return cls(**document)

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def terms(self) -> Plan:
        return PLANS[self.plan]

    @property
    def is_over(self) -> bool:
        return self.status in {"canceled", "expired"}

    @property
    def end(self) -> int | None:
        """Of its period; what was bought once has none."""
        return None if self.terms.is_bought_once else self.period_end

    def renewed(self, at: int) -> Self:
        start = max(self.period_end, at) if self.status != "active" else self.period_end
        end = start + self.terms.days * 86400
        return replace(
            self,
            status="completed" if self.terms.is_bought_once else "active",
            period_start=start,
            period_end=end,
            updated_at=at,
            cancel_at_period_end=False,
            canceled_at=None,
        )

    def given_back(self, at: int) -> Self:
        return replace(self, status="completed", canceled_at=None, updated_at=at)

    def ended(self, at: int) -> Self:
        return replace(self, status="canceled", canceled_at=at, updated_at=at)

    def canceling(self, at: int, *, cancels: bool) -> Self:
        return replace(self, cancel_at_period_end=cancels, canceled_at=at if cancels else None, updated_at=at)


@dataclass(frozen=True)
class Payment:
    """Of the plan's price. `refunded` is in cents."""

    id: str
    membership_id: str
    created_at: int
    first: bool
    paid: bool = True
    refunded: int = 0
    refunded_at: int | None = None

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        return cls(**document)

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Refund:
    """`cents` of a payment, with the metadata that whoever asked for it gave along."""

    id: str
    payment_id: str
    cents: int
    created_at: int
    status: str = "succeeded"
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        return cls(**document)

    def document(self) -> dict[str, Any]:
        return asdict(self)


def amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def started(
    *,
    email: str | None,
    name: str,
    plan: str,
    at: int,
    membership_id: str | None = None,
    user_id: str | None = None,
) -> Membership:
    """A membership bought at this time."""
    return Membership(
        id=membership_id or new_id("mem"),
        user_id=user_id or new_id("user"),
        member_id=new_id("mber"),
        email=email,
        name=name,
        plan=plan,
        created_at=at,
        period_start=at,
        period_end=at + PLANS[plan].days * 86400,
        updated_at=at,
        status="completed" if PLANS[plan].is_bought_once else "active",
    )
