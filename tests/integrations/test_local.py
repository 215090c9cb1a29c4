"""The demo's providers are on this machine; a proxy in the environment must not get in between."""

import pytest

from admin_app.integrations import clerk, whop
from admin_app.integrations.http import local


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("http://localhost/x", True),
        ("http://[::1]:80/", True),
        ("https://api.whop.com/api/v1", False),
        ("https://127.0.0.1.evil.example/", False),
        ("http://10.0.0.1/", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_only_this_machine_is_local(url, expected):
    assert local.serves(url) is expected


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(settings, provider, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    provider.answers["/memberships/mem_1"] = (200, {"id": "mem_1"})
    provider.answers["/users/user_1"] = (200, {"id": "user_1"})
    given = settings(
        whop_api_key="k",
        whop_api_base=provider.url,
        clerk_issuer="https://demo.clerk.example",
        clerk_api_base=provider.url,
        clerk_secret_key="sk",
    )
    assert whop.client(given).membership("mem_1")
    assert clerk.client(given).user("user_1")
