"""Stripe's API through its SDK.

A change is tried up to three times with one idempotency key, by our transport and not by the SDK. What a failure means
depends on all of its tries: when an earlier one left and was lost, a plain "not now" to the last one does not say that
nothing happened.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import stripe

from admin_app.errors import AnswerUnreadable, DomainError, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.http import fields, transport
from admin_app.integrations.http.guard import Guard
from admin_app.integrations.http.transport import LOST, Patience, Rules
from admin_app.integrations.money_ports import (
    CheckoutRequest,
    StripeCustomer,
    StripeDispute,
    StripeInvoicePayment,
    StripePayment,
    StripeRefund,
    StripeSession,
    StripeSubscription,
    StripeUnreadable,
)
from admin_app.integrations.stripe import stripe_prices, stripe_shapes, stripe_subscriptions

PROVIDER = "stripe"
# A conflict is a try that is still running; 424 may come after the effect. Stripe says itself when to try no more.
RULES = Rules(
    reads=Patience(seconds=20, seconds_per_try=10),
    writes=Patience(seconds=30, seconds_per_try=10),
    keys_repeat=True,
    lost_statuses=frozenset({409, 424}),
    advice="stripe-should-retry",
)
_PAGE_SIZE = 100
_MOST_INVOICES = 24
_ITS_CHARGE = "data.payment.payment_intent.latest_charge"  # no deeper: Stripe expands four levels
_REASONS = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
# What the SDK lets through when an answer is JSON but no object of Stripe's.
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
# What Stripe says no to of one object says nothing of the others.
_ABOUT_THIS_ONE = frozenset({400, 404})
_REFUSALS = frozenset({400, 401, 403, 404, 405})
Found = TypeVar("Found")
Read = Callable[[Mapping[str, Any]], Found | None]

# It would write a file into the user's home and tell Stripe about this machine.
stripe.enable_telemetry = False


class StripeApi:
    """`StripePort` over HTTP."""

    def __init__(self, secret_key: str, api_base: str, guard: Guard, rules: Rules | None = None) -> None:
        self._http = _Http(transport.client(guard, api_base, rules or RULES))
        self._v1 = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base},
            max_network_retries=0,
            http_client=self._http,
        ).v1

    def create_checkout(self, checkout: CheckoutRequest, *, idempotency_key: str) -> StripeSession:
        wanted = stripe_shapes.checkout_params(checkout)
        create = self._v1.checkout.sessions.create
        return self._write(
            lambda: create(params=wanted, options={"idempotency_key": idempotency_key}), stripe_shapes.session
        )

    def checkout(self, session_id: str) -> StripeSession | None:
        return _read(session_id, self._v1.checkout.sessions.retrieve, stripe_shapes.session)

    def expire_checkout(self, session_id: str) -> StripeSession:
        try:
            return self._write(lambda: self._v1.checkout.sessions.expire(session_id), stripe_shapes.session)
        except ProviderRefused:
            # Stripe expires only an open one.
            found = self.checkout(session_id)
            if found is None or found.status == "open":
                raise
            return found

    def payment(self, payment_intent_id: str) -> StripePayment | None:
        wanted: Any = {"expand": ["latest_charge.balance_transaction"]}
        asked_at = datetime.now(UTC)
        return _read(
            payment_intent_id,
            lambda identity: self._v1.payment_intents.retrieve(identity, params=wanted),
            lambda found: stripe_shapes.payment(found, self._disputes(found), asked_at),
        )

    def _disputes(self, payment: Mapping[str, Any]) -> list[StripeDispute]:
        """The disputes of a payment, newest first; its charge says only whether there is any."""
        if not stripe_shapes.is_disputed(payment):
            return []
        wanted: Any = {"payment_intent": payment.get("id"), "limit": _PAGE_SIZE}
        return _all(lambda: self._v1.disputes.list(params=wanted), stripe_shapes.dispute)

    def create_refund(
        self, payment_intent_id: str, *, amount: int, reason: str, refund_id: int, idempotency_key: str
    ) -> StripeRefund:
        wanted: Any = {
            "payment_intent": payment_intent_id,
            "amount": amount,
            "metadata": {"refundId": str(refund_id), "reason": reason},
        }
        # Where Stripe has no word for the reason, only the metadata tells it.
        if reason in _REASONS:
            wanted["reason"] = reason
        create = self._v1.refunds.create
        return self._write(
            lambda: create(params=wanted, options={"idempotency_key": idempotency_key}), stripe_shapes.refund
        )

    def refund(self, stripe_refund_id: str) -> StripeRefund | None:
        return _read(stripe_refund_id, self._v1.refunds.retrieve, stripe_shapes.refund)

    def refunds_of(self, payment_intent_id: str) -> list[StripeRefund]:
        wanted: Any = {"payment_intent": payment_intent_id, "limit": _PAGE_SIZE}
        return _all(lambda: self._v1.refunds.list(params=wanted), stripe_shapes.refund)[::-1]

    def sessions_since(self, moment: datetime) -> Iterator[StripeSession | StripeUnreadable]:
        sessions = self._v1.checkout.sessions
        # Those that set up a card or a subscription have no payment to be read.
        return _each(
            lambda: sessions.list(params=_since(moment)),
            stripe_shapes.session,
            only=lambda found: found.get("mode", "payment") == "payment",
        )

    def refunds_since(self, moment: datetime) -> Iterator[StripeRefund | StripeUnreadable]:
        return _each(lambda: self._v1.refunds.list(params=_since(moment)), stripe_shapes.refund)

    def disputes_since(self, moment: datetime) -> Iterator[StripeDispute | StripeUnreadable]:
        return _each(lambda: self._v1.disputes.list(params=_since(moment)), stripe_shapes.dispute)

    def subscription(self, subscription_id: str) -> StripeSubscription | None:
        wanted: Any = {"expand": [*stripe_subscriptions.EXPANDED]}
        retrieve = self._v1.subscriptions.retrieve
        return _read(subscription_id, lambda identity: retrieve(identity, params=wanted), self._subscription)

    def subscriptions_of(self, customer_id: str) -> list[StripeSubscription]:
        if not customer_id:
            return []
        return _all(lambda: self._list_subscriptions(customer=customer_id), self._subscription)

    def invoice_payments_of(self, subscription_id: str) -> list[StripeInvoicePayment]:
        wanted: Any = {"subscription": subscription_id, "limit": _PAGE_SIZE}
        try:
            listed = [invoice.to_dict() for invoice in self._v1.invoices.list(params=wanted).data]
            collected = [invoice for invoice in listed if stripe_shapes.is_collected(invoice)][:_MOST_INVOICES]
            return [paid for invoice in collected for paid in self._payments_of(invoice)]
        except stripe.StripeError as error:
            if error.http_status == 404:
                return []
            raise ProviderUnavailable(PROVIDER) from None
        except _UNREADABLE:
            raise ProviderUnavailable(PROVIDER) from None

    def _payments_of(self, invoice: Mapping[str, Any]) -> Iterator[StripeInvoicePayment]:
        if fields.mapping(invoice.get("lines")).get("has_more") is True:
            # Ten are told with the invoice: the period may be that of a later one.
            listed: Any = {"limit": _PAGE_SIZE}
            every = self._v1.invoices.line_items.list(invoice["id"], params=listed).auto_paging_iter()
            invoice = {**invoice, "lines": {"data": [line.to_dict() for line in every]}}
        wanted: Any = {"invoice": invoice["id"], "limit": _PAGE_SIZE, "expand": [_ITS_CHARGE]}
        for item in self._v1.invoice_payments.list(params=wanted).auto_paging_iter():
            data = item.to_dict()
            intent = fields.mapping(fields.mapping(data.get("payment")).get("payment_intent"))
            found = stripe_shapes.invoice_payment(data, invoice, self._disputes(intent))
            if found is not None:
                yield found

    def customer(self, customer_id: str) -> StripeCustomer | None:
        return _read(customer_id, self._v1.customers.retrieve, stripe_shapes.customer)

    def subscriptions(self) -> Iterator[StripeSubscription | StripeUnreadable]:
        return _each(self._list_subscriptions, self._subscription)

    def _subscription(self, data: Mapping[str, Any]) -> StripeSubscription | None:
        """One question more for somebody who is late, and for a price that needs it, and only for them."""
        data = self._in_full(data)
        found = stripe_subscriptions.subscription(data)
        if found is None or not stripe_subscriptions.may_owe_more(found, data):
            return found
        wanted: Any = {"subscription": found.id, "status": "open", "limit": _PAGE_SIZE}
        try:
            every = self._v1.invoices.list(params=wanted).auto_paging_iter()
            return stripe_subscriptions.with_all_due(found, [invoice.to_dict() for invoice in every])
        except stripe.StripeError as error:
            # A key that may read subscriptions and no invoices still tells what the latest one asks for.
            if error.http_status in _REFUSALS:
                return found
            raise

    def _in_full(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """With all items, steps of prices and coupons: Stripe cuts its inner lists, and tells the rest when asked."""
        identity, told = fields.text(data.get("id")) or "", dict(data)
        try:
            if stripe_prices.lacks_items(data):
                wanted: Any = {"subscription": identity, "limit": _PAGE_SIZE, "expand": [*stripe_prices.WITH_ITEMS]}
                every = self._v1.subscription_items.list(params=wanted).auto_paging_iter()
                told["items"] = {"data": [item.to_dict() for item in every]}
            if stripe_prices.lacks_discounts(data):
                expanded: Any = {"expand": [*stripe_prices.WITH_DISCOUNTS]}
                asked = self._v1.subscriptions.retrieve(identity, params=expanded).to_dict()
                told["discounts"] = asked.get("discounts")
            if stripe_prices.lacks_customers_discount(told):
                told["customer"] = self._with_discount(fields.mapping(data.get("customer")))
        except stripe.StripeError as error:
            # The list price instead would be a wrong one that nobody sees.
            if error.http_status in _ABOUT_THIS_ONE:
                raise AnswerUnreadable(PROVIDER) from None
            raise ProviderUnavailable(PROVIDER) from None
        return told

    def _with_discount(self, customer: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted: Any = {"expand": [*stripe_prices.WITH_DISCOUNT]}
        asked = self._v1.customers.retrieve(fields.text(customer.get("id")) or "", params=wanted).to_dict()
        return {**customer, "discount": asked.get("discount")}

    def _list_subscriptions(self, **only: str) -> Any:
        expanded = [f"data.{path}" for path in stripe_subscriptions.EXPANDED]
        wanted: Any = {"status": "all", "limit": _PAGE_SIZE, "expand": expanded, **only}
        return self._v1.subscriptions.list(params=wanted)

    def set_cancel_at_period_end(self, subscription_id: str, on: bool, *, idempotency_key: str) -> StripeSubscription:
        return self._update(subscription_id, {"cancel_at_period_end": on}, idempotency_key)

    def cancel_subscription(self, subscription_id: str) -> StripeSubscription:
        # Stripe takes no key here, and what has ended ends no second time.
        return self._write(lambda: self._v1.subscriptions.cancel(subscription_id), stripe_subscriptions.subscription)

    def extend_trial(self, subscription_id: str, trial_end: datetime, *, idempotency_key: str) -> StripeSubscription:
        ends = {"trial_end": int(trial_end.timestamp()), "proration_behavior": "none"}
        return self._update(subscription_id, ends, idempotency_key)

    def _update(self, subscription_id: str, change: Mapping[str, Any], idempotency_key: str) -> StripeSubscription:
        wanted: Any = {**change, "expand": [*stripe_subscriptions.EXPANDED]}
        update = self._v1.subscriptions.update
        return self._write(
            lambda: update(subscription_id, params=wanted, options={"idempotency_key": idempotency_key}),
            stripe_subscriptions.subscription,
        )

    def _write(self, call: Callable[[], Any], read: "Read[Found]") -> Found:
        """Make something happen at Stripe, and say of a failure whether it may have happened."""
        try:
            found = read(call().to_dict())
        except (stripe.InvalidRequestError, stripe.CardError, stripe.IdempotencyError) as error:
            # Stripe keeps a call's answer under its key: had a lost try done it, this one would have been told so.
            raise ProviderRefused(PROVIDER, _code(error)) from None
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            raise self._unless_lost(ProviderRefused(PROVIDER, _code(error), passing=True)) from None
        except stripe.RateLimitError:
            raise self._unless_lost(ProviderUnavailable(PROVIDER)) from None
        except (stripe.StripeError, *_UNREADABLE):
            raise OutcomeUnknown(PROVIDER) from None
        if found is None:
            raise OutcomeUnknown(PROVIDER)
        return found

    def _unless_lost(self, error: DomainError) -> DomainError:
        """The last try's answer holds for the call only when no try before it was lost."""
        return OutcomeUnknown(PROVIDER) if self._http.lost_a_try else error


