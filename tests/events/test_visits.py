"""A delivery's facts go one way from the provider's door to the audit: few files are entered again once left."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from admin_app.integrations.stripe import stripe_shapes
from admin_app.integrations.whop import whop_shapes
from admin_app.simulator.stripe import control_stripe
from models import BookingStatus, EventState, PendingProfile, WebhookEvent
from tests.events.visits import Way, followed
from tests.house import House, house, simulator
from tests.public.calendar_people import AtCalcom
from tests.public.test_bookings import ALWAYS
from tests.public.test_stripe_order import booking_of, bought, events_of
from tests.services.calendar_answers import calcom_told
from tests.services.deliveries import BUYER, membership
from tests.services.diary import Clock, offered

__all__ = ["house", "simulator"]


def delivered(house: House, post: Callable[[], object]) -> Way:
    """The way of the delivery that `post` makes: through the door, and through the one job that it leaves."""
    with followed(Way()) as way:
        post()
        assert house.work_one()
    (event,) = house.rows(select(WebhookEvent).order_by(WebhookEvent.id.desc()).limit(1))
    assert event.state is EventState.PROCESSED
    return way


def test_a_membership_is_activated_at_whop(house: House) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    period = {"renewal_period_start": start.isoformat()}
    period["renewal_period_end"] = (start + timedelta(days=30)).isoformat()
    body = membership("activated", start, id="mem_way", user=BUYER, **period)
    way = delivered(house, lambda: house.whop(body))
    assert house.count(PendingProfile) == 1
    assert way.returns <= 17, way.told()


def test_a_checkout_is_paid_at_stripe(house: House) -> None:
    booking = bought(house, offered(house.db, minutes=60, working_hours=ALWAYS), Clock(house.db))
    house.work()
    control_stripe.pay(house.simulator, str(booking.stripe_checkout_session_id), deliver=False)
    event = next(one for one in events_of(house, booking) if one["type"] == "checkout.session.completed")
    way = delivered(house, lambda: house.stripe(event))
    assert booking_of(house, booking.id).status is BookingStatus.CONFIRMED
    assert way.returns <= 24, way.told()


def test_a_booking_is_made_at_calcom(house: House) -> None:
    calcom = AtCalcom(house)
    booking = calcom.book("ada@example.com")
    starts_at, attendees = datetime.fromisoformat(booking["start"]), [booking["attendee"]]
    said = calcom_told("CREATED", booking["id"], at=starts_at, event_type=calcom.event_type, attendees=attendees)
    way = delivered(house, lambda: house.calcom(said.body))
    assert way.returns <= 30, way.told()


def test_a_file_that_is_come_back_to_is_counted() -> None:
    """The rule itself, with two files of the product: one is left for the other, and entered again."""
    with followed(Way()) as way:
        stripe_shapes.reference("pi_1")
        stripe_shapes.number("1")
        whop_shapes.plan_id({"plan_id": "plan_1"})
        stripe_shapes.reference("pi_2")
    first, second = "admin_app/integrations/stripe/stripe_shapes.py", "admin_app/integrations/whop/whop_shapes.py"
    assert (way.files, way.distinct, way.returns) == ([first, second, first], 2, 1)
