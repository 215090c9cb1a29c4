"""What happens to subscriptions at the simulated Stripe: they begin, are renewed, fail, change and end.

A renewal happens when it is asked for, or when time has brought it: whatever looks at a subscription first lets happen
what has become due. Each act tells the product what Stripe would.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_billing_records as records
from admin_app.simulator.stripe import stripe_price_records as prices
from admin_app.simulator.stripe import stripe_records
from admin_app.simulator.stripe.stripe_actions import alone, collect, is_live, tell
from admin_app.simulator.stripe.stripe_price_records import INTERVALS
from admin_app.simulator.stripe.stripe_records import COUPON, CUSTOMER, DISCOUNT, INVOICE, SUBSCRIPTION
from admin_app.simulator.world import Refused, World

# The tries of a card, after which a subscription is given up as unpaid.
_TRIES = 4
_OVER = frozenset({"canceled", "incomplete_expired"})
_LATE = frozenset({"past_due", "unpaid"})


@alone
def find(world: World, subscription_id: str) -> Document | None:
    """The subscription as it is now."""
    found = world.store.get(SUBSCRIPTION, subscription_id)
    return None if found is None else _catch_up(world, found)


@alone
def catch_up_all(world: World) -> None:
    """Before every subscription is listed."""
    for found in world.store.all(SUBSCRIPTION):
        _catch_up(world, found)


@alone
def subscribe(
    world: World,
    *,
    email: str,
    name: str | None = None,
    customer_id: str | None = None,
    client_id: int | None = None,
    amount: int = 4_900,
    currency: str = "eur",
    interval: str = "month",
    trial_days: int | None = None,
    items: Sequence[Mapping[str, Any]] = (),
    discounts: Sequence[Mapping[str, Any]] = (),
    customers_client: int | None = None,
    deliver: bool = True,
) -> Document:
    """A customer, new or known by id, begins a subscription, on trial or paid by a card that works.

    `client_id` is noted in the subscription's metadata, `customers_client` in those of a new customer.

    `items` in place of one of this amount: what `prices.price` takes, with a quantity and discounts of their own.
    """
    if interval not in INTERVALS or amount < 0 or (trial_days is not None and trial_days < 1):
        raise Refused(f"An amount, an interval ({', '.join(INTERVALS)}) and days of trial above nothing are needed.")
    customer = world.store.get(CUSTOMER, customer_id or "")
    if customer is None:
        customer = records.customer(email=email, name=name, live=is_live(world), metadata=naming(customers_client))
        customer |= {"id": customer_id or customer["id"]}
        world.store.put(CUSTOMER, customer)
    wanted = [*items] or [{"amount": amount, "interval": interval}]
    sold = [prices.price(each, currency, live=is_live(world)) for each in wanted]
    trial_end = None if trial_days is None else stripe_records.now() + trial_days * INTERVALS["day"]
    granted = grant(world, discounts, currency)
    begun = records.subscription(customer, *sold, metadata=naming(client_id), trial_end=trial_end, discounts=granted)
    begun = _with_wanted(world, begun, wanted)
    begun, invoice = _bill(world, begun, "subscription_create", paid=True)
    tell(world, "customer.subscription.created", begun, deliver=deliver)
    tell(world, "invoice.paid", invoice, deliver=deliver)
    return begun


@alone
def pay_invoice(world: World, subscription_id: str, *, deliver: bool = True) -> Document:
    """The open invoice is paid; where none is open, the next period begins and is paid for."""
    found = running(world, subscription_id)
    invoice = _open_invoice(world, found)
    if invoice is None:
        return _renew(world, found, paid=True, deliver=deliver)
    invoice |= records.settled(invoice["amount_due"], paid=True, at=stripe_records.now())
    world.store.put(INVOICE, invoice)
    collect(world, invoice, succeeds=True, again=True)
    tell(world, "invoice.paid", invoice, deliver=deliver)
    return _change(world, found, {"status": "active"}, deliver=deliver)


@alone
def fail_invoice(world: World, subscription_id: str, *, deliver: bool = True) -> Document:
    """The card is refused: for the next period, or once more for the open invoice, until all tries are used up."""
    found = running(world, subscription_id)
    invoice = _open_invoice(world, found)
    if invoice is None:
        return _renew(world, found, paid=False, deliver=deliver)
    tries = invoice["attempt_count"] + 1
    last = tries >= _TRIES
    later = records.settled(invoice["amount_due"], paid=False, at=stripe_records.now())["next_payment_attempt"]
    invoice |= {"attempt_count": tries, "next_payment_attempt": None if last else later, "auto_advance": not last}
    world.store.put(INVOICE, invoice)
    collect(world, invoice, succeeds=False, again=True)
    tell(world, "invoice.payment_failed", invoice, deliver=deliver)
    return _change(world, found, {"status": "unpaid" if last else "past_due"}, deliver=deliver)


@alone
def cancel(world: World, subscription_id: str, *, at_period_end: bool = True, deliver: bool = True) -> Document:
    """It ends with its period, or now."""
    found = running(world, subscription_id)
    if not at_period_end:
        return _end(world, found, "cancellation_requested", deliver=deliver)
    return change(world, found, {"cancel_at_period_end": True}, deliver=deliver)


@alone
def uncancel(world: World, subscription_id: str, *, deliver: bool = True) -> Document:
    """It runs on after all."""
    found = running(world, subscription_id)
    if not found["cancel_at_period_end"]:
        raise Refused("This subscription is not about to end.")
    return change(world, found, {"cancel_at_period_end": False}, deliver=deliver)


@alone
def change_price(
    world: World, subscription_id: str, *, amount: int, interval: str | None = None, deliver: bool = True
) -> Document:
    """Another price of its first item from now on."""
    found = running(world, subscription_id)
    first, *others = records.items(found)
    held = first["price"]
    wanted = interval or held["recurring"]["interval"]
    if wanted not in INTERVALS or amount < 0:
        raise Refused(f"An amount and an interval ({', '.join(INTERVALS)}) are needed.")
    price = prices.price({"amount": amount, "interval": wanted}, held["currency"], live=is_live(world))
    changed = records.with_items(found, [first | {"price": price, "plan": prices.plan(price)}, *others])
    return _change(world, found, {"items": changed["items"]}, deliver=deliver)


@alone
def end_trial(world: World, subscription_id: str, *, pays: bool = True, deliver: bool = True) -> Document:
    """The trial is over: the first period begins, and the card pays or is refused."""
    found = running(world, subscription_id)
    if found["status"] != "trialing":
        raise Refused("This subscription is not on trial.")
    return _renew(world, found, paid=pays, deliver=deliver)


@alone
def pause(world: World, subscription_id: str, *, on: bool = True, deliver: bool = True) -> Document:
    """Its invoices are not collected for a while, or again."""
    found = running(world, subscription_id)
    paused = {"behavior": "void", "resumes_at": None} if on else None
    return _change(world, found, {"pause_collection": paused}, deliver=deliver)


@alone
def rewind(world: World, subscription_id: str, *, days: int, deliver: bool = True) -> Document:
    """Everything of it began so many days earlier, as if they had gone by; what they bring follows."""
    found, by = running(world, subscription_id), days * INTERVALS["day"]
    items = [
        each | {name: each[name] - by for name in ("created", "current_period_start", "current_period_end")}
        for each in records.items(found)
    ]
    earlier = {name: found[name] - by for name in ("created", "start_date", "trial_start", "trial_end") if found[name]}
    for name in [*found["discounts"], *(name for each in items for name in each["discounts"])]:
        discount = world.store.get(DISCOUNT, name) or {}
        moved = {part: discount[part] - by for part in ("start", "end") if discount[part]}
        world.store.put(DISCOUNT, discount | moved)
    moved_back = records.with_items(found, items) | earlier
    world.store.put(SUBSCRIPTION, moved_back)
    return _catch_up(world, moved_back, deliver=deliver)


@alone
def change(
    world: World, found: Document, wanted: Mapping[str, Any], *, key: str | None = None, deliver: bool = True
) -> Document:
    """What the API's update can change, in the values of its answer."""
    parts: dict[str, Any] = {name: wanted[name] for name in ("metadata", "pause_collection") if name in wanted}
    if wanted.get("trial_end"):
        now = stripe_records.now()
        begun = found["trial_start"] if found["status"] == "trialing" else now
        period = {"current_period_start": begun, "current_period_end": wanted["trial_end"]}
        parts |= {"status": "trialing", "trial_start": begun, "trial_end": wanted["trial_end"]}
        parts |= {"billing_cycle_anchor": wanted["trial_end"], "items": _all_with(found, period)["items"]}
    if "cancel_at_period_end" in wanted:
        parts |= _ending(found | parts, on=wanted["cancel_at_period_end"])
    return _change(world, found, parts, key=key, deliver=deliver)


