"""The simulator's answers and events against the collected contracts, where those are at hand."""

import json
from functools import cache
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from admin_app.simulator import control
from tests.integrations.signing import SHARED_CONTRACTS

pytestmark = pytest.mark.skipif(
    not SHARED_CONTRACTS.exists(), reason="the collected contracts are not beside the project"
)
WHOP = {"Authorization": "Bearer apik_sim"}
CLERK = {"Authorization": "Bearer sk_sim"}


@cache
def _registry(document: str) -> Registry[Any]:
    contents = _with_nulls(json.loads((SHARED_CONTRACTS / f"{document}.openapi.json").read_text()))
    return Registry().with_resource(document, Resource.from_contents(contents, default_specification=DRAFT202012))


def _with_nulls(node: Any) -> Any:
    """`nullable` of OpenAPI 3.0 in the words of JSON Schema."""
    if isinstance(node, list):
        return [_with_nulls(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {name: _with_nulls(value) for name, value in node.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def check(document: str, schema: str, value: Any) -> None:
    reference = {"$ref": f"{document}#/components/schemas/{schema}"}
    validator = Draft202012Validator(reference, registry=_registry(document))
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)] == []


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
