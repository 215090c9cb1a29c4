"""Every method of every provider's port, with every fault, at every call that it makes: what it says of it afterwards.

A row names the calls that a method makes, G for a look and P for a change. A look that fails is ProviderUnavailable. A
change that failed is that too where it certainly was not made, and else OutcomeUnknown. A method without a row fails.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from admin_app.errors import NotSignedIn, OutcomeUnknown, ProviderUnavailable
from admin_app.integrations import clerk
from admin_app.integrations.calcom import calcom_api
from admin_app.integrations.calcom.calcom_api import CalcomApi
from admin_app.integrations.calendar_ports import CalcomPort, CalendlyPort
from admin_app.integrations.calendly import calendly_api
from admin_app.integrations.calendly.calendly_api import CalendlyApi
from admin_app.integrations.clerk import ClerkApi
from admin_app.integrations.guest_ports import WorkosPort
from admin_app.integrations.http.guard import Guard
from admin_app.integrations.http.provider_http import ProviderHttp
from admin_app.integrations.http.signed_tokens import JwksKeys, SignedTokens
from admin_app.integrations.http.transport import Patience, Rules
from admin_app.integrations.money_ports import CheckoutRequest, StripePort
from admin_app.integrations.ports import ClerkPort, WhopPort
from admin_app.integrations.stripe import stripe_api
from admin_app.integrations.stripe.stripe_api import StripeApi
from admin_app.integrations.whop.whop_api import WhopApi
from admin_app.integrations.workos import workos_api
from admin_app.integrations.workos.workos_api import WorkosApi
from admin_app.simulator import control, faults
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from admin_app.simulator.stripe import control_stripe
from admin_app.simulator.workos import control_workos
from tests.house import settings_for

SLOW = ("slow", "apply-then-drip")
MODES = [mode for mode in faults.MODES if mode != "off"]
# What certainly did nothing; all the others may have had an effect.
DID_NOTHING = {"429"}
NUMBERS = count(700_000)
PORTS: dict[str, Any] = {
    "stripe": StripePort,
    "whop": WhopPort,
    "clerk": ClerkPort,
    "workos": WorkosPort,
    "calcom": CalcomPort,
    "calendly": CalendlyPort,
}


def rules(mode: str) -> Rules:
    """A second is long enough for a busy machine; the slow ones take eight. Where nothing is wrong nobody hurries."""
    tries = 1 if mode in SLOW else 2
    each = 1 if mode else 30
    once = Patience(tries=tries, seconds=tries * each, seconds_per_try=each, longest_pause=0)
    return Rules(once, once, keys_repeat=True, lost_statuses=stripe_api.RULES.lost_statuses)


def adapter(provider: str, simulator: str, mode: str = "") -> Any:
    """The provider's adapter as the product builds it, but for its patience."""
    settings, guard, how = settings_for(simulator), Guard(provider), rules(mode)
    once = {"reads": how.reads, "writes": how.writes}
    match provider:
        case "stripe":
            return StripeApi(settings.stripe_secret_key, settings.stripe_api_base, guard, how)
        case "whop":
            return WhopApi(settings.whop_api_key, settings.whop_api_base, guard, how)
        case "clerk":
            tokens = clerk.session_tokens(settings)
            return ClerkApi(tokens, settings.clerk_api_base, settings.clerk_secret_key, guard, how)
        case "workos":
            jwks = JwksKeys(provider, f"{settings.workos_api_base}/sso/jwks/{settings.workos_client_id}")
            signed = SignedTokens(settings.workos_issuers, jwks)
            twice = replace(workos_api.RULES, **once)
            base, key = settings.workos_api_base, settings.workos_api_key
            return WorkosApi(key, settings.workos_client_id, base, signed, guard, twice)
        case "calcom":
            key, base = settings.calcom_api_key, settings.calcom_api_url
            return CalcomApi(ProviderHttp(guard, base, key, reason_of=calcom_api.reason_of, **once))
    key, base = settings.calendly_token, settings.calendly_api_base
    return CalendlyApi(ProviderHttp(guard, base, key, reason_of=calendly_api.reason_of, **once))