@alone
def end_now(world: World, found: Document, *, deliver: bool = True) -> Document:
    """As the API's cancel does."""
    return _end(world, found, "cancellation_requested", deliver=deliver)


def naming(client_id: int | None) -> dict[str, str]:
    return {} if client_id is None else {"clientId": str(client_id)}


def is_over(found: Document) -> bool:
    return found["status"] in _OVER


def _ending(found: Document, *, on: bool) -> dict[str, Any]:
    if on and found["cancel_at_period_end"]:
        return {}
    return {
        "cancel_at_period_end": on,
        "cancel_at": records.next_due(found) if on else None,
        "canceled_at": stripe_records.now() if on else None,
        "cancellation_details": records.cancellation("cancellation_requested" if on else None),
    }


def running(world: World, subscription_id: str) -> Document:
    found = find(world, subscription_id)
    if found is None:
        raise Refused("There is no such subscription.")
    if is_over(found):
        raise Refused("This subscription has ended.")
    return found


def _open_invoice(world: World, found: Document) -> Document | None:
    invoice = world.store.get(INVOICE, found["latest_invoice"] or "")
    return dict(invoice) if invoice and invoice["status"] == "open" else None


def _with_wanted(world: World, begun: Document, wanted: Sequence[Mapping[str, Any]]) -> Document:
    """Its items in the quantities and with the discounts that are wanted of each."""
    given = [
        {"quantity": of.get("quantity", 1), "discounts": grant(world, of.get("discounts", ()), begun["currency"])}
        for of in wanted
    ]
    return records.with_items(begun, [each | of for each, of in zip(records.items(begun), given, strict=True)])


