"""What Stripe says about a client beside what is in force, why they differ, and what is due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from admin_app.policies.permissions import Permission
from admin_app.services import billing
from admin_app.services.core.amounts import money_text
from admin_app.services.subscriptions import billing_mapping
from models import BillingOverride, BillingStatus, Client, ClientCustomer, Subscription
from views.console.framework.columns import age_text, plain_text, record_address, time_text
from views.console.framework.current_staff import Viewer

NO_SUBSCRIPTION = "no subscription"
COUNTED = (
    "A month is every item by Stripe’s own arithmetic, after discounts that last for ever. "
    "Discounts that end, taxes and what is charged by use are not in it."
)

# Each customer as JSON: joined as rows they would multiply the subscriptions, and a query of their own can be felt.
_CUSTOMERS = (
    select(
        func.jsonb_agg(
            aggregate_order_by(
                func.to_jsonb(literal_column("client_customers")),
                ClientCustomer.deleted_at.is_not(None),
                ClientCustomer.last_seen_at.desc().nulls_last(),
                ClientCustomer.id.desc(),
            )
        )
    )
    .select_from(ClientCustomer)
    .where(ClientCustomer.client_id == Client.id)
    .scalar_subquery()
    .label("customers")
)
_OF_CLIENT = (
    select(Client, Subscription, BillingOverride, _CUSTOMERS)
    .outerjoin(Subscription, Subscription.client_id == Client.id)
    .outerjoin(BillingOverride, and_(BillingOverride.client_id == Client.id, BillingOverride.lifted_at.is_(None)))
    .order_by(Subscription.id)
)


@dataclass(frozen=True)
class Line:
    """One field: what Stripe says, what is in force, and whether they differ."""

    label: str
    at_stripe: str
    in_force: str

    @property
    def differs(self) -> bool:
        return self.at_stripe not in (self.in_force, NO_SUBSCRIPTION)


def panel(session: Session, client_id: int, now: datetime, viewer: Viewer) -> dict[str, Any]:
    """What `console/billing/billing_panel.html` shows, by one query."""
    rows = session.execute(_OF_CLIENT.where(Client.id == client_id)).all()
    if not rows:
        return {}
    client, override = rows[0].Client, rows[0].BillingOverride
    subscriptions = [row.Subscription for row in rows if row.Subscription is not None]
    counts = billing_mapping.most_access(subscriptions)
    return {
        "lines": _lines(client, counts, now, viewer.zone),
        "why": _why(client, counts, override, now, gave_way=billing.gave_way(client, subscriptions)),
        "override": _override(override, now, viewer.zone),
        "subscription": _subscription(counts, now, viewer.zone),
        "others": max(0, len(subscriptions) - 1),
        "customers": [_customer(each, client, viewer.zone) for each in rows[0].customers or ()],
        "pages": _pages(client, counts),
        "commands": list(_commands(client, subscriptions, override, viewer)),
        "pending": _pending(counts, now, viewer.zone),
    }


def _lines(client: Client, counts: Subscription | None, now: datetime, zone: ZoneInfo) -> list[Line]:
    in_force = (
        ("Status", client.billing_status),
        ("Payment active", client.payment_active),
        ("Cancellation pending", client.pending_cancellation),
        ("Cancellation asked for", client.cancellation_requested_at),
        ("Trial used", client.trial_used_at),
        ("Trial ends", client.trial_ends_at),
    )
    if counts is None:
        return [Line(label, NO_SUBSCRIPTION, plain_text(value, zone)) for label, value in in_force]
    status, payment_active = billing_mapping.meaning(counts.status, collection_paused=counts.collection_paused)
    says = (
        status,
        payment_active,
        billing_mapping.pending_cancellation(counts, now),
        billing_mapping.cancellation_requested_at(counts, now),
        billing_mapping.trial_began_at(counts),
        counts.trial_end,
    )
    return [
        Line(label, plain_text(told, zone), plain_text(value, zone))
        for (label, value), told in zip(in_force, says, strict=True)
    ]


def _why(
    client: Client, counts: Subscription | None, override: BillingOverride | None, now: datetime, *, gave_way: bool
) -> str:
    """Where what is in force comes from, in a sentence or two."""
    basis = _basis_of(client, counts, now, gave_way=gave_way)
    return f"Finance overrides this. {basis}" if override is not None and override.until > now else basis


def _basis_of(client: Client, counts: Subscription | None, now: datetime, *, gave_way: bool) -> str:
    granted = client.trial_granted_until
    runs = client.billing_status is BillingStatus.TRIAL and granted is not None and granted > now
    if runs and not gave_way and (counts is None or billing_mapping.is_over(counts)):
        return "A trial that staff granted runs."
    if counts is not None:
        word = counts.status.replace("_", " ")
        paused = ", and its collection is paused" if counts.collection_paused else ""
        return f"Stripe calls the subscription “{word}”{paused}."
    return "No subscription is known, so what was noted here holds."


def _override(override: BillingOverride | None, now: datetime, zone: ZoneInfo) -> dict[str, Any] | None:
    if override is None or override.until <= now:
        return None
    return {
        "facts": [
            ("Counts as", plain_text(override.status, zone)),
            ("Why", override.reason),
            ("By", override.by),
            ("Since", time_text(override.since, zone)),
            ("Until", time_text(override.until, zone)),
        ],
        "href": record_address("billing-overrides", override.id),
    }


def _subscription(found: Subscription | None, now: datetime, zone: ZoneInfo) -> dict[str, Any] | None:
    if found is None:
        return None
    facts = [("A month", money_text(found.monthly_amount, found.currency))]
    if found.amount_due:
        facts.append(("Amount due", money_text(found.amount_due, found.currency)))
    if found.past_due_since is not None:
        facts.append(
            ("Past due", f"for {age_text(now - found.past_due_since)}, since {time_text(found.past_due_since, zone)}")
        )
        attempt = found.next_payment_attempt
        facts.append(("Next attempt", time_text(attempt, zone) if attempt else "none: Stripe does not try again"))
    if found.current_period_end is not None:
        facts.append(("Period ends", time_text(found.current_period_end, zone)))
    if found.ended_at is not None:
        facts.append(("Ended", time_text(found.ended_at, zone)))
    facts.append(("Asked last", time_text(found.fetched_at, zone)))
    return {
        "facts": facts,
        "href": record_address("subscriptions", found.id),
        "name": found.stripe_subscription_id,
        "counted": COUNTED,
    }


def _customer(found: Mapping[str, Any], client: Client, zone: ZoneInfo) -> dict[str, Any]:
    """One of the customers that the client is at Stripe."""
    told = [part for part in (found["email"], found["name"]) if part]
    for said, name in (("since", "since"), ("deleted at Stripe, heard", "deleted_at")):
        if found[name]:
            told.append(f"{said} {time_text(datetime.fromisoformat(found[name]), zone)}")
    return {
        "id": found["stripe_customer_id"],
        "href": record_address("client-customers", found["id"]),
        "told": " · ".join(told),
        "counts": found["stripe_customer_id"] == client.stripe_customer_id,
    }


def _pending(counts: Subscription | None, now: datetime, zone: ZoneInfo) -> str | None:
    """That the subscription ends, and when."""
    if counts is None or not billing_mapping.pending_cancellation(counts, now):
        return None
    ends = billing_mapping.cancels_at(counts, now)
    return f"A cancellation takes effect on {time_text(ends, zone)}." if ends else "A cancellation is pending."


def _pages(client: Client, counts: Subscription | None) -> list[tuple[str, str]]:
    pages = [
        ("All subscriptions", f"/admin/subscriptions/?client={client.id}"),
        ("All overrides", f"/admin/billing-overrides/?client={client.id}"),
    ]
    if counts is not None:
        pages.append(("Stripe’s events", f"/admin/webhook-events/?subject={counts.stripe_subscription_id}"))
    return pages


def _commands(
    client: Client, subscriptions: Sequence[Subscription], override: BillingOverride | None, viewer: Viewer
) -> Sequence[tuple[str, str]]:
    """Labels and addresses of what this viewer may do."""
    counts = billing_mapping.most_access(subscriptions)
    address, commands = f"{record_address('clients', client.id)}/billing", []
    if viewer.may(Permission.BILLING_OVERRIDE):
        commands.append(("Override the status" if override is None else "Change the override", f"{address}/override"))
        if override is not None:
            commands.append(("Lift the override", f"{address}/lift"))
    if viewer.may(Permission.TRIALS_GRANT):
        if client.trial_used_at is None and counts is None:
            commands.append(("Grant a trial", f"{address}/trial"))
        was_granted = client.trial_granted_until is not None and not billing.gave_way(client, subscriptions)
        if was_granted or (counts is not None and counts.status == "trialing"):
            commands.append(("Extend the trial", f"{address}/extend"))
    known = client.stripe_customer_id or client.stripe_subscription_id or counts
    if known and viewer.may(Permission.DRIFT_RUN):
        commands.append(("Ask Stripe now", f"{address}/ask"))
    return commands
