"""Which of a provider's products and plans make somebody pro.

The settings name them (`WHOP_PRO_PRODUCTS`, `WHOP_PRO_PLANS`); a session knows them from the database it came from.
Where nothing is named, every one does that is not known to be free.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from admin_app.context import PRO_PLANS, PRO_PRODUCTS
from admin_app.integrations.ports import WhopEvent, WhopMembership

FREE = "its plan costs nothing"
OTHER = "neither its product nor its plan is one that makes pro"


@dataclass(frozen=True)
class ProRules:
    """The provider's ids of products and plans that make somebody pro; both empty: nothing is named."""

    products: frozenset[str]
    plans: frozenset[str]

    @property
    def names_some(self) -> bool:
        return bool(self.products or self.plans)

    def ignored_because(self, *told: WhopEvent | WhopMembership | None) -> str | None:
        """Why it makes nobody pro, by the first that says something; None when it does, or when nobody says."""
        product = next((one.product_id for one in told if one and one.product_id), None)
        plan = next((one.plan_id for one in told if one and one.plan_id), None)
        if self.names_some:
            is_named = product in self.products or plan in self.plans
            return OTHER if (product or plan) and not is_named else None
        return FREE if any(one.price == 0 for one in told if one) else None


def of(session: Session) -> ProRules:
    """The rules of the database that this session came from."""
    return ProRules(session.info.get(PRO_PRODUCTS, frozenset()), session.info.get(PRO_PLANS, frozenset()))
