"""Whose a Stripe subscription is, and whose a Stripe customer: what Stripe names comes first, then what is noted here.

A client may be several customers, one after the other or at once. `clients.stripe_customer_id` is derived from them;
what another program writes there is taken as its word that this customer is that client, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, select, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.money_ports import StripeCustomer, StripeSubscription
from admin_app.services.subscriptions import billing_mapping
from models.billing import ClientCustomer, Subscription
from models.clients import Client
from models.memberships import PaymentProvider, ProviderMembership
from models.purchases import LEGACY_PREFIX, Profile


@dataclass(frozen=True)
class Owners:
    """By number: whose the subscription is and was, and whose its customer was and is to be. None: nobody's."""

    owner: int | None
    former: int | None
    held_by: int | None
    holder: int | None
    # Who has the customer in their column, whoever wrote that.
    noted: int | None

    @property
    def concerned(self) -> set[int]:
        named = (self.owner, self.former, self.held_by, self.holder, self.noted)
        return {number for number in named if number is not None}

    @property
    def others(self) -> list[int]:
        """Whose column has to follow because the customer changes hands: first who loses it, then who gets it."""
        if self.held_by == self.holder and self.noted in (None, self.holder):
            return []
        return sorted(self.concerned - {self.owner, self.former}, key=lambda number: number == self.holder)


def of_subscription(session: Session, found: StripeSubscription, *, named: int | None = None) -> Owners:
    """`named` is the client whom the checkout named that it began with."""
    row = customer(session, found.customer_id)
    said = _said(found.customer, row)
    former = session.scalar(select(Subscription.client_id).where(Subscription.stripe_subscription_id == found.id))
    held_by, noted = row.client_id if row else None, _noted(session, found.customer_id)
    keeps = None if _let_go(session, former, found.customer_id) else held_by
    owner = _owner(session, found, said, former, keeps) or _known(session, named)
    # What is derived from the row stands with the row's own client; anything else is another program's word.
    holder = _known(session, said) or (noted if noted != held_by else None) or keeps
    has_left = owner is not None and former is not None and former == holder != owner
    if holder is None or (has_left and not _known(session, said) and not _goes_on_with(session, former, found)):
        holder = owner
    return Owners(owner, former, held_by, holder, noted)


def of_customer(session: Session, found: StripeCustomer) -> Owners:
    """Whose a customer is: by what it says at Stripe, by what was noted at a client, by the row that is kept."""
    row = customer(session, found.id)
    held_by, noted = row.client_id if row else None, _noted(session, found.id)
    holder = _known(session, _said(found, row)) or (noted if noted != held_by else None) or held_by
    return Owners(None, None, held_by, holder, noted)


def customer(session: Session, customer_id: str) -> ClientCustomer | None:
    """What is kept of this customer of Stripe's, read again; None when nothing is."""
    by_id = select(ClientCustomer).where(ClientCustomer.stripe_customer_id == customer_id)
    return session.scalars(by_id.execution_options(populate_existing=True)).one_or_none()


def customers_of(session: Session, client_id: int) -> Sequence[ClientCustomer]:
    """The client's customers, those that are not deleted first, then the one that was seen last."""
    of_client = select(ClientCustomer).where(ClientCustomer.client_id == client_id)
    return in_order(session.scalars(of_client.execution_options(populate_existing=True)))


def in_order(customers: Iterable[ClientCustomer]) -> list[ClientCustomer]:
    """As `customers_of` has them."""

    def place(row: ClientCustomer) -> tuple[bool, float, int]:
        seen = row.last_seen_at.timestamp() if row.last_seen_at else float("-inf")
        return row.deleted_at is not None, -seen, -row.id

    return sorted(customers, key=place)


