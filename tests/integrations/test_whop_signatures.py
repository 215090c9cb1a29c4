"""Which Whop deliveries are let in, and that no malformed one raises anything else than BadSignature."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from admin_app.errors import BadSignature
from admin_app.integrations import whop
from tests.integrations.signing import (
    WHOP_SECRET,
    current_whop_headers,
    events,
    legacy_whop_headers,
    shared_events,
    whop_headers,
)

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
EVERY_EVENT = events("whop") + shared_events("whop")
BODY = b'{"type":"payment.succeeded","data":{"id":"pay_1"}}'
Signer = Callable[..., dict[str, str]]
SIGNERS = [current_whop_headers, legacy_whop_headers]


def at(seconds: float = 0) -> float:
    return NOW.timestamp() + seconds


def refuse(raw: bytes, headers: dict[str, str], secret: str = WHOP_SECRET) -> None:
    with pytest.raises(BadSignature):
        whop.verify(raw, headers, secret, NOW)


@pytest.mark.parametrize("path", EVERY_EVENT, ids=lambda path: path.stem)
class TestEveryExample:
    @pytest.fixture
    def raw(self, path) -> bytes:
        return path.read_bytes()

    def test_a_signed_one_passes(self, raw):
        whop.verify(raw, whop_headers(raw, at()), WHOP_SECRET, NOW)

    def test_another_secret_is_refused(self, raw):
        refuse(raw, whop_headers(raw, at(), secret=WHOP_SECRET + "x"))

    def test_a_changed_body_is_refused(self, raw):
        refuse(raw + b" ", whop_headers(raw, at()))

    def test_a_truncated_body_is_refused(self, raw):
        refuse(raw[: len(raw) // 2], whop_headers(raw, at()))

    def test_bytes_that_are_not_text_are_refused(self, raw):
        refuse(b"\xff\xfe" + raw, whop_headers(raw, at()))

    @pytest.mark.parametrize("seconds", [-301, 301, -86_400, 86_400])
    def test_an_old_or_future_timestamp_is_refused(self, raw, seconds):
        refuse(raw, whop_headers(raw, at(seconds)))

    def test_without_headers_it_is_refused(self, raw):
        refuse(raw, {})


@pytest.mark.parametrize("sign", SIGNERS)
@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_five_minutes_either_way_are_fine(sign: Signer, seconds):
    whop.verify(BODY, sign(BODY, at(seconds)), WHOP_SECRET, NOW)


@pytest.mark.parametrize("sign", SIGNERS)
def test_without_a_secret_nothing_passes(sign: Signer):
    refuse(BODY, sign(BODY, at(), ""), secret="")


@pytest.mark.parametrize("sign", SIGNERS)
def test_header_names_in_any_case_pass(sign: Signer):
    headers = {name.upper(): value for name, value in sign(BODY, at()).items()}
    whop.verify(BODY, headers, WHOP_SECRET, NOW)


def test_one_good_signature_among_several_is_enough():
    headers = current_whop_headers(BODY, at())
    headers["Webhook-Signature"] = f"v1a,xyz v1,AAAA {headers['Webhook-Signature']}"
    whop.verify(BODY, headers, WHOP_SECRET, NOW)


def test_the_key_is_the_secret_as_text_and_not_what_it_encodes():
    decoded = base64.b64decode(WHOP_SECRET.removeprefix("ws_")).decode("latin-1")
    refuse(BODY, current_whop_headers(BODY, at(), secret=decoded))


def test_the_delivery_id_is_signed():
    refuse(BODY, current_whop_headers(BODY, at()) | {"Webhook-Id": "msg_2"})


def test_a_wrong_current_signature_is_not_saved_by_a_good_legacy_one():
    headers = legacy_whop_headers(BODY, at()) | current_whop_headers(BODY, at(), secret="other")
    refuse(BODY, headers)


@pytest.mark.parametrize(
    "damage",
    [
        {"Webhook-Timestamp": ""},
        {"Webhook-Timestamp": "now"},
        {"Webhook-Timestamp": "9" * 400},
        {"Webhook-Timestamp": "-1795251600"},
        {"Webhook-Timestamp": "1795251600.5"},
        {"Webhook-Timestamp": "nan"},
        {"Webhook-Timestamp": "१७९५२५१६००"},
        {"Webhook-Id": ""},
        {"Webhook-Id": "é\udcff"},
        {"Webhook-Id": "m" * 5000},
        {"Webhook-Signature": ""},
        {"Webhook-Signature": "v1"},
        {"Webhook-Signature": "no-comma-here"},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": "v1,ÿþ\x00"},
        {"Webhook-Signature": "v2,AAAA"},
        {"Webhook-Signature": "v1,****"},
    ],
)
def test_a_damaged_current_header_is_refused(damage):
    refuse(BODY, current_whop_headers(BODY, at()) | damage)


@pytest.mark.parametrize("name", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_missing_current_header_is_refused(name):
    headers = current_whop_headers(BODY, at())
    del headers[name]
    refuse(BODY, headers)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "t=,v1=",
        "t=1",
        "v1=abc",
        "t=x,v1=abc",
        "t=1795251600;v1=abc",
        "t=1795251600 v1=abc",
        f"t={'9' * 400},v1=abc",
        "t=1795251600,v1=é\udcff",
        "t=1795251600,v0=abc",
    ],
)
def test_a_damaged_legacy_header_is_refused(header):
    refuse(BODY, {"X-Whop-Signature": header})


def test_a_legacy_header_with_two_times_is_refused():
    good = legacy_whop_headers(BODY, at())["X-Whop-Signature"]
    refuse(BODY, {"X-Whop-Signature": f"t={int(at(-1))},{good}"})


def test_a_replay_six_minutes_later_is_refused():
    headers = whop_headers(json.dumps({"type": "x"}).encode(), at())
    with pytest.raises(BadSignature):
        whop.verify(b'{"type": "x"}', headers, WHOP_SECRET, NOW + timedelta(minutes=6))
