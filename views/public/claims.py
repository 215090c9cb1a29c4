"""What the site calls for a signed-in customer: sign-in, and the claim of a purchase under an e-mail."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from admin_app.context import Customer
from admin_app.errors import EmailNotVerified, InvalidToken
from admin_app.services.purchases import claims
from admin_app.services.purchases.claims import ClaimResult
from views.backdesk import backdesk, request_id
from views.public import bodies
from views.public.customers import bearer_token, clerk, customer
from views.public.shapes import ClaimAnswer, ClaimRequest

doors = Blueprint("claims", __name__)


@doors.post("/api/profiles/sign-in")
def sign_in() -> ResponseReturnValue:
    # Asked anew and not from the short memory: an address verified a moment ago must count at this call.
    who = customer(_user_id(), fresh=True)
    with backdesk().db.unit_of_work(who, request_id=request_id()) as ctx:
        return _answer(claims.sign_in(ctx))


@doors.post("/api/pending-profiles/claim")
def claim() -> ResponseReturnValue:
    user_id = _user_id()
    wanted = bodies.read(ClaimRequest)
    known = customer(user_id, fresh=False)
    try:
        return _claim(known, wanted)
    except (EmailNotVerified, InvalidToken):
        # Perhaps verified a moment ago, after the short memory of the provider's answer was made.
        now = customer(user_id, fresh=True)
        if now.verified_emails == known.verified_emails:
            raise
        return _claim(now, wanted)


def _claim(who: Customer, wanted: ClaimRequest) -> ResponseReturnValue:
    with backdesk().db.unit_of_work(who, request_id=request_id()) as ctx:
        return _answer(claims.claim(ctx, email=wanted.email, token=wanted.token))


def _user_id() -> str:
    return clerk().verify_session_token(bearer_token(request.headers.get("Authorization", ""))).user_id


def _answer(result: ClaimResult) -> ResponseReturnValue:
    return ClaimAnswer.of(result.outcome, result.profile).model_dump(mode="json"), 200