class _Http(stripe.HTTPClient):
    """The SDK's HTTP over ours, which also notes whether a try of this thread's call may have had an unseen effect."""

    name = "httpx"

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self._http = http
        self._call = threading.local()

    @property
    def lost_a_try(self) -> bool:
        return bool(getattr(self._call, "lost_a_try", False))

    def request(  # type: ignore[override]  # the SDK's own clients narrow it the same way
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        self._call.lost_a_try = False
        # The SDK leaves the brackets of `expand[0]` as they are, which a query may not have.
        encoded = url.replace("[", "%5B").replace("]", "%5D")
        try:
            answer = self._http.request(method, encoded, headers=headers, content=post_data)
        except httpx.InvalidURL:
            raise ProviderUnavailable(PROVIDER) from None
        self._call.lost_a_try = answer.extensions[LOST]
        return answer.content, answer.status_code, answer.headers

    def close(self) -> None:
        self._http.close()


def _code(error: stripe.StripeError) -> str:
    """Stripe's own code of a refusal; never its sentence, which may quote what was sent."""
    stated = fields.mapping(fields.mapping(error.json_body).get("error"))
    return fields.text(stated.get("code")) or fields.text(stated.get("type")) or f"status_{error.http_status}"


def _read(identity: str, call: Callable[[str], Any], read: "Read[Found]") -> Found | None:
    """The object as it is now; None when Stripe knows none by this id."""
    if not identity:
        return None
    try:
        found = read(call(identity).to_dict())
    except stripe.StripeError as error:
        if error.http_status == 404:
            return None
        raise ProviderUnavailable(PROVIDER) from None
    except _UNREADABLE:
        raise ProviderUnavailable(PROVIDER) from None
    if found is None:
        raise AnswerUnreadable(PROVIDER)
    return found


def _since(moment: datetime) -> Any:
    return {"created": {"gte": int(moment.timestamp())}, "limit": _PAGE_SIZE}


def _all(listed: Callable[[], Any], read: "Read[Found]") -> list[Found]:
    """Every item of a list; none when what it should be of is not known. One that cannot be read is no gap."""
    found = list(_each(listed, read, of_something=True))
    if any(isinstance(each, StripeUnreadable) for each in found):
        raise AnswerUnreadable(PROVIDER)
    return [each for each in found if not isinstance(each, StripeUnreadable)]


def _each(
    listed: Callable[[], Any],
    read: "Read[Found]",
    *,
    only: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    of_something: bool = False,
) -> Iterator[Found | StripeUnreadable]:
    """Every item of a list, page by page, newest first. One that cannot be read is named, not left out."""
    begun = False
    try:
        for item in listed().auto_paging_iter():
            begun, data = True, item.to_dict()
            if only(data):
                yield _named(data, read)
    except stripe.StripeError as error:
        # Once begun, the item after which the next page follows is gone: what comes then is not known.
        if not of_something or begun or error.http_status != 404:
            raise ProviderUnavailable(PROVIDER) from None
    except _UNREADABLE:
        raise ProviderUnavailable(PROVIDER) from None


def _named(data: Mapping[str, Any], read: "Read[Found]") -> Found | StripeUnreadable:
    try:
        found = read(data)
    except (AnswerUnreadable, *_UNREADABLE):
        found = None
    if found is not None:
        return found
    named = stripe_shapes.unreadable(data)
    if named is None:
        raise ProviderUnavailable(PROVIDER)
    return named