def _all_with(found: Document, parts: Mapping[str, Any]) -> Document:
    return records.with_items(found, [each | dict(parts) for each in records.items(found)])


def grant(world: World, wanted: Sequence[Mapping[str, Any]], currency: str) -> list[str]:
    """The ids of new discounts, each by a coupon of its own."""
    made = [prices.discount(each, currency, live=is_live(world)) for each in wanted]
    for coupon, discount in made:
        world.store.put(COUPON, coupon)
        world.store.put(DISCOUNT, discount)
    return [discount["id"] for _, discount in made]


def _still(world: World, names: Sequence[str], at: int, *, used: bool) -> list[str]:
    """The discounts that are not over: one for a while by its end, one for once when an invoice has used it."""
    return [
        name
        for name in names
        if ((world.store.get(DISCOUNT, name) or {})["end"] or at + 1) > at
        and not (used and _coupons(world, [name])[name]["duration"] == "once")
    ]


def _coupons(world: World, names: Sequence[str]) -> dict[str, Document]:
    """By the ids of the discounts."""
    discounts = {name: world.store.get(DISCOUNT, name) or {} for name in names}
    return {name: world.store.get(COUPON, found["source"]["coupon"]) or {} for name, found in discounts.items()}


def _with_discounts(world: World, found: Document, at: int, *, used: Sequence[str] = ()) -> Document:
    """Without the discounts that are over; `used` are the items that were just billed for."""
    left = [
        each | {"discounts": _still(world, each["discounts"], at, used=each["id"] in used)}
        for each in records.items(found)
    ]
    return records.with_items(found, left) | {"discounts": _still(world, found["discounts"], at, used=bool(used))}


