"""What recurs of a subscription, by Stripe's own arithmetic."""

import pytest

from tests.integrations.stripe_objects import (
    ENDS,
    STARTS,
    at,
    discount,
    in_packages,
    in_steps,
    item,
    read,
    subscription,
)


class TestStripesOwnArithmetic:
    """The numbers are those of Stripe's documentation, where it has some."""

    @pytest.mark.parametrize(
        ("quantity", "monthly"), [(1, 1_000), (3, 1_000), (5, 1_000), (6, 2_000), (7, 2_000), (0, 0)]
    )
    def test_packages_of_five_users_at_10_usd(self, quantity, monthly):
        assert read(subscription(in_packages(quantity))).monthly_amount == monthly

    def test_packages_are_rounded_as_the_price_says(self):
        assert read(subscription(in_packages(150, size=60))).monthly_amount == 3_000  # 150 minutes are three hours
        assert read(subscription(in_packages(150, size=60, to="down"))).monthly_amount == 2_000
        assert read(subscription(in_packages(25, 4_900, 10))).monthly_amount == 14_700  # and not 1,225.00
        older = {"amount": 1_000, "interval": "month", "transform_usage": {"divide_by": 5, "round": "up"}}
        assert read(subscription({"quantity": 6, "plan": older})).monthly_amount == 2_000

    @pytest.mark.parametrize(
        ("quantity", "volume", "graduated"),
        [(1, 700, 700), (5, 3_500, 3_500), (6, 3_900, 4_150), (20, 12_000, 12_750), (25, 15_000, 15_750)],
    )
    def test_fonts_at_7_then_6_50_then_6_usd(self, quantity, volume, graduated):
        assert read(subscription(in_steps(quantity, "volume"))).monthly_amount == volume
        assert read(subscription(in_steps(quantity, "graduated"))).monthly_amount == graduated

    def test_the_flat_part_of_a_step(self):
        tiers = [{"up_to": 5, "unit_amount": 500, "flat_amount": 1_000}, {"up_to": None, "flat_amount_decimal": "2000"}]
        for quantity, volume, graduated in ((0, 1_000, 1_000), (5, 3_500, 3_500), (6, 2_000, 5_500)):
            assert read(subscription(in_steps(quantity, "volume", tiers))).monthly_amount == volume
            assert read(subscription(in_steps(quantity, "graduated", tiers))).monthly_amount == graduated

    def test_every_line_is_rounded_a_half_upwards_before_they_are_added(self):
        line = item(None, unit_amount_decimal="0.05", quantity=30)  # 1.5 cents
        assert read(subscription(line)).monthly_amount == 2
        assert read(subscription(line, line, line)).monthly_amount == 6

    @pytest.mark.parametrize(
        ("discounts", "monthly"),
        [
            ([discount(percent=50)], 5_000),  # "a 50% off coupon … of forever will halve that subscription's MRR"
            ([discount("once", percent=50)], 10_000),
            ([discount("repeating", percent=50, duration_in_months=3)], 10_000),
            ([discount(percent=33.33)], 6_667),
            ([discount(percent=20), discount(amount_off=500, currency="eur")], 7_500),
            ([discount(amount_off=500, currency="eur"), discount(percent=20)], 7_600),
            # "a subtotal of 100 will have a final total of 0 if a coupon with an amount_off of 200 is applied to it"
            ([discount(amount_off=20_000, currency="eur")], 0),
            ([discount(amount_off=500, currency="usd")], 10_000),
            ([discount(amount_off=500, currency="usd", currency_options={"eur": {"amount_off": 400}})], 9_600),
            ([discount(percent=50, applies_to={"products": ["prod_other"]})], 10_000),
            ([discount(percent=50, applies_to={"products": ["prod_1"]})], 5_000),
            (["di_1"], 10_000),
            ([{"id": "di_1", "source": {"type": "coupon", "coupon": None}}], 10_000),
        ],
    )
    def test_a_discount_for_ever_counts_and_one_that_ends_does_not(self, discounts, monthly):
        sold = item(10_000, product="prod_1")
        assert read(subscription(sold, currency="eur", discounts=discounts)).monthly_amount == monthly

    def test_the_discount_of_an_item_comes_before_that_of_the_subscription(self):
        cheaper = item(10_000) | {"discounts": [discount(amount_off=2_000, currency="eur")]}
        found = read(subscription(cheaper, item(2_000), currency="eur", discounts=[discount(percent=10)]))
        assert found.monthly_amount == 9_000  # (100 − 20 + 20) − 10 %

    def test_a_discount_of_one_product_leaves_the_others(self):
        half = discount(percent=50, applies_to={"products": ["prod_1"]})
        lines = (item(10_000, product="prod_1"), item(3_000, product={"id": "prod_2"}))
        assert read(subscription(*lines, currency="eur", discounts=[half])).monthly_amount == 8_000

    @pytest.mark.parametrize(
        ("own", "customers", "monthly"),
        [
            ([], discount(percent=10), 9_000),  # "if not specified or empty, inherits the discount from the … customer"
            ([discount(percent=50)], discount(percent=10), 5_000),
            ([discount("once", percent=50)], discount(percent=10), 9_000),  # what is left once it is used
            ([], discount("repeating", percent=10, duration_in_months=3), 10_000),
            ([], discount(amount_off=500, currency="eur"), 9_500),
            ([], discount(percent=10, applies_to={"products": ["prod_other"]}), 10_000),
            ([], None, 10_000),
        ],
    )
    def test_a_subscription_without_a_discount_of_its_own_has_its_customers(self, own, customers, monthly):
        sold, customer = item(10_000, product="prod_1"), {"id": "cus_1", "object": "customer", "discount": customers}
        found = read(subscription(sold, currency="eur", discounts=own, customer=customer))
        assert (found.monthly_amount, found.customer_id) == (monthly, "cus_1")

    def test_the_customers_discount_comes_after_that_of_an_item(self):
        cheaper = item(10_000) | {"discounts": [discount(amount_off=2_000, currency="eur")]}
        customer = {"id": "cus_1", "discount": discount(percent=10)}
        assert read(subscription(cheaper, currency="eur", customer=customer)).monthly_amount == 7_200

    def test_items_of_different_length(self):
        """15 USD a month and 100 USD a quarter, as in the documentation; the period is that of the next payment."""
        quarter = item(10_000, count=3) | {"current_period_end": ENDS + 60 * 86_400}
        month = item(1_500) | {"current_period_start": STARTS + 5}
        found = read(subscription(quarter, month, item(120_000, "year")))
        assert found.monthly_amount == 14_833  # 15 + 33 1/3 + 100
        found = read(subscription(quarter, month, currency="usd", discounts=[discount(percent=50)]))
        assert found.monthly_amount == 2_417
        assert (found.current_period_start, found.current_period_end) == (at(STARTS + 5), at(ENDS))
        found = read(subscription(quarter, month, currency="usd", discounts=[discount(amount_off=500, currency="usd")]))
        assert found.monthly_amount == 4_333  # five off every invoice, and there is one a month