@dataclass(frozen=True)
class Row:
    """`make` prepares what the method needs and answers the call of it."""

    calls: str
    make: Callable[[str, Any], Callable[[], object]]


def read(method: str, *given: Any, calls: str = "G", **named: Any) -> Row:
    """A method that asks for something, whether it is there or not."""

    def make(_: str, port: Any) -> Callable[[], object]:
        def call() -> object:
            answer = getattr(port, method)(*given, **named)
            return list(answer) if isinstance(answer, Iterator) else answer

        return call

    return Row(calls, make)


SINCE = datetime.now(UTC) - timedelta(days=1)
COMING = (datetime.now(UTC) + timedelta(days=30)).replace(hour=9, minute=0, second=0, microsecond=0)


def number() -> int:
    return next(NUMBERS)


def a_wish() -> CheckoutRequest:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=40)
    back = "https://shop.example/"
    return CheckoutRequest(f"booking:{number()}", "Session", 15_000, "EUR", "ada@example.com", back, back, ends)


def a_session(simulator: str) -> str:
    return str(adapter("stripe", simulator).create_checkout(a_wish(), idempotency_key=f"matrix-{number()}").id)


def a_payment(simulator: str) -> str:
    return str(control_stripe.pay(simulator, a_session(simulator), deliver=False)["payment_intent"])


def a_disputed_payment(simulator: str) -> str:
    payment = a_payment(simulator)
    control_stripe.dispute(simulator, payment)
    return payment


def a_subscription(simulator: str, trial_days: int | None = None) -> str:
    email = f"matrix{number()}@example.com"
    return str(control_stripe.subscribe(simulator, email=email, trial_days=trial_days, deliver=False)["id"])


def refunded(simulator: str, port: StripePort) -> Callable[[], object]:
    payment, ours = a_payment(simulator), number()
    return lambda: port.create_refund(
        payment, amount=500, reason="other", refund_id=ours, idempotency_key=f"refund-{ours}"
    )


def extended(simulator: str, port: StripePort) -> Callable[[], object]:
    subscription, key = a_subscription(simulator, trial_days=7), f"trial-{number()}"
    until = datetime.now(UTC) + timedelta(days=20)
    return lambda: port.extend_trial(subscription, until, idempotency_key=key)


def a_membership(simulator: str, plan: str = "monthly") -> str:
    email = f"matrix{number()}@example.com"
    return control.purchase(simulator, email=email, plan=plan, deliver=False)["membership_id"]


def ended_with_its_period(simulator: str, port: WhopPort) -> Callable[[], object]:
    membership, key = a_membership(simulator), f"ends-{number()}"
    return lambda: port.cancel(membership, at_period_end=True, idempotency_key=key)


def a_former_membership(simulator: str) -> str:
    membership = a_membership(simulator, "lifetime")
    control.deactivate(simulator, membership, deliver=False)
    return membership


def given_back(simulator: str, port: WhopPort) -> Callable[[], object]:
    payment, ours = adapter("whop", simulator).payments_of(a_membership(simulator))[0].id, number()
    return lambda: port.refund(
        payment, amount=Decimal("1.00"), reason="other", refund_id=ours, idempotency_key=f"refund-{ours}"
    )


def a_person(simulator: str) -> str:
    return str(control.create_user(simulator, name="Ada", email=f"matrix{number()}@example.com")["id"])


def one_address_more(simulator: str, port: ClerkPort) -> Callable[[], object]:
    user, email = a_person(simulator), f"matrix{number()}@example.com"
    return lambda: port.add_email(user, email, verified=True, primary=False)


def a_second_address(simulator: str) -> str:
    user = a_person(simulator)
    control.add_address(simulator, user, f"matrix{number()}@example.com")
    return str(control.person(simulator, user)["email_addresses"][1]["id"])


def a_user(simulator: str) -> dict[str, Any]:
    return control_workos.create_user(simulator, email=f"matrix{number()}@example.com")


def signed_in(simulator: str, port: WorkosPort) -> Callable[[], object]:
    email = a_user(simulator)["email"]
    adapter("workos", simulator).send_magic_code(email)
    code = control_workos.codes(simulator, email)[-1]
    return lambda: port.authenticate(email, code)


