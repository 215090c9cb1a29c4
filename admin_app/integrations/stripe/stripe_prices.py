"""What a subscription costs a month, by the arithmetic of Stripe's own invoices and of its recurring revenue.

An item is a line, or one for each of its steps; a line is rounded to the minor unit, a half upwards, before any two are
added. Discounts of an item come before those of the subscription, one after the other as Stripe lists them; a
subscription that has none of its own has its customer's. Recurring is what is left when every discount is over that
ends one day: only those for ever count. What is metered does not recur.

Sources, of docs.stripe.com: `billing/subscriptions/decimal-amounts` (rounding), `usage-based/transform-quantities`,
`subscriptions/pricing-models/tiered-pricing`, `billing/subscriptions/coupons` and `api/subscriptions/create` (whose
discounts), `billing/subscriptions/analytics/glossary` and, of support.stripe.com, `questions/billing-analytics` (what
recurs).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any

from admin_app.integrations.http import fields
from admin_app.integrations.stripe.stripe_shapes import reference, whole

# How much of a month one of these is, in a year of 365 days, 52 weeks or 12 months.
_MONTHS = {"day": Fraction(12, 365), "week": Fraction(12, 52), "month": Fraction(1), "year": Fraction(12)}
# What has to be asked for with items and with discounts; an expansion reaches four levels deep, `data` included.
WITH_ITEMS = ("data.price.tiers", "data.discounts.source.coupon")
WITH_DISCOUNTS = ("discounts.source.coupon.applies_to", "discounts.source.coupon.currency_options")
WITH_DISCOUNT = ("discount.source.coupon.applies_to", "discount.source.coupon.currency_options")
Line = tuple[str | None, Fraction]  # the product, and what its line asks for in one period


def monthly_amount(data: Mapping[str, Any]) -> int:
    """In minor units, of all items and after the discounts for ever, before taxes; of a subscription told in full."""
    currency = fields.text(data.get("currency"))
    invoices: dict[Fraction, list[Line]] = defaultdict(list)
    for item in items(data):
        months = _months(item)
        if months is not None:
            line = _discounted([(_product(item), Fraction(_line(item)))], _for_ever(item), currency, everything=True)
            invoices[months] += line
    shortest, whole_coupons = min(invoices, default=None), _for_ever(data) or _for_ever(_of_customer(data))
    monthly = Fraction(0)
    for months, lines in invoices.items():
        # An amount is taken off each invoice once, and every period of the shortest length has one.
        coupons = [each for each in whole_coupons if months == shortest or each.get("percent_off") is not None]
        monthly += sum(amount for _, amount in _discounted(lines, coupons, currency)) / months
    return round(monthly)


def items(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The items of a subscription."""
    return [fields.mapping(item) for item in fields.items(fields.mapping(data.get("items")).get("data"))]


