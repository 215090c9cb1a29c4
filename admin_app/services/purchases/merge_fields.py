"""What a profile has after a purchase is merged into it, and what may be chosen.

The columns that tell of the membership follow from all memberships that the account holds then: they are one choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from admin_app.addresses import comparable
from admin_app.errors import InvalidInput
from admin_app.services import memberships
from admin_app.services.core.audit import plain
from admin_app.services.core.plans import Choice, PlanLine
from admin_app.services.core.records import profile_key
from admin_app.services.memberships import CREDITS
from admin_app.services.memberships.credits import next_when_kept_back
from admin_app.services.memberships.rows import copied
from admin_app.services.people.users import Owner
from models.memberships import ProviderMembership
from models.purchases import PendingProfile, Profile

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
# The one choice for all that tells of the membership: which one counts.
COUNTS = "counts"
CREDIT_FIELDS = ("usage_credits", "used_credits")
PROFILE, ACCOUNT, PURCHASE, RULE, BOTH = "the profile", "the account", "the purchase", "the rule", "both memberships"


@dataclass(frozen=True)
class Sides:
    """A purchase and the account it goes to, with the memberships of each."""

    pending: PendingProfile
    profile: Profile | None
    owner: Owner
    bought: Sequence[ProviderMembership]
    own: Sequence[ProviderMembership]
    # What was bought as it is once it is the account's: what ended unclaimed brings no credits.
    arrives: Sequence[ProviderMembership]

    @property
    def bought_is_live(self) -> bool:
        return any(row.is_live for row in self.bought)

    @property
    def bought_is_paid(self) -> bool:
        """What is complimentary brings no credits to whoever pays."""
        return any(row.is_paid for row in self.bought)

    @property
    def own_is_live(self) -> bool:
        return any(row.is_live for row in self.own)

    @property
    def own_is_paid(self) -> bool:
        """What is complimentary is replaced, with its credits, by what was bought."""
        return any(row.is_paid for row in self.own)


def sides(session: Session, pending: PendingProfile, profile: Profile | None, owner: Owner) -> Sides:
    """Read both; what only columns tell of is seen, and not stored."""
    own = memberships.seen(session, profile) if profile is not None else []
    mine = {(row.provider, row.external_id) for row in own if row.external_id}
    bought = [row for row in memberships.as_unclaimed(session, pending) if (row.provider, row.external_id) not in mine]
    arrives = bought if any(row.is_live for row in bought) else [_without_credits(session, row) for row in bought]
    return Sides(pending, profile, owner, bought, own, arrives)


def _without_credits(session: Session, row: ProviderMembership) -> ProviderMembership:
    next_at = next_when_kept_back(session, row) if row.id else None
    return row if next_at is None else copied(row, next_credits_at=next_at)


def lines(sides: Sides, *, keep_email: bool) -> tuple[PlanLine, ...]:
    """One line per field with the rule's default chosen; a choice where both sides hold different values.

    `keep_email`: the purchase's address is not proven to be the account's, so the account's own stays.
    """
    held = [*sides.own, *sides.arrives]
    holder = sides.profile or sides.pending
    values = memberships.derived(held, holder)
    values["whop_user_id"] = values.get("whop_user_id") or sides.pending.whop_user_id
    values["stripe_customer_id"] = values.get("stripe_customer_id") or sides.pending.stripe_customer_id
    best = memberships.serving(held)
    source = PURCHASE if best is not None and any(row is best for row in sides.arrives) else PROFILE
    key = profile_key(sides.owner.user_id)
    made = []
    for name in COPIED:
        now = getattr(sides.profile, name) if sides.profile is not None else None
        if name in memberships.LINKED:
            made.append(PlanLine(key, name, now, values.get(name, now), source))
        elif name in CREDIT_FIELDS:
            made.append(_credit_line(name, now, sides))
        else:
            made.append(_person_line(name, now, sides, keep_email))
    return (*made, *_which_counts(sides, key))


def _person_line(name: str, now: Any, sides: Sides, keep_email: bool) -> PlanLine:
    """The account's own name is better than the buyer's; its own address, unless the purchase's is proven."""
    key = profile_key(sides.owner.user_id)
    own, own_source = (now, PROFILE) if sides.profile is not None else (getattr(sides.owner, name, None), ACCOUNT)
    bought = getattr(sides.pending, name)
    if bought is None or same(name, bought, own):
        return PlanLine(key, name, now, own, own_source)
    if own is None:
        return PlanLine(key, name, now, bought, PURCHASE)
    choices = (Choice("purchase", bought, PURCHASE), Choice("profile", own, own_source))
    chosen = choices[1] if name == "name" or keep_email else choices[0]
    return PlanLine(key, name, now, chosen.value, chosen.source, choices, chosen.key)


