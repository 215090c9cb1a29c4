"""Which fields a purchase brings to a profile, and what the rule says for each."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from admin_app.addresses import comparable
from admin_app.errors import InvalidInput
from admin_app.services.audit import plain
from admin_app.services.plans import Choice, PlanLine
from admin_app.services.records import profile_key
from admin_app.services.users import Owner
from models.people import Membership, MembershipStatus, PaymentProvider, PendingProfile, Profile

# What the rule uses where the purchase does not say.
OTHERWISE: dict[str, Any] = {
    "membership": Membership.PRO,
    "payment_provider": PaymentProvider.WHOP,
    "usage_credits": 1000,
    "used_credits": 0,
}
COPIED = (
    "email",
    "name",
    "membership",
    "payment_provider",
    "whop_user_id",
    "whop_membership_id",
    "stripe_customer_id",
    "stripe_subscription_id",
    "plan_duration",
    "billing_cycle_start",
    "billing_cycle_end",
    "next_credit_renewal",
    "usage_credits",
    "used_credits",
    "status",
    "cancel_at_period_end",
)
CARRIED = ("provider_event_at",)  # belongs to the membership, never chosen by hand
KEPT_BY_DEFAULT = frozenset({"name"})  # the account's own name is better than the buyer's
PROFILE, ACCOUNT, PURCHASE, RULE = "the profile", "the account", "the purchase", "the rule"


def lines(pending: PendingProfile, profile: Profile | None, owner: Owner, *, keep_email: bool) -> tuple[PlanLine, ...]:
    """One line per field with the rule's default chosen; a choice where both sides hold different values.

    `keep_email`: the purchase's address is not proven to be the account's, so the account's own stays.
    """
    kept = KEPT_BY_DEFAULT | {"email"} if keep_email else KEPT_BY_DEFAULT
    return tuple(_line(name, pending, profile, owner, kept) for name in COPIED)


def _line(name: str, pending: PendingProfile, profile: Profile | None, owner: Owner, kept: frozenset[str]) -> PlanLine:
    key = profile_key(owner.user_id)
    now = getattr(profile, name) if profile is not None else None
    own, own_source = (now, PROFILE) if profile is not None else (getattr(owner, name, None), ACCOUNT)
    bought = getattr(pending, name)
    offered, source = (bought, PURCHASE) if bought is not None else (OTHERWISE.get(name), RULE)
    if offered is None or same(name, offered, own):
        return PlanLine(key, name, now, own, own_source)
    if own is None or (profile is not None and _is_blank(name, own, profile)):
        return PlanLine(key, name, now, offered, source)
    choices = (Choice("purchase", offered, source), Choice("profile", own, own_source))
    chosen = choices[1] if name in kept else choices[0]
    return PlanLine(key, name, now, chosen.value, chosen.source, choices, chosen.key)


def same(name: str, one: Any, other: Any) -> bool:
    """Equal as the database compares them: addresses without regard to case."""
    if name == "email" and one is not None and other is not None:
        return comparable(one) == comparable(other)
    return bool(plain(one) == plain(other))


def _is_blank(name: str, now: Any, profile: Profile) -> bool:
    """Values that a free profile has only because it must have some: nothing to choose there."""
    if profile.membership is Membership.PRO:
        return False
    blanks: dict[str, Any] = {
        "membership": Membership.FREE,
        "status": profile.status,
        "usage_credits": 0,
        "used_credits": 0,
        "cancel_at_period_end": profile.cancel_at_period_end,
    }
    return name in blanks and bool(plain(blanks[name]) == plain(now))


def chosen_values(plan_lines: tuple[PlanLine, ...], choices: Mapping[str, str]) -> dict[str, Any]:
    """Each field's value after the merge; an unknown field or choice is refused."""
    by_field = {line.field: line for line in plan_lines}
    for name, key in choices.items():
        line = by_field.get(name)
        if line is None or key not in {choice.key for choice in line.choices}:
            raise InvalidInput("One of the choices does not exist (any more). Look at the plan again.")
    values = {}
    for name, line in by_field.items():
        picked = choices.get(name)
        values[name] = next(c.value for c in line.choices if c.key == picked) if picked else line.after
    return values


def new_profile_defaults(now: datetime) -> dict[str, Any]:
    """A profile made by a claim, before the purchase's fields are put on it."""
    return {
        "membership": Membership.FREE,
        "status": MembershipStatus.ACTIVE,
        "usage_credits": 0,
        "used_credits": 0,
        "cancel_at_period_end": False,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
