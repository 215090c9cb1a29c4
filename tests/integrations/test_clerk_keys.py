"""The keys that an issuer publishes: when they are fetched, which are believed, and what a slow issuer holds up."""

import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from admin_app.errors import NotSignedIn, ProviderUnavailable
from admin_app.integrations.clerk import session_tokens
from admin_app.integrations.clerk.clerk_tokens import SessionTokens
from admin_app.integrations.http import deadline
from admin_app.integrations.http.signed_tokens import JwksKeys
from tests.integrations.conftest import ScriptedProvider
from tests.integrations.session_tokens import ISSUER, KEY, OTHER_KEY, claims, refuse, signed


@dataclass
class Clock:
    """Moves when a test says so."""

    now: float = 1000


class TestPublishedKeys:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def port(self, provider: ScriptedProvider, clock: Clock) -> SessionTokens:
        provider.answers["/jwks"] = self.published(ins_1=KEY)
        keys = JwksKeys("clerk", f"{provider.url}/jwks", timeout=0.3, clock=lambda: clock.now)
        return SessionTokens(ISSUER, keys, ())

    @staticmethod
    def published(**keys: RSAKey) -> tuple[int, Any]:
        return 200, {"keys": [key.as_dict(private=False) | {"kid": kid} for kid, key in keys.items()]}

    def test_are_fetched_once(self, port, provider):
        for _ in range(3):
            assert port.verify(signed())
        assert len(provider.requests) == 1

    def test_are_found_below_the_issuer_by_default(self, settings, provider):
        provider.answers["/.well-known/jwks.json"] = self.published(ins_1=KEY)
        port = session_tokens(settings(clerk_issuer=provider.url))
        assert port.verify(signed(claims(iss=provider.url)))

    def test_are_fetched_again_for_an_unknown_key_but_not_at_every_try(self, port, provider):
        assert port.verify(signed())
        for _ in range(3):
            refuse(port, signed(key=OTHER_KEY, kid="ins_2"))
        assert len(provider.requests) == 1

    def test_a_new_key_is_found_after_the_pause(self, port, provider, clock):
        assert port.verify(signed())
        provider.answers["/jwks"] = self.published(ins_1=KEY, ins_2=OTHER_KEY)
        clock.now += 11
        assert port.verify(signed(key=OTHER_KEY, kid="ins_2"))
        assert len(provider.requests) == 2

    def test_are_fetched_again_after_ten_minutes(self, port, provider, clock):
        assert port.verify(signed())
        clock.now += 601
        assert port.verify(signed())
        assert len(provider.requests) == 2

    def test_stay_good_while_the_issuer_is_away(self, port, provider, clock):
        assert port.verify(signed())
        provider.answers["/jwks"] = (500, {})
        clock.now += 3600
        assert port.verify(signed())

    def test_a_hanging_issuer_does_not_hold_up_those_with_a_known_key(self, port, provider, clock):
        assert port.verify(signed())
        clock.now += 3600
        provider.delay = 3
        started = time.monotonic()
        for _ in range(20):
            assert port.verify(signed())
        assert time.monotonic() - started < 2.5

    def test_a_key_that_was_withdrawn_is_not_believed_any_more(self, port, provider, clock):
        assert port.verify(signed())
        provider.answers["/jwks"] = self.published(ins_2=OTHER_KEY)
        clock.now += 601
        refuse(port, signed())

    def test_of_one_key_without_an_id_are_used(self, port, provider):
        public = KEY.as_dict(private=False)
        public.pop("kid", None)
        provider.answers["/jwks"] = (200, {"keys": [public]})
        assert port.verify(signed())

    def test_a_token_without_a_key_id_is_tried_with_each(self, port, provider):
        provider.answers["/jwks"] = self.published(ins_0=OTHER_KEY, ins_1=KEY)
        assert port.verify(signed(kid=""))

    def test_keys_of_other_kinds_or_uses_are_left_out(self, port, provider):
        elliptic = ECKey.generate_key("P-256").as_dict(private=False)
        encrypting = KEY.as_dict(private=False) | {"use": "enc", "kid": "ins_1"}
        shared = {"kty": "oct", "k": "c2VjcmV0", "kid": "ins_1"}
        broken = {"kty": "RSA", "kid": "ins_1", "n": 7}
        other = OTHER_KEY.as_dict(private=False) | {"kid": "ins_1"}
        provider.answers["/jwks"] = (200, {"keys": [elliptic, encrypting, shared, broken, "x", None, other]})
        refuse(port, signed())
        assert port.verify(signed(key=OTHER_KEY))

    @pytest.mark.parametrize(
        "answer",
        [
            (500, {}),
            (404, {}),
            (302, {}),
            (200, b"<html>"),
            (200, []),
            (200, {"keys": 1}),
            (200, {"keys": [{"kty": "RSA"}]}),
        ],
    )
    def test_that_cannot_be_had_are_a_passing_trouble(self, port, provider, answer):
        provider.answers["/jwks"] = answer
        with pytest.raises(ProviderUnavailable):
            port.verify(signed())

    def test_an_issuer_that_is_off_fails_fast_and_recovers(self, settings, provider):
        port = session_tokens(settings(clerk_issuer=ISSUER, clerk_jwks_url="http://127.0.0.1:9/jwks"))
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(ProviderUnavailable):
                port.verify(signed())
        assert time.monotonic() - started < 2

    def test_an_issuer_that_hangs_holds_all_callers_up_once_only(self, port, provider):
        provider.delay = 3
        failures: list[Exception] = []

        def ask() -> None:
            try:
                port.verify(signed())
            except ProviderUnavailable as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(10)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(failures) == 10
        assert time.monotonic() - started < 2.5

    def test_a_flood_of_unknown_keys_asks_a_hanging_issuer_once_and_holds_up_a_few(self, port, provider, clock):
        """Those with a known key go on meanwhile, with keys that are as old as may be."""
        assert port.verify(signed())
        clock.now += 3600
        provider.delay = 3
        told: list[tuple[float, Exception]] = []

        def ask() -> None:
            began = time.monotonic()
            try:
                port.verify(signed(key=OTHER_KEY, kid="ins_9"))
            except (ProviderUnavailable, NotSignedIn) as error:
                told.append((time.monotonic() - began, error))

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            assert port.verify(signed())
        for thread in threads:
            thread.join()
        assert len(told) == 30
        assert {type(error) for _, error in told} == {ProviderUnavailable}
        assert len(provider.requests) <= 3

    def test_a_request_whose_time_is_up_does_not_wait_for_the_keys(self, port, provider):
        provider.delay = 3
        began = time.monotonic()
        with deadline.within(0.1), pytest.raises(ProviderUnavailable):
            port.verify(signed())
        assert time.monotonic() - began < 1

    def test_garbage_never_reaches_the_issuer(self, port, provider):
        for token in ("ak_1", "a.b.c.d", "", "x"):
            refuse(port, token)
        assert provider.requests == []
