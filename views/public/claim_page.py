"""The page that the claim mail leads to: it shows what was bought, and acts only on POST.

The link's token is the proof here, so nothing may carry it on: no referrer, no log, no cache.
"""

from urllib.parse import urlencode

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import validate_csrf
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from wtforms import ValidationError

from admin_app.errors import AlreadyClaimed, DomainError, InvalidToken, NotSignedIn, ProviderUnavailable
from admin_app.outages import outage_of
from admin_app.services.purchases import claim_links, claims
from admin_app.services.purchases.claim_links import ClaimPreview
from views import errors
from views.backdesk import backdesk, request_id
from views.public.customers import SignInNotConfigured, clerk, customer
from views.public.pages import page
from views.public.shapes import LONGEST_TOKEN

doors = Blueprint("claim_page", __name__)

SESSION_COOKIE = "__session"


class FormTooOld(DomainError):
    code = "form_expired"
    status = 400
    sentence = "This page was open for too long. Nothing was done yet: press the button again."


@doors.errorhandler(DBAPIError)
@doors.errorhandler(NoFreeConnection)
def database_away(error: Exception) -> ResponseReturnValue:
    if outage_of(error) is None:
        return errors.failed(error)
    errors.note(error)
    return page("public/claim_unavailable.html", 503)


@doors.get("/claim")
def show() -> Response:
    token = _well_formed(request.args.get("token", ""))
    try:
        user_id = _user_id()
        purchase = _preview(token, user_id)
    except DomainError as refused:
        return _refused(refused)
    return _offer(token, purchase, user_id)


@doors.post("/claim")
def claim() -> Response:
    token = _well_formed(request.form.get("token", ""))
    try:
        user_id = _user_id()
        purchase = _preview(token, user_id)
        if user_id is None:
            return _offer(token, purchase, None, status=NotSignedIn.status)
        if not _sent_by_this_page():
            return _offer(token, purchase, user_id, problem=FormTooOld())
        outcome = _claim(token, user_id)
    except DomainError as refused:
        return _refused(refused)
    return page("public/claim_done.html", 200, outcome=outcome, purchase=purchase)


def _claim(token: str, user_id: str) -> str:
    who = customer(user_id, fresh=False)
    with backdesk().db.unit_of_work(who, request_id=request_id()) as ctx:
        outcome: str = claims.claim_by_token(ctx, token=token).outcome
    return outcome


def _preview(token: str, user_id: str | None) -> ClaimPreview:
    """The purchase; the provider is only asked who somebody is where the link alone does not lead there any more."""
    if not token:
        raise InvalidToken
    house = backdesk()
    now = house.db.clock()
    try:
        with house.db.read_only() as session:
            return claim_links.preview_by_token(session, token=token, now=now)
    except InvalidToken:
        if user_id is None:
            raise
    verified = customer(user_id, fresh=False).verified_emails
    with house.db.read_only() as session:
        return claim_links.preview_by_token(session, token=token, verified=verified, now=now)


def _well_formed(token: str) -> str:
    """The token, or nothing when it cannot be one."""
    plain = token.isascii() and token.isprintable() and len(token) <= LONGEST_TOKEN
    return token.strip() if plain else ""


def _user_id() -> str | None:
    """Who the browser's session with the sign-in provider belongs to, if anyone."""
    provider = clerk()
    try:
        return provider.verify_session_token(request.cookies.get(SESSION_COOKIE, "")).user_id
    except NotSignedIn:
        return None


def _sent_by_this_page() -> bool:
    # Not by CSRFProtect: on https that wants a referrer, which this page never sends.
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError:
        return False
    return True


def _offer(
    token: str,
    purchase: ClaimPreview,
    user_id: str | None,
    *,
    status: int = 200,
    problem: DomainError | None = None,
) -> Response:
    if purchase.claimed and user_id and purchase.claimed_by_user_id == user_id:
        # Most often by the sign-up itself, under the address of the purchase.
        return page("public/claim_done.html", 200, outcome="already_claimed", purchase=purchase)
    if purchase.claimed:
        return page("public/claim_taken.html", 200)
    return page(
        "public/claim.html",
        problem.status if problem else status,
        token=token,
        purchase=purchase,
        signed_in=user_id is not None,
        sign_in_url=_sign_in_url(token),
        problem=problem,
    )


def _sign_in_url(token: str) -> str | None:
    settings = backdesk().settings
    if not settings.clerk_sign_in_url:
        return None
    back = f"{settings.base_url}/claim?{urlencode({'token': token})}"
    joint = "&" if "?" in settings.clerk_sign_in_url else "?"
    return f"{settings.clerk_sign_in_url}{joint}{urlencode({'redirect_url': back})}"


def _refused(error: DomainError) -> Response:
    match error:
        case AlreadyClaimed():
            return page("public/claim_taken.html", error.status)
        case InvalidToken():
            return page("public/claim_invalid.html", error.status)
        case ProviderUnavailable() | SignInNotConfigured():
            return page("public/claim_unavailable.html", 503)
        case _:
            raise error
