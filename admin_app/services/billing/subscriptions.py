"""A client's billing: Stripe's subscriptions as last fetched, and what is in force because of them.

Events, comparisons and people who ask all end in `apply_subscription`, in any order and any number of times: what was
fetched is applied, never what a delivery says. `refresh` works out anew what is in force.
Locks: clients by number, then the subscription, then its customer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.integrations import job_queue
from admin_app.integrations.money_ports import StripeCustomer, StripeSubscription
from admin_app.services.billing import billing_history
from admin_app.services.billing.billing_history import Cause
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.records import client_key, subscription_key
from admin_app.services.subscriptions import billing_mapping
from admin_app.services.subscriptions import owners as billing_owners
from admin_app.services.subscriptions.owners import Owners
from models.billing import BillingOverride, Subscription
from models.clients import BillingStatus, Client

FETCHED = (
    *("stripe_customer_id", "status", "collection_paused", "currency", "monthly_amount", "price_id", "trial_end"),
    *("current_period_start", "current_period_end", "cancel_at_period_end", "cancel_at", "canceled_at", "ended_at"),
    *("started_at", "amount_due", "past_due_since", "next_payment_attempt"),
)
IN_FORCE = (
    *("billing_status", "payment_active", "pending_cancellation", "cancellation_requested_at"),
    *("trial_used_at", "trial_ends_at", "stripe_subscription_id"),
)
DERIVED = (*IN_FORCE, "stripe_customer_id")
# What a subscription puts there and takes along when it goes to somebody else; a trial that began is used for good.
OF_NO_SUBSCRIPTION: Mapping[str, Any] = MappingProxyType(
    dict.fromkeys(("cancellation_requested_at", "trial_ends_at", "stripe_subscription_id"))
    | {"pending_cancellation": False}
)
BY_THE_CLOCK = "the clock"
# A row's status between its making and its first writing, in one transaction.
NOT_SEEN = ""


@dataclass(frozen=True)
class Meaning:
    """A status, and whether payment is active."""

    status: BillingStatus
    payment_active: bool

    @classmethod
    def of(cls, client: Client) -> "Meaning":
        return cls(client.billing_status, client.payment_active)

    @classmethod
    def decided(cls, status: BillingStatus) -> "Meaning":
        """What an override means: somebody who is said to be active or on trial is served."""
        return cls(status, status in (BillingStatus.ACTIVE, BillingStatus.TRIAL))


WITHOUT_SUBSCRIPTION = Meaning(*billing_mapping.NO_SUBSCRIPTION)


def apply_subscription(
    ctx: Ctx,
    found: StripeSubscription,
    *,
    cause: Cause,
    fetched_at: datetime | None = None,
    told_at: datetime | None = None,
    named: int | None = None,
) -> Client | None:
    """Keep a fetched subscription and bring its client to what it means; None when nobody here is that customer.

    `fetched_at` is when Stripe was asked, now when left out: an older answer never overwrites a newer one. `told_at` is
    when the event happened that made us ask. `named` is the client whom the checkout named that it began with.
    """
    fetched_at = fetched_at or ctx.now
    owners, clients = _locked_owners(ctx, lambda: billing_owners.of_subscription(ctx.session, found, named=named))
    row = _locked_row(ctx, found, fetched_at)
    if row.fetched_at > fetched_at:
        return clients.get(row.client_id or 0)
    owner, former_owner = clients.get(owners.owner or 0), clients.get(owners.former or 0)
    seen_before = row.fetched_at if row.status != NOT_SEEN else None
    former_status = _write(ctx, row, found, owner, fetched_at)
    billing_owners.keep(ctx, found.customer_id, found.customer, client_id=owners.holder, asked_at=fetched_at)
    at = billing_mapping.happened_at(row, former_status) or told_at
    if at is not None and seen_before is not None:
        # What was not there yet when Stripe was last asked came after that, whatever an old event or invoice says.
        at = max(at, seen_before)
    # Whoever loses something goes first: a number of Stripe's stands with one client only.
    if former_owner is not None and former_owner is not owner:
        _nothing_of_before(ctx, former_owner)
        back = WITHOUT_SUBSCRIPTION
        refresh(ctx, former_owner, cause=cause, at=at, goes_back_to=back, left=True, moved=found.customer_id)
    for other in owners.others:
        refresh(ctx, clients[other], cause=cause, moved=found.customer_id)
    if owner is not None:
        refresh(ctx, owner, cause=cause, at=at)
    return owner


def apply_customer(ctx: Ctx, found: StripeCustomer, *, cause: Cause, asked_at: datetime) -> Sequence[Client]:
    """Keep what Stripe says of a customer; answers the clients whose subscriptions are to be asked about because of it.

    Whose a subscription is follows from the customer only where it names nobody itself, so it is looked at anew.
    """
    owners, clients = _locked_owners(ctx, lambda: billing_owners.of_customer(ctx.session, found))
    known = billing_owners.customer(ctx.session, found.id)
    if known is None and owners.holder is None and found.client_id is None:
        return ()
    was_deleted = known is not None and known.deleted_at is not None
    billing_owners.keep(ctx, found.id, found, client_id=owners.holder, asked_at=asked_at)
    for other in owners.others:
        refresh(ctx, clients[other], cause=cause, moved=found.id)
    changed = owners.held_by != owners.holder or (found.is_deleted and not was_deleted)
    return [clients[number] for number in sorted(owners.concerned)] if changed else ()


def locked(ctx: Ctx, client_id: int) -> Client:
    """The client as the database has it now, its row locked until the commit. Raises NotFound."""
    client = ctx.session.get(Client, client_id, with_for_update=True, populate_existing=True)
    if client is None:
        raise NotFound("There is no such client.")
    return client


def subscriptions_of(session: Session, client_id: int) -> Sequence[Subscription]:
    """All subscriptions of a client, ended ones included, oldest first and read anew."""
    of_client = select(Subscription).where(Subscription.client_id == client_id).order_by(Subscription.id)
    return session.scalars(of_client.execution_options(populate_existing=True)).all()


def open_override(session: Session, client_id: int) -> BillingOverride | None:
    """The override that nobody has lifted, also when its time is over."""
    is_open = (BillingOverride.client_id == client_id, BillingOverride.lifted_at.is_(None))
    return session.scalars(select(BillingOverride).where(*is_open)).one_or_none()


def live(subscriptions: Iterable[Subscription]) -> list[Subscription]:
    """Those that are not over."""
    return [found for found in subscriptions if not billing_mapping.is_over(found)]


def gave_way(client: Client, subscriptions: Sequence[Subscription]) -> bool:
    """Whether a subscription took the place of the trial that staff granted, which is over and used then, for good."""
    used_at = _trial_used_at(client, subscriptions)
    if client.trial_granted_until is None or used_at is None:
        return False
    return billing_mapping.had_since(subscriptions, used_at)


def refresh(
    ctx: Ctx,
    client: Client,
    *,
    cause: Cause,
    at: datetime | None = None,
    goes_back_to: Meaning | None = None,
    left: bool = False,
    moved: str | None = None,
) -> bool:
    """Work out anew what is in force for a locked client; whether anything changed.

    `at` is when it happened, now when left out. `goes_back_to` is for a client without subscriptions, whose
    override was just lifted, or whose last subscription is somebody else's now. With `left` it is, and nothing that
    came from it stays. `moved` is a customer that changes hands, whoever has its number in the column.
    """
    override = open_override(ctx.session, client.id)
    if override is not None and override.until <= ctx.now:
        goes_back_to = without(override)
        cause, at = "override_ended", override.until
        _end_by_the_clock(ctx, override)
        override = None
    after = worked_out(ctx.session, client, ctx.now, override=override, goes_back_to=goes_back_to, left=left)
    if client.stripe_customer_id != moved:
        billing_owners.adopt(ctx, client)
    subscriptions = subscriptions_of(ctx.session, client.id)
    after["stripe_customer_id"] = billing_owners.shown(ctx.session, client, subscriptions)
    return _put_in_force(ctx, client, subscriptions, after, cause, at)


def worked_out(
    session: Session,
    client: Client,
    now: datetime,
    *,
    override: BillingOverride | None,
    goes_back_to: Meaning | None = None,
    left: bool = False,
    subscriptions: Sequence[Subscription] | None = None,
) -> dict[str, Any]:
    """What is in force for this client, by field, as long as the override is; nothing is written.

    For plans, client, override and `subscriptions` may be as they will be once the command has acted.
    """
    if override is not None and override.until <= now:
        goes_back_to, override = without(override), None
    subscriptions = subscriptions_of(session, client.id) if subscriptions is None else subscriptions
    basis = _basis(client, subscriptions, goes_back_to or Meaning.of(client), now)
    means = basis if override is None else Meaning.decided(override.status)
    return {
        **{name: getattr(client, name) for name in IN_FORCE},
        **(OF_NO_SUBSCRIPTION if left else {}),
        **_facts(client, subscriptions, now),
        "billing_status": means.status,
        "payment_active": means.payment_active,
    }


def follow_at(ctx: Ctx, client_id: int, at: datetime) -> None:
    """Have what is in force worked out anew at the moment at which something ends."""
    once_key = f"refresh_billing:{client_id}:{at.timestamp():.6f}"
    job_queue.defer(ctx.session, "refresh_billing", once_key=once_key, at=at, client_id=client_id)


def due(session: Session, now: datetime, *, limit: int) -> list[int]:
    """Clients whose override or granted trial is over although it is still in force: what no job has followed."""
    overridden = (
        select(BillingOverride.client_id)
        .where(BillingOverride.lifted_at.is_(None), BillingOverride.until <= now)
        .order_by(BillingOverride.until)
        .limit(limit)
    )
    on_trial = (
        select(Client.id)
        .where(Client.billing_status == BillingStatus.TRIAL, Client.trial_ends_at <= now)
        .where(Client.trial_granted_until == Client.trial_ends_at)
        .where(~exists().where(BillingOverride.client_id == Client.id, BillingOverride.lifted_at.is_(None)))
        .order_by(Client.trial_ends_at)
        .limit(limit)
    )
    return sorted({*session.scalars(overridden), *session.scalars(on_trial)})


def refresh_by_the_clock(ctx: Ctx, *, client_id: int) -> bool:
    """What an override's or a granted trial's end asks for; nothing when it is not over, or somebody was faster."""
    client = locked(ctx, client_id)
    granted = client.trial_granted_until
    over = granted is not None and granted <= ctx.now
    return refresh(ctx, client, cause="trial", at=granted if over else None)


def without(override: BillingOverride) -> Meaning:
    """What was in force before an override."""
    return Meaning(override.status_without, override.payment_active_without)


def without_override(session: Session, client: Client, now: datetime) -> Meaning:
    """What is in force, or comes back in force, when nobody overrides it."""
    override = open_override(session, client.id)
    kept = Meaning.of(client) if override is None else without(override)
    return _basis(client, subscriptions_of(session, client.id), kept, now)


def _basis(client: Client, subscriptions: Sequence[Subscription], kept: Meaning, now: datetime) -> Meaning:
    """What is in force when nobody decided otherwise."""
    granted = client.trial_granted_until
    if granted is not None and granted > now and not (live(subscriptions) or gave_way(client, subscriptions)):
        return Meaning(BillingStatus.TRIAL, True)
    counts = billing_mapping.most_access(subscriptions)
    if counts is not None:
        return Meaning(*billing_mapping.meaning(counts.status, collection_paused=counts.collection_paused))
    return kept if granted is None else Meaning(*billing_mapping.NO_SUBSCRIPTION)


def _put_in_force(
    ctx: Ctx,
    client: Client,
    subscriptions: Sequence[Subscription],
    after: Mapping[str, Any],
    cause: Cause,
    at: datetime | None,
) -> bool:
    before = {name: getattr(client, name) for name in DERIVED}
    statuses = (client.billing_status, after["billing_status"])
    billing_history.note(ctx, client.id, statuses, subscriptions, cause=cause, at=at or ctx.now)
    changes = [Change(name, before[name], after[name]) for name in DERIVED if before[name] != after[name]]
    if not changes:
        return False
    for name in DERIVED:
        setattr(client, name, after[name])
    client.version += 1
    client.updated_at = ctx.now
    ctx.session.flush()
    counts = billing_mapping.most_access(subscriptions)
    audit.record(
        ctx,
        "client.billing_changed",
        records=[client_key(client.id), *([subscription_key(counts.id)] if counts else [])],
        changes=changes,
        facts={"name": client.name, "status": _word(after["billing_status"]), "cause": cause},
    )
    return True


def _facts(client: Client, subscriptions: Sequence[Subscription], now: datetime) -> dict[str, Any]:
    """What hangs on Stripe alone, whoever decided about the status; nothing for a client without subscriptions."""
    granted = client.trial_granted_until
    counts = billing_mapping.most_access(subscriptions)
    if counts is None:
        return {} if granted is None else {"trial_ends_at": granted}
    ends_here = granted is not None and not (live(subscriptions) or gave_way(client, subscriptions))
    return {
        "pending_cancellation": billing_mapping.pending_cancellation(counts, now),
        "cancellation_requested_at": billing_mapping.cancellation_requested_at(counts, now),
        "trial_used_at": _trial_used_at(client, subscriptions),
        "trial_ends_at": granted if ends_here else counts.trial_end,
        "stripe_subscription_id": counts.stripe_subscription_id,
    }


def _trial_used_at(client: Client, subscriptions: Sequence[Subscription]) -> datetime | None:
    """When the first trial began, here or at Stripe."""
    began = [client.trial_used_at, *(billing_mapping.trial_began_at(found) for found in subscriptions)]
    return min((moment for moment in began if moment is not None), default=None)


def _word(status: BillingStatus) -> str:
    return status.value.replace("_", " ")


def _end_by_the_clock(ctx: Ctx, override: BillingOverride) -> None:
    override.lifted_at, override.lifted_by = override.until, BY_THE_CLOCK
    override.version += 1
    ctx.session.flush()
    audit.record(
        ctx,
        "client.billing_override_ended",
        records=[client_key(override.client_id)],
        facts={"status": _word(override.status)},
    )


def _locked_owners(ctx: Ctx, look: Callable[[], Owners]) -> tuple[Owners, Mapping[int, Client]]:
    """Whose it is and was, and all of them locked."""
    held: dict[int, Client] = {}
    while True:
        owners = look()
        if owners.concerned <= held.keys():
            return owners, held
        # What was found may have changed until the lock was there, so it is looked at again.
        held |= {number: locked(ctx, number) for number in sorted(owners.concerned - held.keys())}


def _nothing_of_before(ctx: Ctx, former_owner: Client) -> None:
    """Nor does the end of an override bring back what a subscription meant that is somebody else's by now."""
    override = open_override(ctx.session, former_owner.id)
    if override is not None:
        override.status_without, override.payment_active_without = billing_mapping.NO_SUBSCRIPTION
        override.version += 1