def member(simulator: str, port: WorkosPort) -> Callable[[], object]:
    user = a_user(simulator)["id"]
    home = adapter("workos", simulator).ensure_organization(user, idempotency_key=f"org-{number()}")
    return lambda: port.ensure_membership(user, home, idempotency_key=f"member-{number()}")


def calcom_type(simulator: str) -> str:
    kind = number()
    control_calcom.seed_event_types(simulator, [{"id": str(kind), "minutes": 60, "host_id": kind}])
    return str(kind)


def calcom_booking(simulator: str, port: CalcomPort) -> Callable[[], Any]:
    kind, ours = calcom_type(simulator), number()
    return lambda: port.create_booking(
        event_type_id=kind,
        starts_at=COMING,
        name="Ada",
        email="ada@example.com",
        time_zone="UTC",
        booking_id=ours,
    )


def booked_there(simulator: str) -> str:
    return str(calcom_booking(simulator, adapter("calcom", simulator))().uid)


def an_invitee(simulator: str) -> dict[str, Any]:
    kind = f"EM{number()}"
    control_calendly.seed_event_types(simulator, [{"id": kind, "minutes": 60}])
    return control_calendly.book(simulator, event_type=kind, starts_at=COMING, email="ada@example.com", deliver=False)


def with_(calls: str, given: Callable[[str], Any], method: str, *more: Any, **named: Any) -> Row:
    """A method that is given something which has to be there first."""

    def make(simulator: str, port: Any) -> Callable[[], object]:
        made = given(simulator)
        named_now = {name: f"{value}-{number()}" for name, value in named.items()}
        return lambda: getattr(port, method)(made, *more, **named_now)

    return Row(calls, make)


ROWS: dict[tuple[str, str], Row] = {
    ("stripe", "create_checkout"): with_("P", lambda _: a_wish(), "create_checkout", idempotency_key="matrix"),
    ("stripe", "checkout"): read("checkout", "cs_test_none"),
    ("stripe", "expire_checkout"): with_("P", a_session, "expire_checkout"),
    ("stripe", "payment"): with_("GG", a_disputed_payment, "payment"),
    ("stripe", "create_refund"): Row("P", refunded),
    ("stripe", "refund"): read("refund", "re_none"),
    ("stripe", "refunds_of"): with_("G", a_payment, "refunds_of"),
    ("stripe", "sessions_since"): read("sessions_since", SINCE),
    ("stripe", "refunds_since"): read("refunds_since", SINCE),
    ("stripe", "disputes_since"): read("disputes_since", SINCE),
    ("stripe", "subscription"): with_("G", a_subscription, "subscription"),
    ("stripe", "customer"): read("customer", "cus_none"),
    ("stripe", "subscriptions_of"): read("subscriptions_of", "cus_none"),
    ("stripe", "subscriptions"): read("subscriptions"),
    ("stripe", "set_cancel_at_period_end"): with_(
        "P", a_subscription, "set_cancel_at_period_end", True, idempotency_key="ends"
    ),
    ("stripe", "extend_trial"): Row("P", extended),
    ("whop", "membership"): with_(
        "GG",
        lambda simulator: control.purchase(simulator, email="ada@example.com", deliver=False)["membership_id"],
        "membership",
    ),
    ("stripe", "invoice_payments_of"): read("invoice_payments_of", "sub_none"),
    ("stripe", "cancel_subscription"): with_("P", a_subscription, "cancel_subscription"),
    ("whop", "cancel"): Row("P", ended_with_its_period),
    ("whop", "uncancel"): with_("P", a_membership, "uncancel"),
    ("whop", "reactivate"): with_("P", a_former_membership, "reactivate"),
    ("whop", "memberships"): read("memberships"),
    ("whop", "payments_of"): with_("G", a_membership, "payments_of"),
    ("whop", "payment"): read("payment", "pay_none"),
    ("whop", "refunds_of"): read("refunds_of", "pay_none"),
    ("whop", "refund"): Row("P", given_back),
    ("clerk", "user"): read("user", "user_none"),
    ("clerk", "people"): read("people"),
    ("clerk", "add_email"): Row("P", one_address_more),
    ("clerk", "change_email"): with_("P", a_second_address, "change_email", primary=True),
    ("clerk", "remove_email"): with_("P", a_second_address, "remove_email"),
    ("workos", "find_user"): read("find_user", "nobody@example.com"),
    ("workos", "create_user"): with_(
        "P", lambda _: f"matrix{number()}@example.com", "create_user", "Gina Guest", idempotency_key="user"
    ),
    ("workos", "find_organization"): read("find_organization", "user_none"),
    ("workos", "ensure_organization"): with_(
        "GP", lambda simulator: a_user(simulator)["id"], "ensure_organization", idempotency_key="org"
    ),
    ("workos", "ensure_membership"): Row("P", member),
    ("workos", "send_magic_code"): with_("P", lambda simulator: a_user(simulator)["email"], "send_magic_code"),
    ("workos", "authenticate"): Row("PG", signed_in),
    ("calcom", "slots"): with_("G", calcom_type, "slots", COMING, COMING + timedelta(days=1)),
    ("calcom", "create_booking"): Row("P", calcom_booking),
    ("calcom", "booking"): read("booking", "none"),
    ("calcom", "series"): read("series", "none"),
    ("calcom", "find_booking"): read("find_booking", email="ada@example.com", booking_id=1),
    ("calcom", "bookings_from"): read("bookings_from", COMING),
    ("calcom", "cancel_booking"): with_("P", booked_there, "cancel_booking", "as agreed"),
    ("calcom", "reschedule_booking"): with_(
        "P", booked_there, "reschedule_booking", COMING + timedelta(days=7), "as agreed"
    ),
    ("calendly", "event_types"): read("event_types", calls="GG"),
    ("calendly", "invitee"): with_("GG", lambda simulator: an_invitee(simulator)["uri"], "invitee"),
    ("calendly", "invitees_of"): with_("GG", lambda simulator: an_invitee(simulator)["event_uri"], "invitees_of"),
    ("calendly", "invitees_from"): read("invitees_from", COMING + timedelta(days=300), calls="GG"),
    ("calendly", "cancel_event"): with_(
        "P", lambda simulator: an_invitee(simulator)["event_uri"], "cancel_event", "as agreed"
    ),
}
# They look at keys that were published, and at nothing else: tests/integrations/test_clerk_keys.py.
BY_KEYS_ALONE = {("clerk", "verify_session_token"), ("workos", "verify_access_token")}