def price(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The item's price, or the plan that older ones have in its place."""
    return fields.mapping(item.get("price")) or fields.mapping(item.get("plan"))


def lacks_items(data: Mapping[str, Any]) -> bool:
    """Whether there are more items than were told, or any whose steps or discounts were not."""
    return fields.mapping(data.get("items")).get("has_more") is True or any(
        (_is_tiered(price(item)) and not _is_metered(price(item)) and not _tiers(price(item))) or lacks_discounts(item)
        for item in items(data)
    )


def lacks_discounts(of: Mapping[str, Any]) -> bool:
    """Whether a subscription or an item has a discount of which only the id was told."""
    return any(not _coupon(each) for each in fields.items(of.get("discounts")))


def lacks_customers_discount(data: Mapping[str, Any]) -> bool:
    """Whether the customer has a discount that counts for this subscription, of which only the id was told."""
    return not _for_ever(data) and lacks_discounts(_of_customer(data))


def _of_customer(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The discount of the customer: a subscription has it while it has none of its own."""
    discount = fields.mapping(data.get("customer")).get("discount")
    return {"discounts": [discount] if discount else []}


def _line(item: Mapping[str, Any]) -> int:
    """What the item asks for in one of its periods, in minor units."""
    sold, stated = price(item), whole(item.get("quantity"))
    quantity = 1 if stated is None else stated
    if _is_tiered(sold):
        return sum(_by_steps(_tiers(sold), quantity, volume=sold.get("tiers_mode") == "volume"))
    return _rounded(_amount(sold, "unit_amount", "amount") * _transformed(sold, quantity))


def _transformed(sold: Mapping[str, Any], quantity: int) -> int:
    """The quantity that is charged for where units are sold in packages."""
    packed = fields.mapping(sold.get("transform_quantity")) or fields.mapping(sold.get("transform_usage"))
    size = whole(packed.get("divide_by"))
    if size is None or size < 1:
        return quantity
    return quantity // size if packed.get("round") == "down" else -(-quantity // size)


def _by_steps(tiers: Sequence[Mapping[str, Any]], quantity: int, *, volume: bool) -> Iterator[int]:
    """The lines of a price in steps: all units at the step that they reach, or the units of each step at its own."""
    begins = 0
    for tier in tiers:
        last = whole(tier.get("up_to"))
        reached = last is None or quantity <= last
        if reached or not volume:
            units = quantity if volume or last is None else min(quantity, last)
            yield _rounded(_amount(tier, "unit_amount") * (units - (0 if volume else begins)))
            yield _rounded(_amount(tier, "flat_amount"))
        if reached or last is None:
            return
        begins = last


def _discounted(
    lines: Sequence[Line], coupons: Sequence[Mapping[str, Any]], currency: str | None, *, everything: bool = False
) -> list[Line]:
    """The lines of one invoice after these coupons, each on what the one before has left."""
    left = list(lines)
    for coupon in coupons:
        only = fields.items(fields.mapping(coupon.get("applies_to")).get("products"))
        meant = [everything or not only or product in only for product, _ in left]
        total = sum(amount for (_, amount), is_meant in zip(left, meant, strict=True) if is_meant)
        if total <= 0:
            continue
        keeps = 1 - min(Fraction(_taken_off(coupon, Fraction(total), currency)) / total, Fraction(1))
        left = [
            (product, amount * keeps if is_meant else amount)
            for (product, amount), is_meant in zip(left, meant, strict=True)
        ]
    return left


def _taken_off(coupon: Mapping[str, Any], total: Fraction, currency: str | None) -> int:
    percent = coupon.get("percent_off")
    if percent is not None:
        return _rounded(total * _exact(percent) / 100)
    if fields.text(coupon.get("currency")) == currency:
        return whole(coupon.get("amount_off")) or 0
    others = fields.mapping(fields.mapping(coupon.get("currency_options")).get(currency or ""))
    return whole(others.get("amount_off")) or 0


def _for_ever(of: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The coupons that are never used up, of a subscription or an item."""
    coupons = [_coupon(each) for each in fields.items(of.get("discounts"))]
    return [coupon for coupon in coupons if coupon.get("duration") == "forever"]


def _coupon(discount: Any) -> Mapping[str, Any]:
    return fields.mapping(fields.mapping(fields.mapping(discount).get("source")).get("coupon"))


def _months(item: Mapping[str, Any]) -> Fraction | None:
    """How many months one period of the item is; None when it does not recur by itself."""
    sold = price(item)
    recurring = fields.mapping(sold.get("recurring")) or sold
    months, count = _MONTHS.get(str(recurring.get("interval"))), whole(recurring.get("interval_count"))
    if months is None or count == 0 or _is_metered(sold):
        return None
    return months * (count or 1)


def _is_metered(sold: Mapping[str, Any]) -> bool:
    return (fields.mapping(sold.get("recurring")) or sold).get("usage_type") == "metered"


def _is_tiered(sold: Mapping[str, Any]) -> bool:
    return sold.get("billing_scheme") == "tiered" or sold.get("tiers_mode") is not None


def _tiers(sold: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [fields.mapping(tier) for tier in fields.items(sold.get("tiers"))]


def _product(item: Mapping[str, Any]) -> str | None:
    return reference(price(item).get("product"))


def _amount(of: Mapping[str, Any], *names: str) -> Fraction:
    """In minor units; what has parts of one is told as a decimal only."""
    for name in names:
        amount = whole(of.get(name))
        if amount is not None:
            return Fraction(amount)
        if of.get(f"{name}_decimal") is not None:
            return _exact(of.get(f"{name}_decimal"))
    return Fraction(0)


def _exact(value: Any) -> Fraction:
    return Fraction(str(fields.number(str(value)) or 0))


def _rounded(amount: Fraction) -> int:
    """A half upwards, as Stripe rounds the lines of an invoice."""
    return floor(amount + Fraction(1, 2))
