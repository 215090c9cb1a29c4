"""What happens at the simulated Whop: purchases, renewals, endings. Each may tell the product by webhook."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from admin_app.simulator.whop import whop_events
from admin_app.simulator.whop.whop_records import PLANS, Membership, Payment, Refund, new_id, started
from admin_app.simulator.world import Refused, World, text


def find(world: World, membership_id: str) -> Membership | None:
    document = world.store.get("membership", membership_id)
    return Membership.read(document) if document else None


def find_by_member(world: World, member_id: str) -> Membership | None:
    documents = world.store.all("membership")
    return next((Membership.read(found) for found in documents if found["member_id"] == member_id), None)


def purchase(world: World, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A new membership, or a known one's renewal; then both webhooks, unless told otherwise."""
    form, plan = _one_of(wanted, "event", whop_events.FORMS), _one_of(wanted, "plan", tuple(PLANS))
    at = _seconds(wanted.get("created_at"))
    known = find(world, str(wanted.get("membership_id")))
    if known:
        record = known.renewed(at)
    else:
        record = started(
            email=text(wanted, "email"),
            name=text(wanted, "name") or "Demo Customer",
            plan=plan,
            at=at,
            membership_id=text(wanted, "membership_id"),
            user_id=text(wanted, "user_id"),
        )
    paid = Payment(new_id("pay"), record.id, at, first=known is None)
    world.store.put("membership", record.document())
    world.store.put("payment", paid.document())
    if wanted.get("deliver", True):
        world.deliver_whop(form, whop_events.event(form, "membership.activated", at, record))
        world.deliver_whop(form, whop_events.event(form, "payment.succeeded", at, record, paid))
    return {
        "membership_id": record.id,
        "member_id": record.member_id,
        "user_id": record.user_id,
        "payment_id": paid.id,
    }


def refund(
    world: World,
    paid: Payment,
    cents: int,
    wanted: Mapping[str, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> Payment:
    """Give back so much of a payment; when all of it is back, the membership is over."""
    record = find(world, paid.membership_id)
    if record is None or not 0 < cents <= record.terms.cents - paid.refunded or not paid.paid:
        raise Refused("There is not that much left to refund.")
    form, at = _one_of(wanted, "event", whop_events.FORMS), _seconds(wanted.get("created_at"))
    made = Refund(new_id("rf"), paid.id, cents, at, text(wanted, "status") or "succeeded", dict(metadata or {}))
    paid = replace(paid, refunded=paid.refunded + cents, refunded_at=at)
    world.store.put("whop_refund", made.document())
    world.store.put("payment", paid.document())
    if wanted.get("deliver", True):
        world.deliver_whop(form, whop_events.about_refund(form, made, paid, record))
    if paid.refunded == record.terms.cents:
        deactivate(world, record, wanted)
    return paid


def fail_payment(world: World, record: Membership, wanted: Mapping[str, Any]) -> Payment:
    """A renewal that the card does not pay."""
    form, at = _one_of(wanted, "event", whop_events.FORMS), _seconds(wanted.get("created_at"))
    tried = Payment(new_id("pay"), record.id, at, first=False, paid=False)
    world.store.put("payment", tried.document())
    if wanted.get("deliver", True):
        world.deliver_whop(form, whop_events.event(form, "payment.failed", at, record, tried))
    return tried


def deactivate(world: World, record: Membership, wanted: Mapping[str, Any]) -> Membership:
    at = _seconds(wanted.get("created_at"))
    return _changed(world, record.ended(at), "membership.deactivated", at, wanted)


def cancel_at_period_end(world: World, record: Membership, wanted: Mapping[str, Any]) -> Membership:
    at = _seconds(wanted.get("created_at"))
    cancels = wanted.get("cancel_at_period_end", True) is True
    return _changed(world, record.canceling(at, cancels=cancels), "membership.cancel_at_period_end_changed", at, wanted)


def set_cancellation(world: World, record: Membership, *, cancels: bool) -> Membership:
    """As the API does: what is so already tells nobody anything."""
    if record.cancel_at_period_end is cancels:
        return record
    return cancel_at_period_end(world, record, {"cancel_at_period_end": cancels})


def reactivate(world: World, record: Membership) -> Membership:
    """Access again to what was paid once."""
    at = _seconds(None)
    return _changed(world, record.given_back(at), "membership.activated", at, {})


def _changed(world: World, record: Membership, name: str, at: int, wanted: Mapping[str, Any]) -> Membership:
    form = _one_of(wanted, "event", whop_events.FORMS)
    world.store.put("membership", record.document())
    if wanted.get("deliver", True):
        world.deliver_whop(form, whop_events.event(form, name, at, record))
    return record


def seed(world: World, wanted: Iterable[Mapping[str, Any]]) -> int:
    """Many memberships at once, without webhooks; one that is known is replaced. What was paid there since stays."""
    items = list(wanted)
    records = [_seeded(item) for item in items]
    world.store.put_all("membership", (record.document() for record in records))
    paid = [
        (record.id, each)
        for record, item in zip(records, items, strict=True)
        for each in item.get("payments") or ()
        if world.store.get("payment", each["id"]) is None
    ]
    world.store.put_all("payment", (_seeded_payment(name, each).document() for name, each in paid))
    world.store.put_all("whop_refund", (_seeded_refund(each).document() for _, each in paid if each["refund"]))
    return len(records)


def _seeded_payment(membership_id: str, item: Mapping[str, Any]) -> Payment:
    at, back = _seconds(item["created_at"]), item["refund"]
    paid = Payment(item["id"], membership_id, at, first=False)
    return replace(paid, refunded=back["cents"], refunded_at=_seconds(back["created_at"])) if back else paid


def _seeded_refund(item: Mapping[str, Any]) -> Refund:
    back = item["refund"]
    return Refund(back["id"], item["id"], back["cents"], _seconds(back["created_at"]))


def _seeded(item: Mapping[str, Any]) -> Membership:
    at = _seconds(item.get("created_at"))
    fresh = started(
        email=text(item, "email"),
        name=text(item, "name") or "Demo Customer",
        plan=_one_of(item, "plan", tuple(PLANS)),
        at=at,
        membership_id=text(item, "membership_id"),
        user_id=text(item, "user_id"),
    )
    start = _seconds(item["period_start"]) if item.get("period_start") else at
    end = _seconds(item["period_end"]) if item.get("period_end") else start + fresh.terms.days * 86400
    return Membership(
        **(
            fresh.document()
            | {
                # Seeding again must not hand out other member ids.
                "member_id": fresh.id.replace("mem_", "mber_", 1),
                "period_start": start,
                "period_end": end,
                "status": text(item, "status") or "active",
                "cancel_at_period_end": item.get("cancel_at_period_end") is True,
            }
        )
    )


def _one_of(wanted: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = wanted.get(name) or choices[0]
    if value not in choices:
        raise Refused(f"{name} must be one of: {', '.join(choices)}.")
    return str(value)


def _seconds(value: Any) -> int:
    if value is None:
        return int(datetime.now(UTC).timestamp())
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise Refused("A time must be ISO 8601, for example 2026-11-18T11:06:40Z.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
