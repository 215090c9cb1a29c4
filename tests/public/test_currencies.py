"""A price in a currency of which Stripe counts hundredths that nobody has: typed, charged, heard and given back."""

from admin_app.context import Staff
from admin_app.services import refunds, schedule
from admin_app.services.core.amounts import minor_units, money_text
from admin_app.simulator.stripe import control_stripe
from models import Booking, Payment, Role
from tests.house import House
from tests.public.test_bookings import ALWAYS, book, the
from tests.services.diary import offered, tomorrow
from tests.services.factories import SUPPORT

OPS = Staff(id=3, email="ops@example.com", role=Role.OPS)


def test_ugx_goes_out_and_comes_back_as_it_was_typed(house: House) -> None:
    kind = offered(house.db, working_hours=ALWAYS)
    with house.db.unit_of_work(OPS) as ctx:
        values = {"price": "5000", "price_currency": "UGX"}
        schedule.change_session_type(ctx, session_type_id=kind.id, values=values, version=kind.version)
    assert book(house, kind, tomorrow(house.db.clock())).status_code == 201
    session_id = the(house, Booking).stripe_checkout_session_id
    made = next(each for each in control_stripe.sessions(house.simulator) if each["id"] == session_id)
    assert (made["amount_total"], made["currency"]) == (500_000, "ugx")
    control_stripe.pay(house.simulator, made["id"], deliver=False)
    for event in control_stripe.events(house.simulator, session_id):
        assert house.stripe(event).status_code == 200
    house.work()
    paid = the(house, Payment)
    assert money_text(paid.captured_amount, paid.currency) == "5,000 UGX"
    with house.db.unit_of_work(SUPPORT) as ctx:
        plan = refunds.plan_request(ctx, payment_id=paid.id, amount=minor_units("1250", "ugx"), approval_above=10**9)
    assert plan.title == "Give back 1,250 UGX"
