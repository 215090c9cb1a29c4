"""What the site calls for a signed-in customer: sign-in, and the claim of a purchase under an e-mail."""

from flask import Blueprint, request

from admin_app.context import Customer
from admin_app.errors import EmailNotVerified, InvalidToken
from admin_app.services.purchases import claims
from admin_app.services.purchases.claims import ClaimResult
from views.backdesk import backdesk, request_id
from views.public.customers import bearer_token, clerk, customer
from views.public.endpoints import CUSTOMER, Endpoint, endpoint
from views.public.shapes import ClaimAnswer, ClaimRequest

doors = Blueprint("claims", __name__)


def user_id_of_token() -> str:
    """Whom the session token speaks for, proved before any transaction; NotSignedIn (401) for none."""
    return clerk().verify_session_token(bearer_token(request.headers.get("Authorization", ""))).user_id


@endpoint(
    doors,
    Endpoint(
        "POST",
        "/api/profiles/sign-in",
        id="signIn",
        summary="When a person signs in: claim a waiting purchase, else make sure of a profile",
        security=CUSTOMER,
        answers={200: ("What happened, and the profile", ClaimAnswer)},
        refuses=(401, 404, 503),
    ),
    caller=user_id_of_token,
)
def sign_in(user_id: str) -> ClaimAnswer:
    # Asked anew and not from the short memory: an address verified a moment ago must count at this call.
    who = customer(user_id, fresh=True)
    with backdesk().db.unit_of_work(who, request_id=request_id()) as ctx:
        return _answer(claims.sign_in(ctx))


@endpoint(
    doors,
    Endpoint(
        "POST",
        "/api/pending-profiles/claim",
        id="claim",
        summary="Claim the purchase under an e-mail, verified or proved by the claim mail's token",
        security=CUSTOMER,
        body=ClaimRequest,
        answers={200: ("What happened, and the profile", ClaimAnswer)},
        refuses=(400, 401, 403, 404, 409, 413, 415, 422, 503),
    ),
    caller=user_id_of_token,
)
def claim(user_id: str, wanted: ClaimRequest) -> ClaimAnswer:
    known = customer(user_id, fresh=False)
    try:
        return _claim(known, wanted)
    except (EmailNotVerified, InvalidToken):
        # Perhaps verified a moment ago, after the short memory of the provider's answer was made.
        now = customer(user_id, fresh=True)
        if now.verified_emails == known.verified_emails:
            raise
        return _claim(now, wanted)


def _claim(who: Customer, wanted: ClaimRequest) -> ClaimAnswer:
    with backdesk().db.unit_of_work(who, request_id=request_id()) as ctx:
        return _answer(claims.claim(ctx, email=wanted.email, token=wanted.token))


def _answer(result: ClaimResult) -> ClaimAnswer:
    return ClaimAnswer.of(result.outcome, result.profile)
