"""Only what is configured is there."""

import pytest

from admin_app.integrations.registry import from_settings


def test_nothing_configured_means_no_providers(settings):
    providers = from_settings(settings())
    assert (providers.whop, providers.clerk, providers.stripe, providers.mail.delivers) == (None, None, None, False)


def test_what_is_configured_is_there(settings):
    providers = from_settings(
        settings(
            whop_api_key="k",
            clerk_issuer="https://demo.clerk.example",
            clerk_secret_key="sk",
            stripe_secret_key="sk_test_1",
            smtp_url="smtp://mail.example.com",
        )
    )
    assert providers.whop is not None
    assert providers.clerk is not None
    assert providers.stripe is not None
    assert providers.mail.delivers


def test_a_key_that_is_none_is_said_at_the_start(settings):
    with pytest.raises(ValueError, match="key"):
        from_settings(settings(clerk_issuer="https://demo.clerk.example", clerk_jwt_key="not a key"))
