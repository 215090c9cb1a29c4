"""The steps of a client's billing over time: status and recurring revenue, appended and never changed."""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.services.subscriptions import billing_mapping
from models.billing import BillingChange, Movement, Subscription
from models.clients import BillingStatus

Cause = Literal["stripe", "override", "override_ended", "trial", "comparison"]


def monthly_amounts(subscriptions: Collection[Subscription]) -> dict[str, int]:
    """Recurring revenue per currency, in its minor units."""
    amounts: Counter[str] = Counter()
    for found in subscriptions:
        if found.currency is not None and billing_mapping.is_paying(found.status):
            amounts[found.currency] += found.monthly_amount
    return dict(amounts)


def movement(before: int, after: int) -> Movement:
    """What a step did to the revenue; a client who comes back after churn is new."""
    if before == after:
        return Movement.NONE
    if before == 0:
        return Movement.NEW
    if after == 0:
        return Movement.CHURN
    return Movement.EXPANSION if after > before else Movement.CONTRACTION


def note(
    ctx: Ctx,
    client_id: int,
    statuses: tuple[BillingStatus, BillingStatus],
    subscriptions: Collection[Subscription],
    *,
    cause: Cause,
    at: datetime,
) -> list[BillingChange]:
    """Append what changed: one step per currency whose revenue moved, or one for a status that moved alone.

    A step is never dated ahead of now, nor before the one it follows, which a transaction that waited for the client
    may have begun before.
    """
    recorded = _recorded(ctx.session, client_id)
    now = monthly_amounts(subscriptions)
    moved = sorted(currency for currency in {*recorded, *now} if recorded.get(currency, 0) != now.get(currency, 0))
    before, after = statuses
    if before is after and not moved:
        return []
    currencies: list[str | None] = [*moved] or [_main_currency(now, recorded)]
    dated = max([min(at, ctx.now), *_last(ctx.session, client_id)])
    steps = []
    for currency in currencies:
        was, becomes = recorded.get(currency or "", 0), now.get(currency or "", 0)
        step = BillingChange(
            client_id=client_id,
            at=dated,
            recorded_at=ctx.now,
            status_before=before,
            status_after=after,
            currency=currency,
            monthly_before=was,
            monthly_after=becomes,
            movement=movement(was, becomes),
            cause=cause,
        )
        ctx.session.add(step)
        steps.append(step)
        before = after  # the status moves once, with the first of them
    ctx.session.flush()
    return steps


def _main_currency(now: Mapping[str, int], recorded: Mapping[str, int]) -> str | None:
    amounts = now or recorded
    return max(amounts, key=lambda currency: (amounts[currency], currency), default=None)


def _recorded(session: Session, client_id: int) -> dict[str, int]:
    """The revenue per currency as the history has it."""
    newest = (
        select(BillingChange.currency, BillingChange.monthly_after)
        .where(BillingChange.client_id == client_id, BillingChange.currency.is_not(None))
        .ext(distinct_on(BillingChange.currency))
        .order_by(BillingChange.currency, BillingChange.id.desc())
    )
    return {str(currency): amount for currency, amount in session.execute(newest)}


def _last(session: Session, client_id: int) -> list[datetime]:
    """When the newest step was, for all that it is in a list: there may be none."""
    of_client = select(BillingChange.at).where(BillingChange.client_id == client_id)
    return list(session.scalars(of_client.order_by(BillingChange.at.desc()).limit(1)))
