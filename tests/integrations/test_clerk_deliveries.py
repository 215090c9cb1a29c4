"""Which Clerk deliveries are let in and what each example means."""

import json
import time
from typing import Any

import pytest

from admin_app.errors import BadSignature, MalformedEvent
from admin_app.integrations import clerk
from admin_app.integrations.ports import ClerkEmail, ClerkEvent
from tests.integrations.signing import CLERK_SECRET, OWN_EVENTS, clerk_headers, events, shared_events

EVERY_EVENT = [path for path in events("clerk") + shared_events("clerk") if not path.stem.endswith("claims")]
BODY = b'{"type":"user.created","data":{"id":"user_1"}}'


def refuse(raw: bytes, headers: dict[str, str], secret: str = CLERK_SECRET) -> None:
    with pytest.raises(BadSignature):
        clerk.verify_webhook(raw, headers, secret)


def parse(body: Any) -> ClerkEvent:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return clerk.parse_event(raw, {"Svix-Id": "msg_1"})


def own(name: str) -> ClerkEvent:
    return parse((OWN_EVENTS / "clerk" / f"{name}.json").read_bytes())


@pytest.mark.parametrize("path", EVERY_EVENT, ids=lambda path: path.stem)
class TestEveryExample:
    @pytest.fixture
    def raw(self, path) -> bytes:
        return path.read_bytes()

    def test_a_signed_one_passes_and_is_read(self, raw):
        headers = clerk_headers(raw, time.time(), delivery="msg_9")
        clerk.verify_webhook(raw, headers, CLERK_SECRET)
        event = clerk.parse_event(raw, headers)
        assert (event.external_id, event.type) == ("msg_9", json.loads(raw)["type"])
        assert event.user_id is not None
        assert (event.user is not None) == (event.type in {"user.created", "user.updated"})

    def test_another_secret_is_refused(self, raw):
        refuse(raw, clerk_headers(raw, time.time(), secret="whsec_" + "A" * 32))

    def test_a_changed_or_truncated_body_is_refused(self, raw):
        refuse(raw + b" ", clerk_headers(raw, time.time()))
        refuse(raw[:-20], clerk_headers(raw, time.time()))

    def test_bytes_that_are_not_text_are_refused(self, raw):
        refuse(b"\xff" + raw, clerk_headers(b"\xff" + raw, time.time()))

    @pytest.mark.parametrize("seconds", [-310, 310, -86_400, 86_400])
    def test_an_old_or_future_timestamp_is_refused(self, raw, seconds):
        refuse(raw, clerk_headers(raw, time.time() + seconds))

    def test_without_headers_it_is_refused(self, raw):
        refuse(raw, {})


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é", "not base64 *", "whsec_A"])
def test_an_unusable_secret_lets_nothing_pass(secret):
    refuse(BODY, clerk_headers(BODY, time.time()), secret=secret)


@pytest.mark.parametrize(
    "damage",
    [
        {"Svix-Timestamp": "x"},
        {"Svix-Timestamp": "9" * 400},
        {"Svix-Timestamp": "nan"},
        {"Svix-Timestamp": ""},
        {"Svix-Id": ""},
        {"Svix-Id": "é\udcff"},
        {"Svix-Signature": ""},
        {"Svix-Signature": "v1"},
        {"Svix-Signature": "no-comma"},
        {"Svix-Signature": "v1,*"},
        {"Svix-Signature": "v1,a,b"},
        {"Svix-Signature": "v1,ÿ\udcff"},
    ],
)
def test_a_damaged_header_is_refused(damage):
    refuse(BODY, clerk_headers(BODY, time.time()) | damage)


def test_only_verified_addresses_are_verified():
    created = own("user.created").user
    assert created
    assert created.name == "Greta Lind"
    assert created.emails == (ClerkEmail("Greta.Lind@Example.com", verified=True, primary=True),)
    assert created.verified_emails == {"greta.lind@example.com"}
    unverified = own("user.created.unverified").user
    assert unverified
    assert unverified.verified_emails == set()
    two = own("user.updated.two-addresses").user
    assert two
    assert two.emails[1] == ClerkEmail("greta@work.example.com", verified=False, primary=False)


@pytest.mark.parametrize(
    "verification",
    [
        None,
        {},
        [],
        "verified",
        {"status": "unverified"},
        {"status": "expired"},
        {"status": "VERIFIED"},
        {"status": True},
    ],
    ids=str,
)
def test_nothing_but_the_word_verified_verifies(verification):
    data = {"id": "user_1", "email_addresses": [{"email_address": "a@example.com", "verification": verification}]}
    event = parse({"type": "user.created", "data": data})
    assert event.user
    assert event.user.verified_emails == set()


def test_a_person_without_addresses_or_name_is_read():
    person = own("user.created.no-address").user
    assert person
    assert (person.name, person.emails) == (None, ())


def test_a_missing_primary_id_makes_no_address_primary():
    data = {"id": "user_1", "email_addresses": [{"email_address": "a@example.com"}, "odd", None]}
    person = parse({"type": "user.created", "data": data}).user
    assert person
    assert person.emails == (ClerkEmail("a@example.com", verified=False, primary=False),)


def test_a_deletion_names_the_person_only():
    event = own("user.deleted")
    assert (event.user, event.user_id) == (None, "user_Own0001")


def test_an_event_about_something_else_names_its_person():
    event = own("session.created")
    assert (event.user, event.user_id) == (None, "user_Own0001")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 200_000,
        b'{"type":"user.created"}',
        b'{"type":"user.created","data":[]}',
        b'{"type":"user.created","data":{"id":7}}',
        b'{"type":null,"data":{"id":"user_1"}}',
    ],
    ids=lambda raw: repr(raw[:30]),
)
def test_what_is_no_event_is_malformed(raw):
    with pytest.raises(MalformedEvent):
        parse(raw)


def test_a_delivery_without_an_id_is_malformed():
    with pytest.raises(MalformedEvent):
        clerk.parse_event(BODY, {})