def methods(port: Any) -> set[str]:
    found = {name: value for kind in port.__mro__ for name, value in vars(kind).items()}
    return {name for name, value in found.items() if callable(value) and not name.startswith("_")}


def test_every_method_of_every_port_has_a_row() -> None:
    every = {(provider, name) for provider, port in PORTS.items() for name in methods(port)}
    assert set(ROWS) | BY_KEYS_ALONE == every


@pytest.fixture(autouse=True)
def well_again(simulator: str) -> Iterator[None]:
    yield
    for provider in PORTS:
        control.fault(simulator, provider, "off")


@pytest.mark.parametrize(("provider", "method"), ROWS, ids=lambda part: str(part))
def test_without_a_fault_it_makes_the_calls_of_its_row(simulator: str, provider: str, method: str) -> None:
    row = ROWS[provider, method]
    call = row.make(simulator, adapter(provider, simulator))
    control.fault(simulator, provider, "500", times=1, after=len(row.calls))
    # Nobody is there by this id, which is an answer too; a call more would meet the fault.
    with suppress(NotSignedIn):
        call()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("provider", "method", "place"),
    [(*key, place) for key, row in ROWS.items() for place in range(len(row.calls))],
    ids=str,
)
def test_a_fault_at_any_call_is_told_as_what_it_is(
    simulator: str, provider: str, method: str, place: int, mode: str
) -> None:
    row = ROWS[provider, method]
    call = row.make(simulator, adapter(provider, simulator, mode))
    control.fault(simulator, provider, mode, times=20, after=place, seconds=8)
    with pytest.raises(ProviderUnavailable) as told:
        call()
    unsure = row.calls[place] == "P" and mode not in DID_NOTHING
    assert isinstance(told.value, OutcomeUnknown) is unsure
    assert told.value.status == 503
    assert told.value.retry_after
