"""The simulator's answers and events against the collected contracts, where those are at hand."""

import json
from typing import Any

import httpx
import pytest

from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from tests.contracts import problems
from tests.integrations.signing import SHARED_CONTRACTS
from tests.simulator.test_stripe import wish
from tests.simulator.test_stripe_billing import seeded

pytestmark = [
    pytest.mark.skipif(not SHARED_CONTRACTS.exists(), reason="the collected contracts are not beside the project"),
    pytest.mark.calls_providers_itself,
]
WHOP = {"Authorization": "Bearer apik_sim"}
STRIPE = {"Authorization": "Bearer sk_test_sim"}
CLERK = {"Authorization": "Bearer sk_sim"}


def check(document: str, schema: str, value: Any) -> None:
    assert problems(document, f"/components/schemas/{schema}", value) == []


@pytest.fixture
def bought(simulator):
    return control.purchase(simulator, email="ada@example.com", name="Ada Byron", deliver=False)


def get(simulator: str, path: str, headers: dict[str, str], **query: Any) -> Any:
    return httpx.get(f"{simulator}{path}", headers=headers, params=query).json()


def test_whop_memberships_members_and_payments(simulator, bought):
    api = "/whop/api/v1"
    check("whop", "Membership", get(simulator, f"{api}/memberships/{bought['membership_id']}", WHOP))
    check("whop", "Member", get(simulator, f"{api}/members/{bought['member_id']}", WHOP))
    check("whop", "Payment", get(simulator, f"{api}/payments/{bought['payment_id']}", WHOP))
    page = get(simulator, f"{api}/memberships", WHOP)
    check("whop", "PageInfo", page["page_info"])
    canceled = httpx.post(f"{simulator}{api}/memberships/{bought['membership_id']}/cancel", headers=WHOP, json={})
    check("whop", "Membership", canceled.json())


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/memberships", {}, 401),
        ("/memberships/mem_nobody", WHOP, 404),
        ("/members/mber_nobody", WHOP, 404),
        ("/payments/pay_nobody", WHOP, 404),
        ("/memberships?after=nonsense", WHOP, 400),
        ("/memberships?first=x", WHOP, 400),
    ],
)
def test_whop_errors(simulator, path, headers, status):
    answer = httpx.get(f"{simulator}/whop/api/v1{path}", headers=headers)
    assert answer.status_code == status
    check("whop", "Error", answer.json())


@pytest.mark.parametrize(
    ("form", "document", "schemas"),
    [
        ("v1", "whop", ("MembershipLegacy", "PaymentLegacy")),
        ("pinned", "whop", ("Membership", "Payment")),
        ("v5", "whop-v5-legacy", ("CompanyMembership", "CompanyPayment")),
    ],
)
def test_whop_events(simulator, receiver, form, document, schemas):
    control.purchase(simulator, email="ada@example.com", event=form)
    for _, _, body in receiver.wait_for(2):
        event = json.loads(body)
        about_payment = event.get("type", event.get("action")) == "payment.succeeded"
        check(document, schemas[about_payment], event["data"])


def test_clerk_users_and_keys(simulator):
    person = control.create_user(simulator, name="Ada Byron", email="ada@example.com")
    check("clerk-bapi", "User", get(simulator, f"/clerk/v1/users/{person['id']}", CLERK))
    (found,) = get(simulator, "/clerk/v1/users", CLERK, email_address="ADA@example.com")
    check("clerk-bapi", "User", found)
    check("clerk-bapi", "JWKS", get(simulator, "/clerk/.well-known/jwks.json", {}))


def test_clerk_email_addresses(simulator):
    person = control.create_user(simulator, name="Ada Byron", email="ada@example.com")
    api = f"{simulator}/clerk/v1/email_addresses"
    wanted = {"user_id": person["id"], "email_address": "b@example.com", "verified": False}
    added = httpx.post(api, headers=CLERK, json=wanted).json()
    check("clerk-bapi", "EmailAddress", added)
    changed = httpx.patch(f"{api}/{added['id']}", headers=CLERK, json={"verified": True, "primary": True})
    check("clerk-bapi", "EmailAddress", changed.json())
    check("clerk-bapi", "User", get(simulator, f"/clerk/v1/users/{person['id']}", CLERK))
    gone = httpx.delete(f"{api}/{added['id']}", headers=CLERK)
    assert gone.json() == {"object": "email_address", "id": added["id"], "deleted": True}
    check("clerk-bapi", "ClerkErrors", httpx.delete(f"{api}/{added['id']}", headers=CLERK).json())