def _locked_row(ctx: Ctx, found: StripeSubscription, fetched_at: datetime) -> Subscription:
    """The subscription's row, made when there is none yet."""
    ctx.session.execute(
        insert(Subscription)
        .values(
            stripe_subscription_id=found.id,
            stripe_customer_id=found.customer_id,
            status=NOT_SEEN,
            fetched_at=fetched_at,
            created_at=ctx.now,
            updated_at=ctx.now,
        )
        .on_conflict_do_nothing()
    )
    of_it = select(Subscription).where(Subscription.stripe_subscription_id == found.id)
    return ctx.session.scalars(of_it.with_for_update().execution_options(populate_existing=True)).one()


def _write(
    ctx: Ctx, row: Subscription, found: StripeSubscription, owner: Client | None, fetched_at: datetime
) -> str | None:
    """Returns the status that was seen before, None for a subscription that is new here."""
    former = row.status or None
    after: dict[str, Any] = {name: _value(found, name) for name in FETCHED}
    after |= {"client_id": owner.id if owner else None, "named_client_id": found.client_id}
    changed = any(getattr(row, name) != value for name, value in after.items())
    for name, value in after.items():
        setattr(row, name, value)
    row.fetched_at = fetched_at
    if changed and former is not None:
        row.updated_at, row.version = ctx.now, row.version + 1
    ctx.session.flush()
    return former


def _value(found: StripeSubscription, name: str) -> Any:
    return found.customer_id if name == "stripe_customer_id" else getattr(found, name)
