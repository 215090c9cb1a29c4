"""Whop's API through its SDK.

The SDK's models refuse an answer of an older shape or with fields left out. Its error still carries the JSON,
and `whop_shapes` reads all shapes, so such an answer is used and not lost.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import httpx
from whop_sdk import Whop
from whop_sdk.core.api_error import ApiError
from whop_sdk.core.parse_error import ParsingError
from whop_sdk.core.request_options import RequestOptions
from whop_sdk.environment import WhopEnvironment

from admin_app.errors import AnswerUnreadable, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.http import fields, transport
from admin_app.integrations.http.guard import Guard
from admin_app.integrations.http.transport import Patience, Rules
from admin_app.integrations.ports import WhopMembership, WhopPayment, WhopRefund
from admin_app.integrations.whop import whop_shapes

PROVIDER = "whop"
API_VERSION_DATE = "2026-10-15-1"
# Lists of a hundred take their time; only jobs ask.
RULES = Rules(reads=Patience(seconds=20, seconds_per_try=10))
_PAGE_SIZE = 100
_OUR_KEY = frozenset({401, 403})
_REFUSALS = frozenset({400, 401, 402, 403, 422})
Found = TypeVar("Found")


class WhopApi:
    """`WhopPort` over HTTP."""

    def __init__(self, api_key: str, api_base: str, guard: Guard, rules: Rules = RULES) -> None:
        self._sdk = Whop(
            token=api_key,
            environment=WhopEnvironment(api=api_base, vault=api_base),
            httpx_client=transport.client(guard, api_base, rules),
            api_version_date=API_VERSION_DATE,
            max_retries=0,
        )

    def membership(self, membership_id: str) -> WhopMembership | None:
        answer = membership_id and _answer(lambda: self._sdk.memberships.retrieve(membership_id))
        found = whop_shapes.membership(answer) if answer else None
        if found is None or found.email or not found.member_id:
            return found
        return self._with_email(found, found.member_id)

    def _with_email(self, found: WhopMembership, member_id: str) -> WhopMembership:
        try:
            member = _answer(lambda: self._sdk.members.retrieve(member_id))
        except _NotAllowed:
            return found
        if member is None:
            return found
        name = fields.text(fields.mapping(member.get("user")).get("name")) or fields.text(member.get("display_name"))
        return replace(found, email=whop_shapes.email(member), name=found.name or name)

    def memberships(self) -> Iterator[WhopMembership]:
        cursor: str | None = None
        while True:
            page = self._page(cursor)
            for item in page.get("data") or ():
                if found := whop_shapes.membership(fields.mapping(item)):
                    yield found
            info = fields.mapping(page.get("page_info"))
            following = fields.text(info.get("end_cursor"))
            # A cursor that does not move would read the same page for ever.
            if not info.get("has_next_page") or following is None or following == cursor:
                return
            cursor = following

    def cancel(self, membership_id: str, *, at_period_end: bool, idempotency_key: str) -> WhopMembership:
        keyed: RequestOptions = {"additional_headers": {"Idempotency-Key": idempotency_key}}
        cancel = self._sdk.memberships.cancel
        return _changed(
            lambda: cancel(membership_id, cancel_at_period_end=at_period_end, request_options=keyed), membership_id
        )

    def uncancel(self, membership_id: str) -> WhopMembership:
        return _changed(lambda: self._sdk.memberships.update(membership_id, cancel_at_period_end=False), membership_id)

    def reactivate(self, membership_id: str) -> WhopMembership:
        return _changed(lambda: self._sdk.memberships.reactivate(membership_id), membership_id)

    def payments_of(self, membership_id: str) -> list[WhopPayment]:
        page = _listed(lambda: self._sdk.payments.list(membership_id=membership_id, first=_PAGE_SIZE).response)
        return _all(page, whop_shapes.payment)

    def payment(self, payment_id: str) -> WhopPayment | None:
        answer = payment_id and _answer(lambda: self._sdk.payments.retrieve(payment_id))
        if not answer:
            return None
        found = whop_shapes.payment(answer)
        if found is None:
            raise AnswerUnreadable(PROVIDER)
        return found

    def refunds_of(self, payment_id: str) -> list[WhopRefund]:
        page = _listed(lambda: self._sdk.refunds.list(payment_id=payment_id, first=_PAGE_SIZE).response)
        if fields.mapping(page.get("page_info")).get("has_next_page"):
            raise ProviderUnavailable(PROVIDER)  # what is not seen cannot be counted
        return _all(page, whop_shapes.refund)[::-1]

    def refund(
        self, payment_id: str, *, amount: Decimal, reason: str, refund_id: int, idempotency_key: str
    ) -> WhopPayment:
        try:
            answer = _answer(
                lambda: self._sdk.payments.refund(
                    payment_id,
                    partial_amount=float(amount),
                    metadata={"refundId": str(refund_id), "reason": reason},
                    request_options={"additional_headers": {"Idempotency-Key": idempotency_key}},
                ),
                refusals=_REFUSALS,
            )
        except (_Unreadable, _Failed):
            raise OutcomeUnknown(PROVIDER) from None
        if answer is None:
            raise ProviderRefused(PROVIDER, "no_such_payment")
        found = whop_shapes.payment(answer)
        if found is None:
            raise OutcomeUnknown(PROVIDER)
        return found

    def _page(self, cursor: str | None) -> Mapping[str, Any]:
        return _listed(lambda: self._sdk.memberships.list(first=_PAGE_SIZE, after=cursor).response)


class _NotAllowed(ProviderUnavailable):
    """The key lacks a permission; asking again does not help."""


def _changed(call: Callable[[], Any], membership_id: str) -> WhopMembership:
    """Make something happen at Whop, and say of a failure whether it may have happened."""
    if not membership_id:
        raise ProviderRefused(PROVIDER, "not_found")
    try:
        body = call().dict()
    except ParsingError as unread:
        body = unread.body
    except ApiError as error:
        # A success that is no JSON comes this way, too.
        if error.status_code is None or error.status_code < 400:
            raise OutcomeUnknown(PROVIDER) from None
        raise ProviderRefused(PROVIDER, _code(error), passing=error.status_code in _OUR_KEY) from None
    except (httpx.HTTPError, ValueError):
        raise OutcomeUnknown(PROVIDER) from None
    found = whop_shapes.membership(body) if isinstance(body, dict) else None
    if found is None:
        raise OutcomeUnknown(PROVIDER)
    return found


class _Failed(ProviderUnavailable):
    """Whop had the call and had trouble with it."""


class _Unreadable(ProviderUnavailable):
    """The answer is none."""


def _listed(call: Callable[[], Any]) -> Mapping[str, Any]:
    page = _answer(call)
    if page is None or not isinstance(page.get("data"), list):
        raise ProviderUnavailable(PROVIDER)
    return page


def _all(page: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Found | None]) -> list[Found]:
    """Every item of a page; one that cannot be read is a trouble, not a gap."""
    found = [read(fields.mapping(item)) for item in page["data"]]
    if any(each is None for each in found):
        raise ProviderUnavailable(PROVIDER)
    return [each for each in found if each is not None]


def _answer(call: Callable[[], Any], *, refusals: frozenset[int] = frozenset()) -> Mapping[str, Any] | None:
    """The JSON object behind an SDK call; None when Whop knows no such thing.

    `refusals` are the statuses that are a clear no to a call that changes something.
    """
    try:
        body = call().dict()
    except ParsingError as refused:
        body = refused.body
    except ApiError as error:
        if error.status_code == 404:
            return None
        if error.status_code in refusals:
            passing = error.status_code in (401, 403)
            raise ProviderRefused(PROVIDER, _code(error), passing=passing) from None
        if error.status_code == 403:
            raise _NotAllowed(PROVIDER) from None
        if error.status_code is not None and error.status_code != 429:
            raise _Failed(PROVIDER) from None
        raise ProviderUnavailable(PROVIDER) from None
    except (httpx.HTTPError, ValueError):
        raise _Unreadable(PROVIDER) from None
    if not isinstance(body, dict):
        raise _Unreadable(PROVIDER)
    return body


def _code(error: ApiError) -> str:
    """Whop's own code of a refusal; never its sentence, which may quote what was sent."""
    stated = fields.mapping(fields.mapping(error.body).get("error"))
    return fields.text(stated.get("code")) or fields.text(stated.get("type")) or f"http_{error.status_code}"