def test_clerk_events(simulator, receiver):
    person = control.create_user(simulator, name="Ada Byron", email="ada@example.com", webhook=True)
    control.verify_user(simulator, person["id"])
    control.delete_user(simulator, person["id"])
    for _, _, body in receiver.wait_for(3):
        event = json.loads(body)
        check("clerk-webhooks", "WebhookEventPayload", event)
        about = "DeletedObject" if event["type"] == "user.deleted" else "User"
        check("clerk-webhooks", about, event["data"])


@pytest.mark.parametrize(("path", "headers", "status"), [("user_nobody", CLERK, 404), ("user_1", {}, 401)])
def test_clerk_errors(simulator, path, headers, status):
    answer = httpx.get(f"{simulator}/clerk/v1/users/{path}", headers=headers)
    assert answer.status_code == status
    check("clerk-bapi", "ClerkErrors", answer.json())


def test_workos_answers(simulator):
    api = f"{simulator}/workos"
    workos = {"Authorization": "Bearer sk_workos"}

    def post(path, body):
        answer = httpx.post(f"{api}{path}", headers=workos, json=body)
        assert answer.status_code in {200, 201}
        return answer.json()

    user = post("/user_management/users", {"email": "Gina@example.com", "first_name": "Gina"})
    check("workos", "UserlandUser", user)
    organization = post("/organizations", {"name": f"user-{user['id']}", "external_id": f"user-{user['id']}"})
    check("workos", "Organization", organization)
    member = {"user_id": user["id"], "organization_id": organization["id"]}
    membership = post("/user_management/organization_memberships", member)
    check("workos", "UserlandUserOrganizationMembership", membership)
    code = post("/user_management/magic_auth", {"email": "gina@example.com"})
    check("workos", "MagicAuth", code)
    grant = {
        "grant_type": "urn:workos:oauth:grant-type:magic-auth:code",
        "client_id": "client_sim",
        "client_secret": "sk_workos",
        "email": "gina@example.com",
        "code": code["code"],
    }
    check("workos", "UserlandAuthenticateResponse", post("/user_management/authenticate", grant))
    check(
        "workos", "UserlandUserList", get(simulator, "/workos/user_management/users", workos, email="GINA@example.com")
    )
    check("workos", "JwksResponse", get(simulator, "/workos/sso/jwks/client_sim", {}))
    memberships = get(simulator, "/workos/user_management/organization_memberships", workos, user_id=user["id"])
    check("workos", "UserlandUserOrganizationMembershipList", memberships)


def test_a_taken_address_at_workos(simulator):
    body, headers = {"email": "gina@example.com"}, {"Authorization": "Bearer sk_workos"}
    httpx.post(f"{simulator}/workos/user_management/users", headers=headers, json=body)
    answer = httpx.post(f"{simulator}/workos/user_management/users", headers=headers, json=body)
    example = json.loads((SHARED_CONTRACTS / "events/workos/error.user_creation_error.400.json").read_text())
    assert (answer.status_code, answer.json()) == (400, example)


@pytest.fixture
def checkout(providers):
    return providers.stripe.create_checkout(wish(), idempotency_key="k").id


def test_stripe_sessions_in_every_state(simulator, providers, checkout):
    path = f"/stripe/v1/checkout/sessions/{checkout}"
    check("stripe", "checkout.session", get(simulator, path, STRIPE))
    control_stripe.decline(simulator, checkout, deliver=False)
    check("stripe", "checkout.session", get(simulator, path, STRIPE))
    control_stripe.pay(simulator, checkout, deliver=False)
    check("stripe", "checkout.session", get(simulator, path, STRIPE))
    other = providers.stripe.create_checkout(wish(), idempotency_key="other").id
    expired = httpx.post(f"{simulator}/stripe/v1/checkout/sessions/{other}/expire", headers=STRIPE)
    check("stripe", "checkout.session", expired.json())


