"""People read from Clerk's users API."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from admin_app.config import Settings
from admin_app.errors import NotSignedIn, ProviderUnavailable
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
