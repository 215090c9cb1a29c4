"""What providers sold, by product and plan, and whether each makes pro by the settings."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.services.memberships import pro_rules
from admin_app.services.memberships.pro_rules import FREE, OTHER, ProRules
from models.memberships import MembershipStatus, PaymentProvider, ProviderMembership

MOST = 500


@dataclass(frozen=True)
class Sold:
    """One product and plan of a provider: how many memberships, how many of them live, and of these how many pro."""

    provider: PaymentProvider
    product_id: str | None
    plan_id: str | None
    memberships: int
    live: int
    pro: int
    makes_pro: bool
    because: str


def sold(session: Session, *, limit: int = MOST) -> list[Sold]:
    """What was seen, what is sold most first."""
    row, count = ProviderMembership, func.count()
    live = row.status == MembershipStatus.ACTIVE
    free = func.bool_or(row.ignored_because == FREE)
    query = (
        select(
            row.provider,
            row.product_id,
            row.plan_id,
            count,
            count.filter(live),
            count.filter(live, row.ignored_because.is_(None)),
            free,
        )
        .where(row.provider.is_not(None))  # what staff gave was not sold
        .group_by(row.provider, row.product_id, row.plan_id)
        .order_by(count.desc(), row.provider, row.product_id.nulls_last(), row.plan_id.nulls_last())
        .limit(limit)
    )
    rules = pro_rules.of(session)
    return [_sold(rules, *found) for found in session.execute(query)]


def _sold(
    rules: ProRules, provider: PaymentProvider, product: str | None, plan: str | None, total: int, live: int, pro: int,
    is_free: bool | None,
) -> Sold:  # fmt: skip
    makes_pro, because = _verdict(rules, provider, product, plan, is_free=bool(is_free))
    return Sold(provider, product, plan, total, live, pro, makes_pro, because)


def _verdict(
    rules: ProRules, provider: PaymentProvider, product: str | None, plan: str | None, *, is_free: bool
) -> tuple[bool, str]:
    """As `ProRules` decides, in words."""
    if provider is not PaymentProvider.WHOP:
        return True, "every subscription of a member does"
    if product is None and plan is None:
        return True, "nobody said what was sold"
    if product in rules.products:
        return True, "its product is named by WHOP_PRO_PRODUCTS"
    if plan in rules.plans:
        return True, "its plan is named by WHOP_PRO_PLANS"
    if rules.names_some:
        return False, OTHER
    return (False, FREE) if is_free else (True, "nothing is named, and it is not known to be free")
