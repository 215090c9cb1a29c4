"""The page that Stripe leads a payer back to: how it stands with what they paid for, in plain words."""

from flask import Blueprint, Response

from admin_app.errors import NotFound
from admin_app.services.bookings.appointment_mails import Words
from admin_app.services.checkout import website_bookings
from admin_app.services.purchases.claim_links import mask
from views.backdesk import backdesk
from views.public.bookings import session_id
from views.public.pages import page

doors = Blueprint("booking_page", __name__)

ASK_AGAIN_SECONDS = 4


@doors.get("/booking")
def show() -> Response:
    asked = session_id()
    if not asked:
        # Left without paying: Stripe does not say from which page.
        return page("public/booking_left.html", 200)
    with backdesk().db.read_only() as session:
        try:
            appointment, payment = website_bookings.paid_by(session, session_id=asked)
        except NotFound as refused:
            return page("public/booking_unknown.html", refused.status)
        waits = appointment.row.status == "pending" and payment.state == "open"
        return page(
            "public/booking.html",
            200,
            state=appointment.row.status.value,
            payment=payment.state.value,
            appointment=appointment,
            words=Words.of(appointment),
            masked_email=mask(appointment.email or ""),
            refresh=ASK_AGAIN_SECONDS if waits else None,
            checkout_url=payment.checkout_url if waits else None,
        )