def _bill(
    world: World, found: Document, reason: str, *, paid: bool, at: int | None = None, only: Sequence[str] = ()
) -> tuple[Document, Document]:
    """The subscription, kept, with an invoice of the period that it, or `only` these items of it, is in."""
    now = at or stripe_records.now()
    found = _with_discounts(world, found, now)
    billed_for = [each for each in records.items(found) if not only or each["id"] in only]
    customer = world.store.get(CUSTOMER, found["customer"]) or {}
    customers = customer.get("discount")
    whole = found["discounts"] or ([customers["id"]] if customers else [])
    names = [*whole, *(name for each in billed_for for name in each["discounts"])]
    invoice = records.invoice(
        found | {"discounts": whole},
        billed_for,
        _coupons(world, names),
        number=world.store.count(INVOICE) + 1,
        email=customer.get("email"),
        reason=reason,
        paid=paid,
        created=now,
    )
    used = [] if found["status"] == "trialing" else [each["id"] for each in billed_for]
    billed = _with_discounts(world, found, now, used=used) | {"latest_invoice": invoice["id"]}
    world.store.put(INVOICE, invoice)
    collect(world, invoice, succeeds=paid)
    world.store.put(SUBSCRIPTION, billed)
    return billed, invoice


def _renew(world: World, found: Document, *, paid: bool, deliver: bool, start: int | None = None) -> Document:
    """The next period begins; the one that runs is cut short where it is not over yet."""
    due, begun = records.next_due(found), start or stripe_records.now()
    renewed_items = [each["id"] for each in records.items(found) if each["current_period_end"] == due]
    moved = [
        each | {"current_period_start": begun, "current_period_end": begun + prices.length(each["price"])}
        if each["id"] in renewed_items
        else each
        for each in records.items(found)
    ]
    parts = {
        "status": "active" if paid else "past_due",
        "items": records.with_items(found, moved)["items"],
        "trial_end": min(found["trial_end"], begun) if found["trial_end"] else None,
    }
    previous = {name: found[name] for name in parts if found[name] != parts[name]}
    renewed, invoice = _bill(world, found | parts, "subscription_cycle", paid=paid, at=begun, only=renewed_items)
    tell(world, "invoice.paid" if paid else "invoice.payment_failed", invoice, deliver=deliver)
    previous["latest_invoice"] = found["latest_invoice"]
    tell(world, "customer.subscription.updated", renewed, deliver=deliver, previous=previous)
    return renewed


def _change(
    world: World, found: Document, parts: Mapping[str, Any], *, deliver: bool, key: str | None = None
) -> Document:
    """Kept and told, where it changes anything."""
    previous = {name: found[name] for name, value in parts.items() if found[name] != value}
    if not previous:
        return found
    changed = found | dict(parts)
    world.store.put(SUBSCRIPTION, changed)
    tell(world, "customer.subscription.updated", changed, deliver=deliver, previous=previous, key=key)
    return changed


def _end(world: World, found: Document, reason: str, *, deliver: bool, at: int | None = None) -> Document:
    ended_at = at or stripe_records.now()
    ended = found | {
        "status": "canceled",
        "canceled_at": found["canceled_at"] or ended_at,
        "ended_at": ended_at,
        "cancellation_details": records.cancellation(reason),
    }
    world.store.put(SUBSCRIPTION, ended)
    tell(world, "customer.subscription.deleted", ended, deliver=deliver)
    return ended


def _catch_up(world: World, found: Document, *, deliver: bool = True) -> Document:
    """What time has brought since somebody last looked: an end, or the periods that came and were paid."""
    now = stripe_records.now()
    while not is_over(found) and found["status"] not in _LATE:
        due = records.next_due(found)
        if due > now:
            break
        if found["cancel_at_period_end"]:
            return _end(world, found, "cancellation_requested", deliver=deliver, at=due)
        found = _renew(world, found, paid=True, deliver=deliver, start=due)
    return found
