"""What a command makes of a client's billing, for its plan: worked out by what puts it in force, line by line."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from admin_app.services.billing.subscriptions import open_override, without, worked_out
from admin_app.services.plans import PlanLine
from admin_app.services.records import client_key
from models.billing import BillingOverride
from models.clients import Client

# These are shown also where they stay as they are.
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


def _lines(
    client: Client, after: dict[str, Any], source: str, *, shown: Collection[str] = SHOWN
) -> tuple[PlanLine, ...]:
    about = client_key(client.id)
    lines = (PlanLine(about, name, getattr(client, name), value, source) for name, value in after.items())
    return tuple(line for line in lines if line.changes or line.field in shown)