def keep(ctx: Ctx, customer_id: str, told: StripeCustomer | None, *, client_id: int | None, asked_at: datetime) -> None:
    """Note whose the customer is and what Stripe says about it; an older answer tells nothing new."""
    row = _locked(ctx, customer_id)
    if row.client_id != client_id:
        row.client_id, row.since = client_id, None if client_id is None else ctx.now
        row.updated_at, row.version = ctx.now, row.version + 1
    if told is None or (row.last_seen_at is not None and row.last_seen_at > asked_at):
        return
    row.last_seen_at = asked_at
    if told.is_deleted:
        # Stripe tells nothing else of it any more; what was known stays.
        row.deleted_at = row.deleted_at or asked_at
    else:
        row.email, row.name, row.named_client_id, row.deleted_at = told.email, told.name, told.client_id, None
    ctx.session.flush()


def adopt(ctx: Ctx, client: Client) -> None:
    """Keep the customer that another program noted at a client, before another one is shown in its place."""
    noted = client.stripe_customer_id
    row = None if noted is None else customer(ctx.session, noted)
    if noted is None or (row is not None and client.id == row.client_id):
        return
    if row is None or _known(ctx.session, row.named_client_id) in (None, client.id):
        keep(ctx, noted, None, client_id=client.id, asked_at=ctx.now)


def shown(
    session: Session,
    client: Client,
    subscriptions: Sequence[Subscription],
    customers: Sequence[ClientCustomer] | None = None,
) -> str | None:
    """What `clients.stripe_customer_id` holds: the customer whose subscription counts, else the one seen last.

    Nobody's column is taken from them: a number stands with one client only. `customers` are those that the client will
    be, where that is not so yet.
    """
    held = [each.stripe_customer_id for each in customers or customers_of(session, client.id)]
    counts = billing_mapping.most_access(subscriptions)
    if counts is not None and counts.stripe_customer_id in held:
        held.insert(0, counts.stripe_customer_id)
    elif client.stripe_customer_id in held:
        held.insert(0, client.stripe_customer_id)
    noted = select(Client.stripe_customer_id).where(Client.stripe_customer_id.in_(held), Client.id != client.id)
    taken = set(session.scalars(noted)) if held else set()
    return next((each for each in held if each not in taken), None)


def nobodys(session: Session, customer_id: str) -> Sequence[Subscription]:
    """The subscriptions of this customer that nobody here has."""
    of_nobody = (Subscription.stripe_customer_id == customer_id, Subscription.client_id.is_(None))
    return session.scalars(select(Subscription).where(*of_nobody).order_by(Subscription.id)).all()


def names_of_nobodys(session: Session, customer_id: str) -> set[str]:
    """The same by Stripe's own ids, which events are about."""
    return {each.stripe_subscription_id for each in nobodys(session, customer_id)}


def waiting(session: Session, *, limit: int) -> list[str]:
    """Subscriptions of nobody that go on, although their client or member is known by now: to be asked about again."""
    named = select(ClientCustomer.stripe_customer_id).join(
        Client, Client.id.in_((ClientCustomer.named_client_id, ClientCustomer.client_id))
    )
    ways = (
        Subscription.named_client_id.in_(select(Client.id)),
        Subscription.stripe_customer_id.in_(select(Client.stripe_customer_id)),
        Subscription.stripe_subscription_id.in_(select(Client.stripe_subscription_id)),
        Subscription.stripe_customer_id.in_(named),
        _is_a_members_by_now(),
    )
    is_membership = (ProviderMembership.provider == PaymentProvider.STRIPE) & (
        ProviderMembership.external_id == Subscription.stripe_subscription_id
    )
    goes_on = (Subscription.status.not_in(billing_mapping.OVER), Subscription.ended_at.is_(None))
    nobodys = (Subscription.client_id.is_(None), *goes_on, ~exists().where(is_membership))
    found = union(*(select(Subscription.stripe_subscription_id).where(*nobodys, way) for way in ways))
    return list(session.scalars(found.limit(limit)))


