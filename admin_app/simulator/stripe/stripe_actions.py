"""What happens at the simulated Stripe: checkouts are paid, declined, expire; money goes back; banks dispute.

Each act holds the store's lock, so that what it saw still holds when it writes.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_records as records
from admin_app.simulator.stripe.stripe_records import (
    CHARGE,
    DISPUTE,
    EVENT,
    INVOICE_PAYMENT,
    MOVEMENT,
    PAYMENT,
    REFUND,
    SESSION,
)
from admin_app.simulator.world import Refused, World

P = ParamSpec("P")
T = TypeVar("T")
_SWITCH = "stripe_switch"
DECIDED = ("won", "lost", "warning_closed", "prevented")


def alone(act: Callable[Concatenate[World, P], T]) -> Callable[Concatenate[World, P], T]:
    @wraps(act)
    def run(world: World, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with world.store.lock:
            return act(world, *args, **kwargs)

    return run


def is_live(world: World) -> bool:
    return world.settings.stripe_secret_key.startswith("sk_live_")


def switch_delivery(world: World, *, on: bool) -> None:
    """Off, events are made and lost, as in an outage of the product's."""
    world.store.put(_SWITCH, {"id": "delivery", "on": on})


def tell(
    world: World,
    name: str,
    about: Document,
    *,
    deliver: bool,
    previous: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> None:
    """Keep the event and send it."""
    event = records.event(name, about, live=is_live(world), previous=previous, key=key)
    world.store.put(EVENT, event)
    switch = world.store.get(_SWITCH, "delivery")
    if deliver and (switch is None or switch["on"]):
        world.deliver_stripe(event)


@alone
def find_session(world: World, session_id: str) -> Document | None:
    """The session as it is now: one whose time is over has expired."""
    found = world.store.get(SESSION, session_id)
    if found is not None and found["status"] == "open" and found["expires_at"] <= records.now():
        return _expire(world, found, deliver=True)
    return found


@alone
def pay(world: World, session_id: str, *, deliver: bool = True) -> Document:
    """A card is accepted: the money is there at once."""
    found = _open(world, session_id)
    payment = _take(world, _payment_of(world, found), method="card")
    done = _complete(world, found, payment, "paid")
    tell(world, "checkout.session.completed", done, deliver=deliver)
    return done


@alone
def decline(world: World, session_id: str, *, code: str = "insufficient_funds", deliver: bool = True) -> Document:
    """A card is refused: the session stays open for another try."""
    found = _open(world, session_id)
    payment = _fail(world, _payment_of(world, found), "card_declined", code)
    session = found | {"payment_intent": payment["id"]}
    world.store.put(SESSION, session)
    tell(world, "payment_intent.payment_failed", payment, deliver=deliver)
    return session


@alone
def pay_later(world: World, session_id: str, *, deliver: bool = True) -> Document:
    """A bank transfer is promised: the checkout is complete, the money is not there yet."""
    found = _open(world, session_id)
    payment = _payment_of(world, found)
    charge = records.charge(payment, status="pending", method="us_bank_account")
    world.store.put(CHARGE, charge)
    payment |= {"status": "processing", "latest_charge": charge["id"]}
    world.store.put(PAYMENT, payment)
    done = _complete(world, found, payment, "unpaid")
    tell(world, "checkout.session.completed", done, deliver=deliver)
    return done


@alone
def settle_async(world: World, session_id: str, *, succeeds: bool = True, deliver: bool = True) -> Document:
    """The bank says yes or no to what was promised."""
    found = _session(world, session_id)
    payment = _get(world, PAYMENT, found["payment_intent"] or "")
    if payment["status"] != "processing":
        raise Refused("This checkout waits for no bank.")
    if not succeeds:
        payment = _fail(world, payment, "payment_intent_payment_attempt_failed", None)
        tell(world, "payment_intent.payment_failed", payment, deliver=deliver)
        tell(world, "checkout.session.async_payment_failed", found, deliver=deliver)
        return found
    _take(world, payment, method="us_bank_account")
    paid = found | {"payment_status": "paid"}
    world.store.put(SESSION, paid)
    tell(world, "checkout.session.async_payment_succeeded", paid, deliver=deliver)
    return paid


@alone
def expire(world: World, session_id: str, *, deliver: bool = True) -> Document:
    return _expire(world, _open(world, session_id), deliver=deliver)


@alone
def refund(
    world: World,
    charge: Document,
    *,
    amount: int,
    reason: str | None = None,
    metadata: Mapping[str, str] | None = None,
    key: str | None = None,
    deliver: bool = True,
) -> Document:
    """Give back this much of a charge that has it: a card's at once, a bank's within days."""
    by_card = charge["payment_method_details"]["type"] == "card"
    made = records.refund(
        charge,
        amount=amount,
        reason=reason,
        metadata=metadata or {},
        status="succeeded" if by_card else "pending",
    )
    world.store.put(REFUND, made)
    tell(world, "refund.created", made, deliver=deliver, key=key)
    _change_refunded(world, charge, amount, deliver=deliver, key=key)
    return made


@alone
def refund_from_dashboard(
    world: World, payment_id: str, *, amount: int | None = None, reason: str | None = None, deliver: bool = True
) -> Document:
    """Somebody of the business refunds at Stripe itself, without this product."""
    charge = taken_charge(world, payment_id)
    left = charge["amount_captured"] - charge["amount_refunded"] if charge else 0
    wanted = left if amount is None else amount
    if charge is None or not 0 < wanted <= left:
        raise Refused("There is not that much left to refund.")
    return refund(world, charge, amount=wanted, reason=reason, deliver=deliver)


@alone
def settle_refund(world: World, refund_id: str, *, succeeds: bool = True, deliver: bool = True) -> Document:
    """The bank took a refund that was pending, or sends one back."""
    found = _get(world, REFUND, refund_id)
    if found["status"] not in ({"pending"} if succeeds else {"pending", "succeeded"}):
        raise Refused("This refund is settled already.")
    previous = {"status": found["status"]}
    if succeeds:
        settled = found | {"status": "succeeded"}
    else:
        settled = found | {"status": "failed", "failure_reason": "expired_or_canceled_card"}
        charge = _get(world, CHARGE, found["charge"])
        left = charge["amount_refunded"] - found["amount"]
        world.store.put(CHARGE, charge | {"amount_refunded": left, "refunded": False})
    world.store.put(REFUND, settled)
    tell(world, "refund.updated", settled, deliver=deliver, previous=previous)
    if not succeeds:
        tell(world, "refund.failed", settled, deliver=deliver)
    return settled


@alone
def dispute(
    world: World,
    payment_id: str,
    *,
    reason: str = "product_not_received",
    status: str = "needs_response",
    amount: int | None = None,
    deliver: bool = True,
) -> Document:
    """The payer's bank wants the money back, or inquires first (`warning_needs_response`); a payment may be disputed
    again when what was disputed before is decided."""
    charge = taken_charge(world, payment_id)
    if charge is None or any(each["status"] not in DECIDED for each in disputes_of(world, charge)):
        raise Refused("There is no payment of this id that could be disputed.")
    made = records.dispute(charge, reason=reason) | {"status": status, "amount": amount or charge["amount"]}
    world.store.put(DISPUTE, made)
    world.store.put(CHARGE, charge | {"disputed": True})
    tell(world, "charge.dispute.created", made, deliver=deliver)
    return made


@alone
def decide_dispute(world: World, dispute_id: str, *, status: str, deliver: bool = True) -> Document:
    """The dispute goes on to this state."""
    found = _get(world, DISPUTE, dispute_id)
    decided = found | {"status": status}
    world.store.put(DISPUTE, decided)
    name = "charge.dispute.closed" if status in DECIDED else "charge.dispute.updated"
    tell(world, name, decided, deliver=deliver, previous={"status": found["status"]})
    return decided


def disputes_of(world: World, charge: Document) -> list[Document]:
    return [each for each in world.store.all(DISPUTE) if each["charge"] == charge["id"]]


def taken_charge(world: World, payment_id: str) -> Document | None:
    """The charge that took this payment's money, if one did."""
    payment = world.store.get(PAYMENT, payment_id)
    charge = world.store.get(CHARGE, (payment or {}).get("latest_charge") or "")
    return charge if charge and charge["status"] == "succeeded" else None


def _session(world: World, session_id: str) -> Document:
    found = find_session(world, session_id)
    if found is None:
        raise Refused("There is no such session.")
    return found


def _open(world: World, session_id: str) -> Document:
    found = _session(world, session_id)
    if found["status"] != "open":
        raise Refused("This checkout is over: it was paid, or its time ran out.")
    return found


def _get(world: World, kind: str, identity: str) -> Document:
    found = world.store.get(kind, identity)
    if found is None:
        raise Refused(f"There is no such {kind.replace('_', ' ')}.")
    return found


def _payment_of(world: World, session: Document) -> Document:
    known = world.store.get(PAYMENT, session["payment_intent"] or "")
    return dict(known or records.payment(session))


def _take(world: World, payment: Document, *, method: str) -> Document:
    charge = records.charge(payment, status="succeeded", method=method)
    movement = records.movement(charge)
    world.store.put(MOVEMENT, movement)
    world.store.put(CHARGE, charge | {"balance_transaction": movement["id"]})
    taken = payment | {
        "status": "succeeded",
        "amount_received": payment["amount"],
        "latest_charge": charge["id"],
        "last_payment_error": None,
    }
    world.store.put(PAYMENT, taken)
    return taken


def collect(world: World, invoice: Document, *, succeeds: bool, again: bool = False) -> None:
    """Take an invoice's money by a card, or be refused; one that asks for nothing is not collected.

    `again`: by the payment that was tried before.
    """
    if invoice["amount_due"] <= 0:
        return
    tried = world.store.all(INVOICE_PAYMENT) if again else ()
    known = next((each for each in tried if each["invoice"] == invoice["id"]), None)
    by = world.store.get(PAYMENT, known["payment"]["payment_intent"]) if known else None
    payment = dict(by or records.payment_of_invoice(invoice))
    payment = _take(world, payment, method="card") if succeeds else _fail(world, payment, "card_declined", None)
    made = records.invoice_payment(invoice, payment)
    world.store.put(INVOICE_PAYMENT, made | ({"id": known["id"]} if known else {}))


def _fail(world: World, payment: Document, code: str, decline_code: str | None) -> Document:
    charge = records.charge(payment, status="failed", failure_code=code)
    world.store.put(CHARGE, charge)
    error = {"type": "card_error", "code": code, "message": "The payment was declined.", "charge": charge["id"]}
    if decline_code:
        error["decline_code"] = decline_code
    failed = payment | {
        "status": "requires_payment_method",
        "latest_charge": charge["id"],
        "last_payment_error": error,
    }
    world.store.put(PAYMENT, failed)
    return failed


def _complete(world: World, session: Document, payment: Document, paid: str) -> Document:
    done = session | {
        "status": "complete",
        "payment_status": paid,
        "payment_intent": payment["id"],
        "customer_details": {
            **dict.fromkeys(("address", "business_name", "individual_name", "name", "phone")),
            "email": session["customer_email"],
            "tax_exempt": "none",
            "tax_ids": [],
        },
        "url": None,
    }
    world.store.put(SESSION, done)
    return done


def _expire(world: World, session: Document, *, deliver: bool) -> Document:
    over = session | {"status": "expired", "url": None}
    world.store.put(SESSION, over)
    tell(world, "checkout.session.expired", over, deliver=deliver)
    return over


def _change_refunded(world: World, charge: Document, amount: int, *, deliver: bool, key: str | None) -> None:
    given_back = charge["amount_refunded"] + amount
    changed = charge | {"amount_refunded": given_back, "refunded": given_back == charge["amount_captured"]}
    world.store.put(CHARGE, changed)
    previous = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    tell(world, "charge.refunded", changed, deliver=deliver, previous=previous, key=key)
