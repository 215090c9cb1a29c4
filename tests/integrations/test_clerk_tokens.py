"""Which session tokens are believed."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from admin_app.config import Settings
from admin_app.integrations.clerk import session_tokens
from admin_app.integrations.clerk.clerk_tokens import SessionTokens
from admin_app.integrations.ports import ClerkSession
from tests.integrations.session_tokens import ISSUER, KEY, ORIGIN, OTHER_KEY, PEM, FromNow, claims, part, refuse, signed
from tests.integrations.signing import SHARED_CONTRACTS

Make = Callable[..., Settings]


@pytest.fixture
def port(settings: Make) -> SessionTokens:
    return session_tokens(settings(clerk_issuer=ISSUER, clerk_jwt_key=PEM, clerk_authorized_parties=ORIGIN))


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