def note_gone(ctx: Ctx, subscription_id: str, *, asked_at: datetime) -> bool:
    """Stripe does not have this subscription of nobody any more: it is over; whether that was news.

    A client's stays as it is until somebody decides about the difference.
    """
    over = update(Subscription).where(
        Subscription.stripe_subscription_id == subscription_id,
        Subscription.client_id.is_(None),
        Subscription.ended_at.is_(None),
        Subscription.fetched_at <= asked_at,
    )
    values = {"ended_at": asked_at, "fetched_at": asked_at, "updated_at": ctx.now, "version": Subscription.version + 1}
    return ctx.session.scalar(over.values(values).returning(Subscription.id)) is not None


def _is_a_members_by_now() -> ColumnElement[bool]:
    """Whether a member shows its customer, and nothing names a client; it becomes a membership when it is applied."""
    shown = select(Profile.stripe_customer_id).where(~Profile.user_id.startswith(LEGACY_PREFIX, autoescape=True))
    to_be_clients = select(ClientCustomer.stripe_customer_id).where(ClientCustomer.named_client_id.is_not(None))
    return and_(
        Subscription.stripe_customer_id.in_(shown),
        Subscription.status.in_(billing_mapping.SERVES_MEMBERS),
        Subscription.named_client_id.is_(None),
        Subscription.stripe_customer_id.not_in(to_be_clients),
    )


def _owner(
    session: Session, found: StripeSubscription, said: int | None, former: int | None, keeps: int | None
) -> int | None:
    """By what Stripe names, the subscription before the customer; else by what is noted here."""
    by_stripe = _known(session, found.client_id) or _known(session, said)
    if by_stripe is not None:
        return by_stripe
    if former is not None and billing_mapping.is_over(found):
        return former  # its history stays where it was
    ids = (
        select(Client.id).where(Client.stripe_subscription_id == found.id),
        select(Client.id).where(Client.stripe_customer_id == found.customer_id),
    )
    return next((number for query in ids if (number := session.scalar(query)) is not None), keeps)


def _let_go(session: Session, former: int | None, customer_id: str) -> bool:
    """Whether another program emptied the columns that follow from the client's subscriptions: it is not theirs."""
    emptied = select(Client.id).where(
        Client.id == former,
        Client.stripe_subscription_id.is_(None),
        Client.stripe_customer_id.is_distinct_from(customer_id),
    )
    return former is not None and session.scalar(emptied) is not None


def _said(told: StripeCustomer | None, row: ClientCustomer | None) -> int | None:
    """The client whom the customer's metadata names, as far as it was ever told."""
    if told is not None and not told.is_deleted:
        return told.client_id
    return row.named_client_id if row is not None else None


def _known(session: Session, number: int | None) -> int | None:
    return None if number is None else session.scalar(select(Client.id).where(Client.id == number))


def _noted(session: Session, customer_id: str) -> int | None:
    return session.scalar(select(Client.id).where(Client.stripe_customer_id == customer_id))


def _goes_on_with(session: Session, client_id: int | None, found: StripeSubscription) -> bool:
    """Whether the client has another subscription of this customer that goes on."""
    return bool(
        session.scalar(
            select(
                exists().where(
                    Subscription.client_id == client_id,
                    Subscription.stripe_customer_id == found.customer_id,
                    Subscription.stripe_subscription_id != found.id,
                    Subscription.status.not_in(billing_mapping.OVER),
                )
            )
        )
    )


def _locked(ctx: Ctx, customer_id: str) -> ClientCustomer:
    made = {"stripe_customer_id": customer_id, "created_at": ctx.now, "updated_at": ctx.now}
    ctx.session.execute(insert(ClientCustomer).values(**made).on_conflict_do_nothing())
    by_id = select(ClientCustomer).where(ClientCustomer.stripe_customer_id == customer_id).with_for_update()
    return ctx.session.scalars(by_id.execution_options(populate_existing=True)).one()