def _credit_line(name: str, now: int | None, sides: Sides) -> PlanLine:
    """What ended before anybody claimed it brings no credits; beside a live one, what is left of both is kept."""
    key = profile_key(sides.owner.user_id)
    own = now or 0
    told = getattr(sides.pending, name)
    offered, source = (told, PURCHASE) if told is not None else ((CREDITS, 0)[name == "used_credits"], RULE)
    if not sides.bought_is_live or (sides.own_is_paid and not sides.bought_is_paid):
        return PlanLine(key, name, now, own, PROFILE)
    if not sides.own_is_paid:
        if own in (0, offered):
            return PlanLine(key, name, now, offered, source)
        choices: tuple[Choice, ...] = (Choice("purchase", offered, source), Choice("profile", own, PROFILE))
        return PlanLine(key, name, now, offered, source, choices, "purchase")
    both = Choice("both", _of_both(name, sides), BOTH)
    choices = (both, Choice("purchase", offered, source), Choice("profile", own, PROFILE))
    return PlanLine(key, name, now, both.value, BOTH, choices, "both")


def _of_both(name: str, sides: Sides) -> int:
    if name == "used_credits" or sides.profile is None:
        return 0
    left = max(0, sides.profile.usage_credits - sides.profile.used_credits)
    kept = min(left, CREDITS * sum(row.is_paid for row in sides.own))
    bought = CREDITS if sides.pending.usage_credits is None else sides.pending.usage_credits
    return kept + max(0, bought - (sides.pending.used_credits or 0))


def _which_counts(sides: Sides, key: str) -> tuple[PlanLine, ...]:
    own, bought = memberships.serving(sides.own), memberships.serving(sides.bought)
    if own is None or bought is None or not (own.is_live and bought.is_live):
        return ()
    if own.is_complimentary is not bought.is_complimentary:
        return ()  # the paid one counts
    best = memberships.serving([own, bought])
    choices = (Choice("purchase", in_words(bought), PURCHASE), Choice("profile", in_words(own), PROFILE))
    chosen = choices[0] if best is bought else choices[1]
    return (PlanLine(key, COUNTS, choices[1].value, chosen.value, chosen.source, choices, chosen.key),)


def in_words(row: ProviderMembership) -> str:
    """A membership as a line of a plan names it."""
    until = f", until {row.period_end:%d %b %Y}" if row.period_end else ""
    return f"{row.external_id or 'without an id'} ({row.provider.value if row.provider else 'complimentary'}{until})"


def preferred(
    own: Sequence[ProviderMembership], bought: Sequence[ProviderMembership], counts: str | None
) -> ProviderMembership | None:
    """The membership that staff chose to count, where that is not the one which counts anyway."""
    if counts is None:
        return None
    chosen = memberships.serving(bought if counts == "purchase" else own)
    return chosen if chosen is not memberships.serving([*own, *bought]) else None


def same(name: str, one: Any, other: Any) -> bool:
    """Equal as the database compares them: addresses without regard to case."""
    if name == "email" and one is not None and other is not None:
        return comparable(one) == comparable(other)
    return bool(plain(one) == plain(other))


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
    values.pop(COUNTS, None)
    return values
