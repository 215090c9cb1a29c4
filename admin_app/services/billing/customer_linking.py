"""Finance says which client a Stripe customer is whom nobody here knows, where Stripe itself does not say it."""

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services import billing
from admin_app.services.billing import planned
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import client_key, customer_key
from admin_app.services.inbox.handling import release_waiting
from admin_app.services.subscriptions import owners as billing_owners
from models.billing import ClientCustomer
from models.clients import Client

KNOWN = (
    "This customer is a client's already. Where that is wrong, correct the client's number in its metadata at Stripe."
)


def plan_link(ctx: Ctx, *, customer_id: int, client_id: int) -> Plan:
    """What follows when this customer is that client; both by our own numbers. NotFound when one is not there."""
    require(ctx, Permission.BILLING_READ)
    row, client = _customer(ctx, customer_id), ctx.session.get(Client, client_id)
    if client is None:
        raise NotFound("There is no client with this number.")
    waiting = sorted(billing_owners.names_of_nobodys(ctx.session, row.stripe_customer_id))
    noun = "subscription" if len(waiting) == 1 else "subscriptions"
    return Plan(
        title=f"{row.stripe_customer_id} is {client.name}",
        outcome="linked",
        lines=(
            PlanLine(customer_key(row.id), "client_id", row.client_id, client.id, "what you typed"),
            *planned.of_customer(ctx.session, client, row, ctx.now),
        ),
        consequences=(
            f"Stripe is asked about {len(waiting)} {noun} of this customer, and the client has what is paid for.",
            "What waits in the inbox for this customer goes on by itself. Nothing changes at Stripe.",
            "To take it back, write another client's number into the customer's metadata at Stripe.",
        ),
        fingerprint=fingerprint(row, client.id, waiting),
        refusal=None if row.client_id is None else KNOWN,
    )


def link(ctx: Ctx, *, customer_id: int, client_id: int, reason: str, shown: str) -> ClientCustomer:
    """Note that this customer is that client, and have Stripe asked after the commit."""
    require(ctx, Permission.DRIFT_RESOLVE)
    reason = require_reason(reason)
    client = billing.locked(ctx, client_id)
    row = _customer(ctx, customer_id, lock=True)  # somebody else may be linking it this very moment
    plan = plan_link(ctx, customer_id=customer_id, client_id=client_id)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    number = row.stripe_customer_id
    billing_owners.keep(ctx, number, None, client_id=client.id, asked_at=ctx.now)
    billing.refresh(ctx, client, cause="stripe")
    audit.record(
        ctx,
        "client.customer_linked",
        records=[client_key(client.id), customer_key(row.id)],
        reason=reason,
        changes=[Change("client_id", None, client.id)],
        facts={"name": client.name, "customer": number},
    )
    once_key = f"ask_about_billing:{client.id}"
    job_queue.defer(ctx.session, "ask_about_billing", once_key=once_key, client_id=client.id)
    release_waiting(ctx, "stripe", {"customer_unknown"}, subjects=billing_owners.names_of_nobodys(ctx.session, number))
    return row


def _customer(ctx: Ctx, customer_id: int, *, lock: bool = False) -> ClientCustomer:
    row = ctx.session.get(ClientCustomer, customer_id, with_for_update=lock or None, populate_existing=True)
    if row is None:
        raise NotFound("There is no such Stripe customer.")
    return row
