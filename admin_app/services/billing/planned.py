"""What a command makes of a client's billing, for its plan: worked out by what puts it in force, line by line."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from admin_app.services.billing.subscriptions import open_override, subscriptions_of, without, worked_out
from admin_app.services.core.plans import PlanLine
from admin_app.services.core.records import client_key, subscription_key
from admin_app.services.subscriptions import owners
from models.billing import BillingOverride, ClientCustomer, Subscription
from models.clients import Client

# These are shown also where they stay as they are.
AS_HEARD = "Stripe, as it was last heard"
SHOWN = ("billing_status", "payment_active")


def of_override(
    session: Session, client: Client, override: BillingOverride | None, now: datetime, *, source: str
) -> tuple[PlanLine, ...]:
    """With this override in place of the one that stands, which need not be kept; None: with none at all."""
    standing = open_override(session, client.id)
    back = None if standing is None or override is not None else without(standing)
    after = worked_out(session, client, now, override=override, goes_back_to=back)
    return _lines(client, after, source)


def of_trial(
    session: Session, client: Client, now: datetime, *, values: dict[str, Any], source: str
) -> tuple[PlanLine, ...]:
    """With these values of a trial, which the client does not have yet."""
    columns = [column.key for column in inspect(Client).column_attrs]
    to_be = Client(**({name: getattr(client, name) for name in columns} | values))
    after = worked_out(session, to_be, now, override=open_override(session, client.id))
    return _lines(client, values | after, source, shown=(*SHOWN, "trial_ends_at"))


def of_customer(session: Session, client: Client, customer: ClientCustomer, now: datetime) -> tuple[PlanLine, ...]:
    """With this customer and its subscriptions that are nobody's, as Stripe was last heard to have them."""
    waiting = owners.nobodys(session, customer.stripe_customer_id)
    # In the order in which they will be read, which decides between two that open as much.
    subscriptions = sorted([*subscriptions_of(session, client.id), *waiting], key=lambda each: each.id)
    override = open_override(session, client.id)
    after = worked_out(session, client, now, override=override, subscriptions=subscriptions)
    customers = owners.in_order([*owners.customers_of(session, client.id), customer])
    after["stripe_customer_id"] = owners.shown(session, client, subscriptions, customers)
    gets = (PlanLine(subscription_key(each.id), "client_id", None, client.id, AS_HEARD) for each in waiting)
    return (*gets, *_lines(client, after, AS_HEARD))


def of_subscription(session: Session, row: Subscription, values: dict[str, Any], now: datetime) -> tuple[PlanLine, ...]:
    """With these values of one subscription, which Stripe is asked for."""
    columns = [column.key for column in inspect(Subscription).column_attrs]
    to_be = Subscription(**({name: getattr(row, name) for name in columns} | values))
    key = subscription_key(row.id)
    lines = tuple(PlanLine(key, name, getattr(row, name), value, "Stripe") for name, value in values.items())
    client = session.get(Client, row.client_id) if row.client_id else None
    if client is None:
        return lines
    subscriptions = [to_be if each.id == row.id else each for each in subscriptions_of(session, client.id)]
    override = open_override(session, client.id)
    after = worked_out(session, client, now, override=override, subscriptions=subscriptions)
    return (*lines, *_lines(client, after, "Stripe", shown=()))


def _lines(
    client: Client, after: dict[str, Any], source: str, *, shown: Collection[str] = SHOWN
) -> tuple[PlanLine, ...]:
    about = client_key(client.id)
    lines = (PlanLine(about, name, getattr(client, name), value, source) for name, value in after.items())
    return tuple(line for line in lines if line.changes or line.field in shown)
