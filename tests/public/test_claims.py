"""The customer's doors: who they are comes from the token and the users API, what they get from the one claim."""

import json
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.services.purchases import claim_links, claim_mails
from admin_app.simulator import control
from models import ClaimToken, ExtraPurchase, PendingProfile, Profile
from tests.house import BASE_URL, House, Watch, build
from tests.services.factories import OPERATOR, SUPPORT, buy

SIGN_IN = "/api/profiles/sign-in"
CLAIM = "/api/pending-profiles/claim"
PROFILE_FIELDS = {
    "user_id",
    "email",
    "membership",
    "payment_provider",
    "plan_duration",
    "billing_cycle_start",
    "billing_cycle_end",
    "next_credit_renewal",
    "usage_credits",
    "used_credits",
    "status",
}


def claim_token(house: House, pending: PendingProfile) -> str:
    """The token of a claim mail, as the mail's reader has it."""
    with house.db.unit_of_work(OPERATOR) as ctx:
        mail = claim_mails.prepare(ctx, pending_profile_id=pending.id, base_url=BASE_URL)
    assert mail is not None
    with house.db.unit_of_work(OPERATOR) as ctx:
        claim_mails.mark_sent(ctx, sent_email_id=mail.sent_email_id, kept=False)
    return mail.text.split("/claim?token=")[1].split()[0]


def test_sign_in_claims_what_waits(house: House) -> None:
    buy(house.db, "Waiting@Example.com")
    user_id, token = house.customer("waiting@example.com")
    answer = house.post(SIGN_IN, token=token)
    assert answer.status_code == 200
    assert answer.json["outcome"] == "created"
    assert set(answer.json["profile"]) >= PROFILE_FIELDS
    expected = {"user_id": user_id, "membership": "pro", "payment_provider": "whop", "plan_duration": "monthly"}
    expected |= {"usage_credits": 1000, "used_credits": 0, "status": "active"}
    assert expected.items() <= answer.json["profile"].items()
    again = house.post(SIGN_IN, token=token)
    assert (again.status_code, again.json["outcome"]) == (200, "already_claimed")
    assert again.json["profile"] == answer.json["profile"]


def test_sign_in_without_a_purchase_makes_a_free_profile_once(house: House) -> None:
    user_id, token = house.customer("nothing@example.com")
    answers = [house.post(SIGN_IN, token=token).json for _ in range(2)]
    assert answers[0] == answers[1]
    assert (answers[0]["outcome"], answers[0]["profile"]["membership"]) == ("none", "free")
    assert [profile.user_id for profile in house.rows(select(Profile))] == [user_id]


def test_an_address_counts_the_moment_it_is_verified(house: House) -> None:
    buy(house.db, "late@example.com")
    user_id, token = house.customer("late@example.com", verified=False)
    refused = house.post(CLAIM, token=token, json={"email": "late@example.com"})
    assert (refused.status_code, refused.json["code"]) == (403, "email_not_verified")
    assert house.post(SIGN_IN, token=token).json["outcome"] == "none"
    control.verify_user(house.simulator, user_id)
    assert house.post(CLAIM, token=token, json={"email": "late@example.com"}).json["outcome"] == "merged"


def test_sign_in_counts_an_address_that_was_verified_a_moment_ago(house: House) -> None:
    buy(house.db, "moment@example.com")
    user_id, token = house.customer("moment@example.com", verified=False)
    assert house.post(SIGN_IN, token=token).json["outcome"] == "none"
    control.verify_user(house.simulator, user_id)
    assert house.post(SIGN_IN, token=token).json["outcome"] == "merged"


def test_a_stale_token_stands_in_no_owners_way(house: House) -> None:
    """Also of an address that was verified only a moment ago."""
    pending = buy(house.db, "moment@example.com")
    user_id, token = house.customer("moment@example.com", verified=False)
    stale = claim_token(house, pending)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(PendingProfile, pending.id).token_expires_at = ctx.now.replace(year=2020)
    body = {"email": "moment@example.com", "token": stale}
    assert house.post(CLAIM, token=token, json=body).json["code"] == "invalid_token"
    control.verify_user(house.simulator, user_id)
    answer = house.post(CLAIM, token=token, json=body)
    assert (answer.status_code, answer.json["outcome"]) == (200, "created")


def test_a_link_that_a_newer_mail_replaced_stands_in_no_owners_way(house: House) -> None:
    """To anybody else it leads nowhere, and what never was a link of this purchase is refused to its owner too."""
    pending = buy(house.db, "replaced@example.com")
    other = buy(house.db, "elsewhere@example.com", membership_id="mem_elsewhere")
    replaced, elsewhere = claim_token(house, pending), claim_token(house, other)
    with house.db.unit_of_work(SUPPORT) as ctx:
        claim_mails.resend(ctx, pending_profile_id=pending.id, reason="asked for it")
    assert claim_token(house, pending) != replaced
    _, owner = house.customer("replaced@example.com")
    _, stranger = house.customer("a.stranger@example.com")
    body = {"email": "replaced@example.com", "token": replaced}
    assert house.post(CLAIM, token=stranger, json=body).json["code"] == "invalid_token"
    for never in (elsewhere, "x" * 43):
        refused = house.post(CLAIM, token=owner, json=body | {"token": never})
        assert (refused.status_code, refused.json["code"]) == (403, "invalid_token")
    answer = house.post(CLAIM, token=owner, json=body)
    assert (answer.status_code, answer.json["outcome"]) == (200, "created")
    assert house.post(CLAIM, token=owner, json=body).json["outcome"] == "already_claimed"