def test_stripe_payments_charges_refunds_and_disputes(simulator, providers, checkout):
    failed = control_stripe.decline(simulator, checkout, deliver=False)["payment_intent"]
    expanded = {"expand[0]": "latest_charge"}
    check("stripe", "payment_intent", get(simulator, f"/stripe/v1/payment_intents/{failed}", STRIPE, **expanded))
    payment = control_stripe.pay(simulator, checkout, deliver=False)["payment_intent"]
    check("stripe", "payment_intent", get(simulator, f"/stripe/v1/payment_intents/{payment}", STRIPE))
    asked = {"payment_intent": payment, "amount": "100", "metadata[refundId]": "7"}
    made = httpx.post(f"{simulator}/stripe/v1/refunds", headers=STRIPE, data=asked).json()
    check("stripe", "refund", made)
    control_stripe.settle_refund(simulator, made["id"], succeeds=False, deliver=False)
    check("stripe", "refund", get(simulator, f"/stripe/v1/refunds/{made['id']}", STRIPE))
    listed = get(simulator, "/stripe/v1/refunds", STRIPE, payment_intent=payment)
    assert (listed["object"], listed["has_more"], listed["url"]) == ("list", False, "/v1/refunds")
    check("stripe", "dispute", control_stripe.dispute(simulator, payment, deliver=False))
    found = get(simulator, f"/stripe/v1/payment_intents/{payment}", STRIPE, **expanded)
    check("stripe", "payment_intent", found)


def test_stripe_events(simulator, providers, checkout):
    control_stripe.decline(simulator, checkout, deliver=False)
    payment = control_stripe.pay(simulator, checkout, deliver=False)["payment_intent"]
    refunded = control_stripe.refund(simulator, payment, deliver=False)
    control_stripe.settle_refund(simulator, refunded["id"], succeeds=False, deliver=False)
    control_stripe.dispute(simulator, payment, deliver=False)
    other = providers.stripe.create_checkout(wish(), idempotency_key="other").id
    control_stripe.expire(simulator, other, deliver=False)
    later = providers.stripe.create_checkout(wish(), idempotency_key="later").id
    control_stripe.pay_later(simulator, later, deliver=False)
    control_stripe.settle_async(simulator, later, deliver=False)
    told = [*control_stripe.events(simulator, payment), *control_stripe.events(simulator, "cs_test_")]
    assert len({event["type"] for event in told}) == 9
    for event in told:
        check("stripe", "event", event)
        about = event["data"]["object"]["object"]
        check("stripe", about, event["data"]["object"])


def test_stripe_subscriptions_through_their_life(simulator):
    begun = control_stripe.subscribe(simulator, email="a@example.com", client_id=3, trial_days=7, deliver=False)
    path = f"/stripe/v1/subscriptions/{begun['id']}"
    acts = (
        lambda: control_stripe.cancel(simulator, begun["id"], deliver=False),
        lambda: control_stripe.uncancel(simulator, begun["id"], deliver=False),
        lambda: control_stripe.end_trial(simulator, begun["id"], pays=False, deliver=False),
        lambda: control_stripe.fail_invoice(simulator, begun["id"], deliver=False),
        lambda: control_stripe.pay_invoice(simulator, begun["id"], deliver=False),
        lambda: control_stripe.change_price(simulator, begun["id"], amount=990, interval="year", deliver=False),
        lambda: control_stripe.pause(simulator, begun["id"], deliver=False),
        lambda: control_stripe.pause(simulator, begun["id"], on=False, deliver=False),
        lambda: control_stripe.cancel(simulator, begun["id"], at_period_end=False, deliver=False),
    )
    check("stripe", "subscription", begun)
    for act in acts:
        act()
        check("stripe", "subscription", get(simulator, path, STRIPE))
        check("stripe", "subscription", get(simulator, path, STRIPE, **{"expand[0]": "latest_invoice"}))
    told = control_stripe.events(simulator, begun["id"])
    assert {event["type"] for event in told} == {
        *("customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted"),
        *("invoice.paid", "invoice.payment_failed"),
    }
    for event in told:
        check("stripe", "event", event)
        check("stripe", event["data"]["object"]["object"], event["data"]["object"])
    for kind in ("customer", "invoice", "subscription"):
        listed = get(simulator, f"/stripe/v1/{kind}s", STRIPE, **({"status": "all"} if kind == "subscription" else {}))
        assert (listed["object"], listed["has_more"], listed["url"]) == ("list", False, f"/v1/{kind}s")
        assert listed["data"]
        for one in listed["data"]:
            check("stripe", kind, one)
            check("stripe", kind, get(simulator, f"/stripe/v1/{kind}s/{one['id']}", STRIPE))


