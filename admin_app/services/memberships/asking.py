"""Asks a provider what was paid for a membership, when a delivery says that something was paid or given back.

Transaction, network, transaction. An answer is all that the provider knows, so it does not matter which delivery asked.
"""

from collections.abc import Collection, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.integrations import job_queue
from admin_app.integrations.registry import Providers
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, fingerprint
from admin_app.services.core.records import membership_key
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.inbox.handling import NotConfigured
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.memberships import paid
from admin_app.services.memberships.extras import name_of
from admin_app.services.memberships.paid import PaymentSnapshot
from admin_app.services.memberships.rows import seller_of
from models.memberships import MembershipPayment, PaymentProvider, ProviderMembership

Port = TypeVar("Port")
NAMELESS = "The provider’s id of this membership is not known, so nobody can be asked what was paid for it."


def heard(
    ctx: Ctx,
    provider: PaymentProvider,
    *,
    membership: str | None = None,
    payment: str | None = None,
    customer: str | None = None,
) -> list[str]:
    """Have those memberships asked about that such news are about; their names, none when it is nothing held here."""
    found = _named(ctx.session, provider, ProviderMembership.external_id == membership) if membership else []
    if not found and payment:
        of_payment = select(MembershipPayment.membership_id).where(
            MembershipPayment.provider == provider, MembershipPayment.external_id == payment
        )
        found = _named(ctx.session, provider, ProviderMembership.id.in_(of_payment))
    if not found and customer:
        found = _named(ctx.session, provider, ProviderMembership.provider_customer_id == customer)
    for row in found:
        queue(ctx, row.id)
    return [row.external_id or "" for row in found]


def _named(session: Session, provider: PaymentProvider, which: ColumnElement[bool]) -> Sequence[ProviderMembership]:
    named = select(ProviderMembership).where(
        ProviderMembership.provider == provider, ProviderMembership.external_id.is_not(None), which
    )
    return session.scalars(named.order_by(ProviderMembership.id)).all()


def queue(ctx: Ctx, membership_id: int) -> None:
    """Have the provider asked after the commit; one job for a membership at a time."""
    once = f"ask_what_was_paid:{membership_id}"
    job_queue.defer(ctx.session, "ask_what_was_paid", once_key=once, membership_id=membership_id)


def after_refund(ctx: Ctx, payment: MembershipPayment) -> None:
    """What a refund did to the payment and, at Whop, to the membership itself, is asked."""
    queue(ctx, payment.membership_id)
    row = ctx.session.get(ProviderMembership, payment.membership_id)
    if payment.provider is PaymentProvider.WHOP and row is not None and row.external_id is not None:
        once = f"compare_membership:{row.external_id}"
        job_queue.defer(ctx.session, "compare_membership", once_key=once, membership_id=row.external_id)


def ask(work: Work, providers: Providers, *, membership_id: int) -> None:
    """Fetch what was paid for the membership and apply it; nothing to do where the provider is not configured."""
    with work() as ctx:
        row = ctx.session.get(ProviderMembership, membership_id)
        if row is None or row.provider is None or row.external_id is None:
            return
        provider, name, asked_at = row.provider, row.external_id, ctx.now
    try:
        snapshots = _fetch(providers, provider, name)
    except NotConfigured:
        return
    with work() as ctx:
        paid.apply(ctx, membership_id, snapshots, asked_at=asked_at)


def refresh_payment(work: Work, providers: Providers, *, payment_id: int) -> None:
    """Fetch how one payment is now, with every refund of it, and apply that.

    Raises NotConfigured or ProviderUnavailable when nobody says.
    """
    with work() as ctx:
        payment = ctx.session.get(MembershipPayment, payment_id)
        if payment is None:
            raise NotFound("There is no such payment.")
        asked_at, membership_id = ctx.now, payment.membership_id
        provider, name, invoice_id = payment.provider, payment.external_id, payment.invoice_id
    snapshot = _fetch_one(providers, provider, name, invoice_id)
    if snapshot is not None:
        with work() as ctx:
            paid.apply(ctx, membership_id, [snapshot], asked_at=asked_at, is_all=False)


def never_asked(session: Session, providers: Collection[PaymentProvider], *, limit: int) -> Sequence[int]:
    """Memberships of these providers about which nobody was asked yet, the oldest first."""
    waiting = select(ProviderMembership.id).where(
        ProviderMembership.payments_asked_at.is_(None),
        ProviderMembership.external_id.is_not(None),
        ProviderMembership.provider.in_(providers),
    )
    return session.scalars(waiting.order_by(ProviderMembership.id).limit(limit)).all()


def configured(providers: Providers) -> list[PaymentProvider]:
    """The providers that can be asked here, because their key is set."""
    each = {PaymentProvider.WHOP: providers.whop, PaymentProvider.STRIPE: providers.stripe}
    return [provider for provider, port in each.items() if port is not None]


def plan_ask(ctx: Ctx, *, membership_id: int) -> Plan:
    """What asking the provider what was paid can lead to."""
    require(ctx, Permission.PAYMENTS_READ)
    row = _found(ctx.session, membership_id)
    there = provider_name(seller_of(row))
    return Plan(
        title=f"Ask {there} what was paid",
        outcome="asked",
        lines=(),
        consequences=(
            f"{there} is asked in a moment for the payments of {name_of(row)} and for what of them went back.",
            "What it says is shown here. Nothing changes there.",
        ),
        fingerprint=fingerprint(row.id),
        refusal=NAMELESS if row.external_id is None else None,
    )


def ask_soon(ctx: Ctx, *, membership_id: int) -> ProviderMembership:
    """Have the provider asked after the commit, because a person wants to know."""
    require(ctx, Permission.REFUNDS_REQUEST)
    row = _found(ctx.session, membership_id)
    seller_of(row)
    if row.external_id is None:
        raise Conflict(NAMELESS)
    queue(ctx, row.id)
    records, facts = [membership_key(name_of(row))], {"membership": name_of(row)}
    audit.record(ctx, "membership.payments_asked", records=records, facts=facts)
    return row


def _found(session: Session, membership_id: int) -> ProviderMembership:
    row = session.get(ProviderMembership, membership_id)
    if row is None:
        raise NotFound("This membership is not here any more.")
    return row


def _fetch(providers: Providers, provider: PaymentProvider, name: str) -> list[PaymentSnapshot]:
    if provider is PaymentProvider.WHOP:
        whop = _configured(providers.whop, "whop")
        return [
            PaymentSnapshot.of_whop(found, whop.refunds_of(found.id) if found.refunded else None)
            for found in whop.payments_of(name)
        ]
    stripe = _configured(providers.stripe, "stripe")
    return [
        PaymentSnapshot.of_invoice(found, stripe.refunds_of(found.payment.id) if found.payment.refunded else None)
        for found in stripe.invoice_payments_of(name)
    ]


def _fetch_one(
    providers: Providers, provider: PaymentProvider, name: str, invoice_id: str | None
) -> PaymentSnapshot | None:
    if provider is PaymentProvider.WHOP:
        whop = _configured(providers.whop, "whop")
        payment = whop.payment(name)
        return None if payment is None else PaymentSnapshot.of_whop(payment, whop.refunds_of(name))
    stripe = _configured(providers.stripe, "stripe")
    found = stripe.payment(name)
    return None if found is None else PaymentSnapshot.of_stripe(found, stripe.refunds_of(name), invoice_id=invoice_id)


def _configured(port: Port | None, provider: str) -> Port:
    if port is None:
        raise NotConfigured(provider)
    return port