def test_links_that_were_replaced_are_kept_as_digests_and_not_without_end(house: House) -> None:
    pending = buy(house.db, "bounded@example.com")
    with house.db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(PendingProfile, pending.id)
        for number in range(claim_links.MOST_KEPT + 5):
            claim_links.replace(ctx.session, row, f"token-{number}", now=ctx.now, expires_at=ctx.now)
            ctx.session.flush()
    kept = house.rows(select(ClaimToken).order_by(ClaimToken.id))
    assert [token.digest for token in kept] == [
        claim_links.token_digest(f"token-{number}") for number in range(5, claim_links.MOST_KEPT + 5)
    ]
    assert [token.replaced_at is None for token in kept] == [False] * (claim_links.MOST_KEPT - 1) + [True]


def test_a_domain_in_letters_and_in_ascii_is_one(house: House) -> None:
    buy(house.db, "x@bücher.example")
    user_id, token = house.customer("X@xn--bcher-kva.example")
    answer = house.post(CLAIM, token=token, json={"email": "x@XN--BCHER-KVA.example"})
    assert answer.json["outcome"] == "created"
    assert [(row.user_id, row.email) for row in house.rows(select(Profile))] == [(user_id, "x@bücher.example")]


def test_refusals_of_the_claim(house: House) -> None:
    pending = buy(house.db, "wanted@example.com")
    _, owner = house.customer("wanted@example.com")
    _, stranger = house.customer("stranger@example.com")
    asked: list[tuple[str, dict[str, Any], int, str]] = [
        (owner, {"email": "wanted@example.com", "token": "wrong"}, 403, "invalid_token"),
        (stranger, {"email": "wanted@example.com", "token": "wrong"}, 403, "invalid_token"),
        (stranger, {"email": "wanted@example.com"}, 403, "email_not_verified"),
        (stranger, {"email": "stranger@example.com"}, 404, "pending_profile_not_found"),
        (stranger, {"email": "nobody@example.com", "token": "wrong"}, 403, "invalid_token"),
    ]
    for token, body, status, code in asked:
        answer = house.post(CLAIM, token=token, json=body)
        assert (answer.status_code, answer.json["code"]) == (status, code)
        assert answer.content_type == "application/problem+json"
    by_token = house.post(
        CLAIM, token=stranger, json={"email": "WANTED@example.com", "token": claim_token(house, pending)}
    )
    assert by_token.json["outcome"] == "created"
    too_late = house.post(CLAIM, token=owner, json={"email": "wanted@example.com"})
    assert (too_late.status_code, too_late.json["code"]) == (409, "already_claimed")
    assert set(too_late.json) >= {"type", "title", "status", "detail", "code", "request_id"}


def test_an_address_is_the_same_however_its_letters_were_composed(house: House) -> None:
    buy(house.db, "jos\u00e9@example.com")
    _, token = house.customer("jose\u0301@example.com")
    answer = house.post(CLAIM, token=token, json={"email": "JOSE\u0301@example.com"})
    assert (answer.status_code, answer.json["outcome"]) == (200, "created")


def test_someone_already_pro_keeps_what_they_have(house: House) -> None:
    buy(house.db, "pro@example.com", membership_id="mem_first")
    user_id, token = house.customer("pro@example.com")
    assert house.post(SIGN_IN, token=token).json["outcome"] == "created"
    pending = buy(house.db, "other@example.com", membership_id="mem_second")
    extra = {"email": "other@example.com", "token": claim_token(house, pending)}
    answer = house.post(CLAIM, token=token, json=extra)
    assert (answer.status_code, answer.json["outcome"]) == (200, "already_pro")
    assert [row.user_id for row in house.rows(select(ExtraPurchase))] == [user_id]


BAD_BODIES: list[tuple[Any, int]] = [
    ({}, 422),
    ({"email": None}, 422),
    ({"email": 7}, 422),
    ({"email": ["a@example.com"]}, 422),
    ({"email": ""}, 422),
    ({"email": "a"}, 422),
    ({"email": "@"}, 422),
    ({"email": "a b@example.com"}, 422),
    ({"email": "a\x00@example.com"}, 422),
    ({"email": "a@example.com\n"}, 422),
    ({"email": "x" * 250 + "@example.com"}, 422),
    ({"email": "x" * 500_000 + "@example.com"}, 422),
    ({"email": "a@example.com", "token": 7}, 422),
    ({"email": "a@example.com", "token": ""}, 422),
    ({"email": "a@example.com", "token": "t" * 201}, 422),
    ({"email": "a@example.com", "token": "\x00"}, 422),
    ([], 400),
    ("text", 400),
    (7, 400),
]