def test_stripe_items_discounts_and_what_is_told_only_when_asked(simulator):
    tiers = [{"up_to": 5, "unit_amount": 700}, {"unit_amount": 600, "flat_amount": 5}]
    packed = {"amount": 900, "quantity": 7, "packages": {"divide_by": 5, "round": "up"}}
    items = [{"tiers": tiers, "discounts": [{"amount_off": 5}]}, *[packed] * 10]
    half = {"percent_off": 50, "products": ["prod_agent"]}
    made = control_stripe.subscribe(
        simulator, email="a@example.com", items=items, discounts=[half], interval="month", deliver=False
    )
    check("stripe", "subscription", made)
    path = f"/stripe/v1/subscriptions/{made['id']}"
    told = get(simulator, path, STRIPE)
    check("stripe", "subscription", told)
    assert (len(told["items"]["data"]), told["items"]["has_more"]) == (10, True)
    assert "tiers" not in told["items"]["data"][0]["price"]
    (invoice,) = control_stripe.invoices(simulator)
    check("stripe", "invoice", invoice)
    deep = get(simulator, path, STRIPE, **{"expand[0]": "discounts.source.coupon.applies_to"})
    assert deep["discounts"][0]["source"]["coupon"]["applies_to"] == {"products": ["prod_agent"]}
    shallow = get(simulator, path, STRIPE, **{"expand[0]": "discounts"})["discounts"][0]
    assert shallow["source"]["coupon"].startswith("co_")
    listed = {"subscription": made["id"], "expand[0]": "data.price.tiers", "expand[1]": "data.discounts.source.coupon"}
    pages = [get(simulator, "/stripe/v1/subscription_items", STRIPE, limit=6, **listed)]
    after = pages[0]["data"][-1]["id"]
    pages.append(get(simulator, "/stripe/v1/subscription_items", STRIPE, limit=6, starting_after=after, **listed))
    assert [page["has_more"] for page in pages] == [True, False]
    every = [one for page in pages for one in page["data"]]
    assert len({one["id"] for one in every}) == 11
    (stepped,) = [one for one in every if one["price"]["billing_scheme"] == "tiered"]
    assert stepped["price"]["tiers"][0]["up_to"] == 5
    assert stepped["discounts"][0]["source"]["coupon"]["amount_off"] == 5
    for one in get(simulator, "/stripe/v1/subscription_items", STRIPE, subscription=made["id"])["data"]:
        check("stripe", "subscription_item", one)
    # An expansion that reaches deeper than Stripe's.
    for asked in ("items.data.discounts.source.coupon", "items.data.price.tiers.up_to"):
        assert get(simulator, path, STRIPE, **{"expand[0]": asked})["error"]["param"] == "expand"


def test_stripe_subscriptions_that_were_seeded(simulator):
    control_stripe.seed_subscriptions(simulator, [seeded("sub_1"), seeded("sub_2", status="past_due", amount_due=4900)])
    for one in get(simulator, "/stripe/v1/subscriptions", STRIPE, **{"expand[0]": "data.latest_invoice"})["data"]:
        check("stripe", "subscription", one)
        check("stripe", "invoice", one["latest_invoice"])


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/refunds/re_nobody", {}, 401),
        ("GET", "/subscriptions/sub_nobody", STRIPE, 404),
        ("GET", "/subscriptions?status=odd", STRIPE, 400),
        ("GET", "/checkout/sessions?created[gte]=soon", STRIPE, 400),
        ("POST", "/subscriptions/sub_nobody", STRIPE, 404),
        ("DELETE", "/subscriptions/sub_nobody", STRIPE, 404),
        ("GET", "/refunds/re_nobody", STRIPE, 404),
        ("GET", "/refunds?limit=many", STRIPE, 400),
        ("GET", "/refunds?starting_after=re_nobody", STRIPE, 404),
        ("POST", "/refunds", STRIPE, 400),
        ("POST", "/checkout/sessions", STRIPE, 400),
        ("POST", "/checkout/sessions/cs_nobody/expire", STRIPE, 404),
    ],
)
def test_stripe_errors(simulator, method, path, headers, status):
    answer = httpx.request(method, f"{simulator}/stripe/v1{path}", headers=headers)
    assert answer.status_code == status
    check("stripe", "error", answer.json())


@pytest.mark.parametrize("mode", ["429", "500"])
def test_stripe_faults_speak_its_language(simulator, mode):
    control.fault(simulator, "stripe", mode)
    answer = httpx.get(f"{simulator}/stripe/v1/refunds", headers=STRIPE)
    assert answer.status_code == int(mode)
    check("stripe", "error", answer.json())
