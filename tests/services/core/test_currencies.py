"""Each currency as Stripe's documentation has it: what is typed, what is sent, what comes back, what is shown."""

import pytest
from pydantic import ValidationError

from admin_app.approval_limits import ApprovalLimits
from admin_app.config import Settings
from admin_app.context import Staff
from admin_app.currencies import CURRENCIES, currency_of
from admin_app.db import Database
from admin_app.errors import InvalidInput
from admin_app.services import refunds, schedule
from admin_app.services.core.amounts import major_units, minor_units, money_text, why_not_charged
from models import Payment, Role
from tests.services.factories import OPERATOR, SUPPORT
from tests.services.money import add_paid
from tests.services.schedule_rows import add_practitioner, add_session_type

OPS = Staff(id=3, email="ops@example.com", role=Role.OPS)


@pytest.mark.parametrize(
    ("written", "currency", "amount", "shown"),
    [
        ("5000", "ugx", 500_000, "5,000 UGX"),
        ("5", "isk", 500, "5 ISK"),
        ("5000", "jpy", 5000, "5,000 JPY"),
        ("5.12", "kwd", 5120, "5.120 KWD"),
        ("10.45", "huf", 1045, "10.45 HUF"),
        ("800.45", "twd", 80_045, "800.45 TWD"),
        ("12,5", "eur", 1250, "12.50 EUR"),
    ],
)
def test_an_amount_is_counted_as_stripe_does_and_shown_as_people_do(
    written: str, currency: str, amount: int, shown: str
) -> None:
    assert minor_units(written, currency) == amount
    assert money_text(amount, currency) == shown
    assert minor_units(major_units(amount, currency), currency) == amount


def test_a_fraction_that_should_not_be_is_not_hidden() -> None:
    assert money_text(550, "ugx") == "5.50 UGX"


@pytest.mark.parametrize(
    ("written", "currency", "sentence"),
    [
        ("5000.50", "ugx", "UGX is paid in whole units. Write it like 25."),
        ("5.5", "isk", "ISK is paid in whole units."),
        ("1.5", "jpy", "JPY is paid in whole units."),
        ("5.124", "kwd", "Stripe takes KWD with a 0 as its last digit. Write 5.120 or 5.130."),
        ("0.004", "bhd", "Write 0.010."),
    ],
)
def test_what_a_currency_has_no_unit_for_is_refused_with_the_reason(written: str, currency: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        minor_units(written, currency)
    assert sentence in refused.value.fields["amount"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"price": "0.49", "price_currency": "EUR"}, "Stripe charges no less than 0.50 EUR."),
        ({"price": "174", "price_currency": "HUF"}, "Stripe charges no less than 175.00 HUF."),
        ({"price": "49", "price_currency": "JPY"}, "Stripe charges no less than 50 JPY."),
        ({"price": "1000000", "price_currency": "EUR"}, "No more than 999,999.99 EUR can be charged at once"),
        ({"price": "10000000", "price_currency": "INR"}, "No more than 9,999,999.99 INR"),
        ({"price": "5000.50", "price_currency": "UGX"}, "UGX is paid in whole units"),
    ],
)
def test_a_price_that_stripe_would_refuse_is_refused_where_it_is_typed(
    db: Database, values: dict[str, str], sentence: str
) -> None:
    kind = add_session_type(db, add_practitioner(db))
    with db.unit_of_work(OPS) as ctx, pytest.raises(InvalidInput) as refused:
        schedule.change_session_type(ctx, session_type_id=kind.id, values=values, version=1)
    assert sentence in refused.value.fields["price"]


def test_every_currency_has_an_amount_that_can_be_typed_and_charged() -> None:
    for currency in CURRENCIES.values():
        least = max(currency.least, currency.step)
        assert why_not_charged(least, currency.code) is None
        assert minor_units(major_units(least, currency.code), currency.code) == least
        assert why_not_charged(currency.most + 1, currency.code)
    assert currency_of("idr").most > currency_of("cop").most > currency_of("inr").most > currency_of("eur").most


def settings(text: object) -> ApprovalLimits:
    return Settings(
        database_url="postgresql://x/y", secret_key="s" * 32, refund_approval_above=text
    ).refund_approval_above


def test_the_limit_of_refunds_is_of_each_currency() -> None:
    limits = settings("EUR 200, jpy:30000, UGX 800000")
    assert [limits.above(code) for code in ("eur", "jpy", "ugx", "usd")] == [20_000, 30_000, 80_000_000, 0]
    plain = settings(20_000)
    assert [plain.above(code) for code in ("eur", "jpy", "ugx", "kwd")] == [20_000, 200, 20_000, 200_000]
    assert settings("20000, JPY 30000").above("jpy") == 30_000


@pytest.mark.parametrize(
    "text", ["EUR", "EUR -1", "XYZ 5", "EUR 1, EUR 2", "1, 2", "UGX 5.5", "EUR 1.234", "NaN", "EUR nan"]
)
def test_a_limit_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match="Write it like EUR 200"):
        settings(text)


def test_a_second_person_decides_by_the_limit_of_the_currency(db: Database) -> None:
    payment = add_paid(db)
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(Payment, payment.id)
        row.currency = "jpy"
    with db.unit_of_work(SUPPORT) as ctx:
        for text, outcome in (("EUR 1, JPY 30000", "sent"), ("EUR 1000, JPY 5000", "waits"), ("EUR 1000", "waits")):
            limit = ApprovalLimits.read(text)
            plan = refunds.plan_request(ctx, payment_id=payment.id, amount=9_000, approval_above=limit)
            assert plan.outcome == outcome