@pytest.mark.parametrize(("body", "status"), BAD_BODIES, ids=lambda value: repr(value)[:40])
def test_bad_bodies_get_a_sentence(house: House, body: Any, status: int) -> None:
    _, token = house.customer("bodies@example.com")
    answer = house.post(CLAIM, token=token, json=body)
    assert answer.status_code == status
    if status == 422:
        assert all(sentence.endswith(".") for sentence in answer.json["errors"].values())
    assert house.count(Profile) == 0


RAW_BODIES = [
    b'{"email": "\\ud800@example.com"}',
    b'{"email": "a@example.com", "token": "\\udfff"}',
    b'{"email": NaN}',
    b'{"email": ' + b"9" * 10_000 + b"}",
    b'{"email": "\xff@example.com"}',
    b"[" * 100_000,
    b"{",
    b"",
]


@pytest.mark.parametrize("raw", RAW_BODIES, ids=lambda raw: repr(raw)[:40])
def test_unreadable_json_gets_a_sentence(house: House, raw: bytes) -> None:
    _, token = house.customer("raw@example.com")
    answer = house.post(CLAIM, token=token, data=raw, content_type="application/json")
    assert answer.status_code in {400, 422}
    assert answer.content_type == "application/problem+json"


def test_other_content_types_and_large_bodies(house: House) -> None:
    _, token = house.customer("types@example.com")
    body = json.dumps({"email": "types@example.com"})
    assert house.post(CLAIM, token=token, data=body, content_type="text/plain").status_code == 415
    assert house.post(CLAIM, token=token, data={"email": "types@example.com"}).status_code == 415
    large = json.dumps({"email": "types@example.com", "more": "x" * 1_100_000})
    assert house.post(CLAIM, token=token, data=large, content_type="application/json").status_code == 413
    unknown = {"email": "types@example.com", "unknown": {"is": "ignored"}}
    assert house.post(CLAIM, token=token, json=unknown).status_code == 404


@pytest.mark.parametrize("path", [SIGN_IN, CLAIM])
def test_only_a_good_token_speaks_for_a_customer(house: House, path: str) -> None:
    user_id, token = house.customer("token@example.com")
    simulator = house.simulator
    headers = [
        {},
        {"Authorization": token},
        {"Authorization": f"Basic {token}"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {token[:-4]}AAAA"},
        {"Authorization": f"Bearer {token}.x"},
        {"Authorization": "Bearer ak_machine"},
        {"Authorization": f"Bearer {'x' * 30_000}"},
        {"Authorization": f"Bearer {control.token(simulator, user_id, ttl=-60)}"},
        {"Authorization": f"Bearer {control.token(simulator, user_id, azp='https://evil.test')}"},
        {"Authorization": f"Bearer {control.token(simulator, user_id, status='pending')}"},
        {"Authorization": f"Bearer {control.token(simulator, 'user_unknown')}"},
        {"Cookie": f"__session={token}"},
    ]
    for given in headers:
        answer = house.post(path, json={"email": "token@example.com"}, headers=given)
        assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in"), given
    assert house.count(Profile) == 0


@pytest.mark.parametrize("path", [SIGN_IN, CLAIM])
def test_without_the_provider_the_door_is_closed(simulator: str, db: Database, path: str) -> None:
    house = build(simulator, db)
    _, token = house.customer("away@example.com")
    body = {"email": "away@example.com"}
    control.fault(simulator, "clerk", "500", times=20)
    try:
        away = house.post(path, token=token, json=body)
    finally:
        control.fault(simulator, "clerk", "off")
    assert (away.status_code, away.json["code"]) == (503, "provider_unavailable")
    closed = build(simulator, db, clerk_issuer="")
    answer = closed.post(path, token=token, json=body)
    assert (answer.status_code, answer.json["code"]) == (404, "sign_in_not_configured")
    assert house.count(Profile) == 0


def test_the_provider_is_not_asked_inside_a_transaction(real_house: House) -> None:
    """A slow provider must not hold a connection: while it thinks, none is in use."""
    _, token = real_house.customer("slow@example.com")
    control.fault(real_house.simulator, "clerk", "slow", times=1, seconds=1)
    pool = real_house.db.engine.pool
    seen: list[tuple[float, int]] = []
    with Watch(lambda: seen.append((monotonic(), pool.checkedout()))):
        real_house.post(SIGN_IN, token=token)
    # However slow the machine is otherwise: for most of that second no look found one in use.
    free, since = 0.0, None
    for moment, in_use in seen:
        since = None if in_use else since or moment
        free = max(free, moment - since) if since else free
    assert free > 0.7
