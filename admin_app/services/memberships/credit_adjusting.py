"""Credits that staff add, take, or give before their time; each is a row of `adjustments` and can be undone.

What was added counts with the period that runs: the next renewal gives a period's credits, and the rest lapses.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from admin_app.context import Ctx
from admin_app.errors import InvalidInput
from admin_app.policies.permissions import Permission, require
from admin_app.services import memberships
from admin_app.services.core.plans import Plan
from admin_app.services.memberships import adjustments, credits
from admin_app.services.memberships.adjustments import Account, Step
from admin_app.services.memberships.extras import name_of
from models.memberships import Adjustment, AdjustmentKind, ProviderMembership

MOST = 100_000
LAPSES = "What is left of them at the next renewal lapses with the rest."


class Way(StrEnum):
    """How staff change credits: add some, take some, or give the next period's now."""

    ADD = "add"
    TAKE = "take"
    RENEW = "renew"


KINDS = {
    Way.ADD: AdjustmentKind.CREDITS_ADDED,
    Way.TAKE: AdjustmentKind.CREDITS_TAKEN,
    Way.RENEW: AdjustmentKind.RENEWED_EARLY,
}
EVENTS = {
    Way.ADD: "profile.credits_added",
    Way.TAKE: "profile.credits_taken",
    Way.RENEW: "profile.credits_renewed_early",
}


def plan(ctx: Ctx, *, user_id: str, way: str, amount: str) -> Plan:
    """What adding or taking so many, or renewing early, would change; `amount` is not read for the last."""
    require(ctx, Permission.PROFILES_READ)
    return adjustments.plan_of(ctx, _step(ctx, adjustments.account_of(ctx, user_id, lock=False), way, amount))


def adjust(ctx: Ctx, *, user_id: str, way: str, amount: str, reason: str, shown: str) -> Adjustment:
    """Do what the shown plan said."""
    reason = adjustments.allowed(ctx, reason)
    account = adjustments.account_of(ctx, user_id, lock=True)
    step, wanted = _step(ctx, account, way, amount), Way(way)
    profile = adjustments.check(ctx, step, shown)
    dates: tuple[datetime | None, datetime | None] = (None, None)
    if step.row is not None and step.row.next_credits_at is not None:
        dates = step.row.next_credits_at, step.values["next_credits_at"]
        credits.give_early(ctx, step.row, profile, step.row.next_credits_at)
    changes = adjustments.carry_out(ctx, step, profile)
    made = adjustments.note(ctx, step, profile, KINDS[wanted], reason, dates)
    facts = {"due_at": dates[0]} if wanted is Way.RENEW else {}
    adjustments.tell(ctx, EVENTS[wanted], step, reason, changes, credits=abs(made.credits), **facts)
    return made


def _step(ctx: Ctx, account: Account, way: str, amount: str) -> Step:
    if way == Way.RENEW:
        return _to_renew(ctx, account)
    if way not in (Way.ADD, Way.TAKE):
        raise InvalidInput(fields={"way": "Choose what is to happen."})
    number = _read(amount)
    return _to_add(account, number) if way == Way.ADD else _to_take(account, number)


def _read(amount: str) -> int:
    text = amount.strip().replace(",", "")
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST:
        return int(text)
    raise InvalidInput(fields={"amount": f"Write a whole number from 1 to {MOST:,}."})


def _named(account: Account) -> str:
    return account.owner.email or account.owner.user_id


def _to_add(account: Account, number: int) -> Step:
    return Step(
        account,
        f"Add {number:,} credits for {_named(account)}",
        asked=(Way.ADD.value, number),
        credits={"usage_credits": account.usage + number, "used_credits": account.used},
        consequences=(f"{account.left:,} are left now.", LAPSES, "It can be undone as far as they are not used."),
    )


def _to_take(account: Account, number: int) -> Step:
    """What was used is used, so that no more than what is left can be taken."""
    if number > account.left:
        said = f"Take at most {account.left:,}: no more are left." if account.left else "No credits are left to take."
        raise InvalidInput(fields={"amount": said})
    return Step(
        account,
        f"Take {number:,} credits from {_named(account)}",
        asked=(Way.TAKE.value, number),
        credits={"usage_credits": account.usage - number, "used_credits": account.used},
        consequences=(f"{account.left:,} are left now.", "The next renewal gives all of a period’s credits again."),
    )


def _to_renew(ctx: Ctx, account: Account) -> Step:
    step = Step(account, f"Renew the credits of {_named(account)} early", asked=(Way.RENEW.value,))
    row = memberships.serving(account.rows)
    refusal = _not_early(ctx, row)
    if row is None or row.next_credits_at is None or refusal is not None:
        return replace(step, refusal=refusal)
    said = [
        f"The credits of the period that begins on {row.next_credits_at:%d %b %Y} are given now, and not again then.",
        "What is left now lapses." if account.left else "Nothing is left now.",
    ]
    if row.period_end is not None and row.next_credits_at >= row.period_end:
        said.append("That period is not paid for yet: should the membership end before, the credits stay.")
    return replace(
        step,
        asked=(*step.asked, name_of(row), row.next_credits_at),
        row=row,
        values={"next_credits_at": credits.following(row, row.next_credits_at)},
        credits=credits.with_next(row, account.left, account.rows),
        consequences=(*said, "It can be undone until that period begins."),
    )


def _not_early(ctx: Ctx, row: ProviderMembership | None) -> str | None:
    """Why there is no next period whose credits could be given now."""
    if row is None or not row.is_live or row.next_credits_at is None:
        return "The account holds no membership that gives credits. Add some instead."
    if credits.was_given_early(ctx.session, row, ctx.now):
        return "The credits of the next period were given early already."
    if row.next_credits_at <= ctx.now:
        return "Its credits are due now: they come by themselves within minutes."
    goes_on = not row.cancel_at_period_end and not row.is_complimentary
    if not goes_on and row.period_end is not None and row.next_credits_at >= row.period_end:
        return "The membership ends before its next period begins. Add credits instead."
    return None
