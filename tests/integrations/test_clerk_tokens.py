"""Which session tokens are believed."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from admin_app.config import Settings
from admin_app.errors import NotSignedIn, ProviderUnavailable
from admin_app.integrations import deadline
from admin_app.integrations.clerk import session_tokens
from admin_app.integrations.clerk_tokens import SessionTokens
from admin_app.integrations.ports import ClerkSession
from admin_app.integrations.signed_tokens import JwksKeys
from tests.integrations.conftest import ScriptedProvider
from tests.integrations.signing import SHARED_CONTRACTS

ISSUER = "https://demo.clerk.example"
ORIGIN = "https://app.example.com"
KEY = RSAKey.generate_key(2048)
OTHER_KEY = RSAKey.generate_key(2048)
PEM = KEY.as_pem(private=False).decode()
Make = Callable[..., Settings]


@dataclass(frozen=True)
class FromNow:
    """A time that is only known when the test runs."""

    seconds: int


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    stated = {
        "azp": ORIGIN,
        "exp": now + 60,
        "iat": now,
        "nbf": now - 10,
        "iss": ISSUER,
        "sid": "sess_1",
        "sub": "user_1",
        "sts": "active",
        "v": 2,
    }
    merged = {name: value for name, value in (stated | changed).items() if value is not ...}
    return {name: now + value.seconds if isinstance(value, FromNow) else value for name, value in merged.items()}


def signed(body: dict[str, Any] | None = None, *, key: Any = KEY, alg: str = "RS256", **header: Any) -> str:
    registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
    stated = {"alg": alg, "kid": "ins_1", **header}
    return jwt.encode(stated, body if body is not None else claims(), key, registry=registry)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Clock:
    """Moves when a test says so."""

    now: float = 1000


@pytest.fixture
def port(settings: Make) -> SessionTokens:
    return session_tokens(settings(clerk_issuer=ISSUER, clerk_jwt_key=PEM, clerk_authorized_parties=ORIGIN))


def refuse(port: SessionTokens, token: str) -> None:
    with pytest.raises(NotSignedIn):
        port.verify(token)


def test_a_good_token_names_the_person_and_the_session(port):
    assert port.verify(signed()) == ClerkSession("user_1", "sess_1")


@pytest.mark.parametrize("header", [{"cat": "cl_B7d4PD111AAA"}, {"typ": "JWT"}, {"kid": "ins_other"}])
def test_harmless_headers_pass_with_a_pem(port, header):
    assert port.verify(signed(**header))


@pytest.mark.skipif(not SHARED_CONTRACTS.exists(), reason="the collected contracts are not beside the project")
def test_the_collected_claims_pass_once_they_are_of_now(settings):
    body = json.loads((SHARED_CONTRACTS / "events/clerk/session-token.v2.claims.json").read_text())
    port = session_tokens(settings(clerk_issuer=body["iss"], clerk_jwt_key=PEM, clerk_authorized_parties=body["azp"]))
    refuse(port, signed(body | {"exp": int(time.time()) - 6}))
    body |= {name: claims()[name] for name in ("exp", "iat", "nbf")}
    assert port.verify(signed(body)).user_id == body["sub"]


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": ISSUER + ".evil.example"},
        {"iss": [ISSUER, "https://evil.example"]},
        {"iss": ...},
        {"exp": 1},
        {"exp": FromNow(-6)},
        {"exp": ...},
        {"exp": "tomorrow"},
        {"exp": None},
        {"exp": True},
        {"exp": {}},
        {"nbf": FromNow(600)},
        {"nbf": "x"},
        {"iat": FromNow(600)},
        {"iat": ...},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
        {"sub": ["user_1"]},
        {"sid": ...},
        {"sid": ""},
        {"sid": {"a": 1}},
        {"sts": "pending"},
        {"sts": None},
        {"sts": ""},
        {"azp": "https://evil.example"},
        {"azp": ORIGIN + "/"},
        {"azp": ...},
        {"azp": None},
        {"azp": [ORIGIN]},
        {"azp": {"a": 1}},
    ],
    ids=str,
)
def test_a_wrong_claim_is_refused(port, changed):
    refuse(port, signed(claims(**changed)))


@pytest.mark.parametrize("changed", [{"sts": ...}, {"iss": ISSUER + "/"}, {"nbf": ...}, {"exp": FromNow(-1)}], ids=str)
def test_what_may_be_missing_or_is_within_the_leeway_passes(port, changed):
    assert port.verify(signed(claims(**changed)))


def test_without_authorized_parties_any_origin_passes(settings):
    port = session_tokens(settings(clerk_issuer=ISSUER, clerk_jwt_key=PEM))
    assert port.verify(signed(claims(azp="https://elsewhere.example")))
    assert port.verify(signed(claims(azp=...)))


class TestForgeries:
    def test_another_key(self, port):
        refuse(port, signed(key=OTHER_KEY))

    def test_no_algorithm(self, port):
        head = part({"alg": "none", "typ": "JWT"})
        refuse(port, f"{head}.{part(claims())}.")
        refuse(port, f"{head}.{part(claims())}.AAAA")

    def test_the_public_key_as_a_shared_secret(self, port):
        refuse(port, _hs256_with(PEM.encode()))

    @pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256"])
    def test_another_algorithm_of_the_right_key(self, port, alg):
        refuse(port, signed(alg=alg))

    def test_another_kind_of_key(self, port):
        refuse(port, signed(key=ECKey.generate_key("P-256"), alg="ES256"))

    def test_a_key_that_the_token_brings_along(self, port):
        refuse(port, signed(key=OTHER_KEY, jwk=OTHER_KEY.as_dict(private=False)))

    def test_a_critical_header_that_is_not_understood(self, port):
        header = part({"alg": "RS256", "crit": ["x"], "x": 1})
        signature = jws.serialize_compact({"alg": "RS256"}, b"", KEY).split(".")[2]
        refuse(port, f"{header}.{part(claims())}.{signature}")

    def test_changed_claims(self, port):
        head, _, signature = signed().split(".")
        refuse(port, f"{head}.{part(claims(sub='user_2'))}.{signature}")


def _hs256_with(key: bytes) -> str:
    signed_part = f"{part({'alg': 'HS256', 'kid': 'ins_1'})}.{part(claims())}"
    return f"{signed_part}.{part(hmac.new(key, signed_part.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "garbage",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "...",
        "ak_0123456789",
        "oat_0123456789",
        "m2m_0123456789",
        "mt_0123456789",
        "ak_x.y.z",
        "Bearer x",
        "é.é.é",
        "a\n.b.c",
        "\x00.\x00.\x00",
        "\udcff.a.b",
        "A" * 100_000,
        f"{'A' * 100_000}.a.b",
        f"{part([1, 2])}.{part(claims())}.AAAA",
        f"{part({'alg': 'RS256'})}.{part([1])}.AAAA",
        f"{part(b'[' * 1000)}.{part(claims())}.AAAA",
        f"{part({'alg': ['RS256']})}.{part(claims())}.AAAA",
        f"{part({'alg': 'RS256', 'kid': {'a': 1}})}.{part(claims())}.AAAA",
        f"{part({'alg': 'RS256', 'b64': False, 'crit': ['b64']})}.{part(claims())}.AAAA",
    ],
    ids=lambda token: repr(token[:40]),
)
def test_what_is_no_token_is_refused(port, token):
    refuse(port, token)


def test_a_token_in_four_parts_is_refused(port):
    refuse(port, signed() + ".AAAA")
    refuse(port, signed() + "\n")


def test_a_signed_body_that_is_no_object_is_refused(port):
    for payload in (b"[]", b"7", b"{", b"\xff", b"[" * 5000):
        refuse(port, jws.serialize_compact({"alg": "RS256"}, payload, KEY))


def test_a_pem_with_escaped_line_ends_is_read(settings):
    port = session_tokens(settings(clerk_issuer=ISSUER, clerk_jwt_key=PEM.strip().replace("\n", "\\n")))
    assert port.verify(signed())


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
