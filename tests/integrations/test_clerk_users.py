"""People read from Clerk's users API."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from admin_app.config import Settings
from admin_app.errors import NotSignedIn, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import clerk
from admin_app.integrations.ports import ClerkPort
from tests.integrations.conftest import ScriptedProvider

PATH = "/v1/users/user_1"
MINIMAL = {
    "id": "user_1",
    "first_name": "Ada",
    "last_name": None,
    "primary_email_address_id": "idn_1",
    "email_addresses": [{"id": "idn_1", "email_address": "Ada@Example.com", "verification": {"status": "verified"}}],
    "created_at": 1795000000000,
}


@pytest.fixture
def port(settings: Callable[..., Settings], provider: ScriptedProvider) -> ClerkPort:
    provider.answers[PATH] = (200, MINIMAL)
    return clerk.client(
        settings(
            clerk_issuer="https://demo.clerk.example",
            clerk_api_base=f"{provider.url}/v1",
            clerk_secret_key="sk_test_1",
        )
    )


def test_a_minimal_answer_is_enough(port, provider):
    user = port.user("user_1")
    assert (user.id, user.name) == ("user_1", "Ada")
    assert user.verified_emails == {"ada@example.com"}
    assert user.emails[0].primary
    assert user.created_at == datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)
    assert provider.requests[0][1]["Authorization"] == "Bearer sk_test_1"


def test_a_person_is_kept_for_a_moment_unless_asked_afresh(port, provider):
    assert port.user("user_1") == port.user("user_1")
    assert len(provider.requests) == 1
    provider.answers[PATH] = (200, MINIMAL | {"first_name": "Grace"})
    assert port.user("user_1", fresh=True).name == "Grace"
    assert port.user("user_1").name == "Grace"
    assert len(provider.requests) == 2


def test_one_trouble_is_tried_again(port, provider):
    provider.answers[PATH] = [(503, {}), (200, MINIMAL)]
    assert port.user("user_1").name == "Ada"


@pytest.mark.parametrize(
    "answer",
    [(500, {}), (503, b"busy"), (429, {}), (401, {}), (403, {}), (302, {}), (200, b"<html>"), (200, []), (200, {})],
    ids=str,
)
def test_an_answer_that_cannot_be_used_is_a_passing_trouble(port, provider, answer):
    provider.answers[PATH] = answer
    with pytest.raises(ProviderUnavailable):
        port.user("user_1")
    assert len(provider.requests) <= 2


def test_a_person_who_is_gone_is_not_signed_in(port, provider):
    provider.answers[PATH] = (404, {"errors": [{"code": "resource_not_found"}]})
    with pytest.raises(NotSignedIn):
        port.user("user_1")


def test_an_odd_id_stays_within_its_path(port, provider):
    with pytest.raises(NotSignedIn):
        port.user("../jwks?x=1")
    assert provider.requests[0][0] == "/v1/users/..%2Fjwks%3Fx%3D1"


def test_a_server_that_is_off_fails_at_once(settings):
    port = clerk.client(
        settings(clerk_issuer="https://demo.clerk.example", clerk_api_base="http://127.0.0.1:9", clerk_secret_key="sk")
    )
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        port.user("user_1")
    assert time.monotonic() - started < 1


def test_without_a_key_nothing_is_asked(settings, provider):
    port = clerk.client(settings(clerk_issuer="https://demo.clerk.example", clerk_api_base=provider.url))
    with pytest.raises(ProviderUnavailable):
        port.user("user_1")
    assert provider.requests == []


ADDRESSES = "/v1/email_addresses"
ANSWER = {"id": "idn_2", "object": "email_address", "email_address": "b@example.com"}


def test_the_id_of_an_address_and_where_it_comes_from_are_read(port, provider):
    linked = MINIMAL["email_addresses"][0] | {"id": "idn_2", "linked_to": [{"type": "oauth_google", "id": "idn_3"}]}
    provider.answers[PATH] = (200, MINIMAL | {"email_addresses": [*MINIMAL["email_addresses"], linked]})
    assert [(email.id, email.linked) for email in port.user("user_1").emails] == [("idn_1", False), ("idn_2", True)]


def test_an_address_is_added_changed_and_removed(port, provider):
    provider.answers |= {ADDRESSES: (200, ANSWER), f"{ADDRESSES}/idn_2": (200, ANSWER)}
    assert port.add_email("user_1", "b@example.com", verified=False, primary=False) == "idn_2"
    assert port.change_email("idn_2", verified=True) == "idn_2"
    assert port.change_email("idn_2", primary=True) == "idn_2"
    assert port.remove_email("idn_2") == "idn_2"
    assert provider.posted == [
        (
            ADDRESSES,
            {"user_id": "user_1", "email_address": "b@example.com", "verified": False, "primary": False},
        ),
        (f"{ADDRESSES}/idn_2", {"verified": True}),
        (f"{ADDRESSES}/idn_2", {"primary": True}),
        (f"{ADDRESSES}/idn_2", b""),
    ]
    assert {headers["Authorization"] for _, headers in provider.requests} == {"Bearer sk_test_1"}


@pytest.mark.parametrize(
    ("answer", "reason", "passing"),
    [
        ((422, {"errors": [{"code": "form_identifier_exists"}]}), "form_identifier_exists", False),
        ((404, {"errors": [{"code": "resource_not_found"}]}), "resource_not_found", False),
        ((401, {"errors": [{"code": "authentication_invalid"}]}), "authentication_invalid", True),
        ((403, {}), "http_403", True),
        ((409, b"<html>"), "http_409", False),
        ((400, {"errors": [[]]}), "http_400", False),
    ],
    ids=str,
)
def test_a_clear_no_says_why_in_clerks_own_code(port, provider, answer, reason, passing):
    provider.answers[ADDRESSES] = answer
    with pytest.raises(ProviderRefused) as refused:
        port.add_email("user_1", "b@example.com", verified=True, primary=True)
    assert (refused.value.reason, refused.value.passing) == (reason, passing)
    assert len(provider.posted) == 1


@pytest.mark.parametrize("answer", [(500, {}), (302, {}), (200, b"<html>"), (200, []), (200, {})], ids=str)
def test_no_answer_to_a_change_is_unknown_and_not_sent_again(port, provider, answer):
    provider.answers[f"{ADDRESSES}/idn_2"] = answer
    with pytest.raises(OutcomeUnknown):
        port.remove_email("idn_2")
    assert len(provider.posted) == 1


def test_an_odd_address_id_stays_within_its_path(port, provider):
    with pytest.raises(ProviderRefused):
        port.remove_email("../users/user_1")
    assert provider.posted == [("/v1/email_addresses/..%2Fusers%2Fuser_1", b"")]


def test_without_a_key_nothing_is_changed(settings, provider):
    port = clerk.client(settings(clerk_issuer="https://demo.clerk.example", clerk_api_base=provider.url))
    with pytest.raises(ProviderUnavailable):
        port.remove_email("idn_2")
    assert provider.requests == []
