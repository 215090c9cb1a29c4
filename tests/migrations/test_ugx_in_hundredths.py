"""What 0045 makes of prices in Ugandan shillings, once, however often it runs."""

from tests.migrations.journey import Journey

SOLD = """
INSERT INTO practitioners (id, name, email) VALUES (901, 'A', 'a@x.example');
INSERT INTO session_types (id, practitioner_id, title, minutes, price_amount, price_currency) VALUES
    (901, 901, 'UGX', 50, 5000, 'ugx'), (902, 901, 'EUR', 50, 5000, 'eur');
"""
PRICES = "SELECT json_object_agg(title, price_amount) FROM session_types WHERE id > 900"


def test_a_price_is_multiplied_once(journey: Journey) -> None:
    journey.up("0042")
    journey.run(SOLD)
    for again in (journey.claim_to_be_at, journey.down):
        journey.up("0045")
        assert journey.value(PRICES) == {"UGX": 500_000, "EUR": 5000}
        again("0042")
    assert journey.value(PRICES) == {"UGX": 5000, "EUR": 5000}
    journey.up("0045")
    journey.run(
        "INSERT INTO session_types (id, practitioner_id, title, minutes, price_amount, price_currency)"
        " VALUES (903, 901, 'new', 50, 7000, 'ugx')"
    )
    journey.down("0042")
    assert journey.value(PRICES) == {"UGX": 5000, "EUR": 5000, "new": 70}
