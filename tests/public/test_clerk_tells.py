"""What Clerk tells by webhook: a person with a verified primary address gets what waits under it."""

import json
from typing import Any

from sqlalchemy import select

from models import EventState, PendingProfile, Profile, WebhookEvent
from tests.house import House
from tests.integrations.signing import events
from tests.services.factories import buy

CREATED = next(path for path in events("clerk") if path.name == "user.created.json").read_bytes()


def told(
    user_id: str, email: str, *, status: str = "verified", primary: bool = True, kind: str = "user.created"
) -> bytes:
    body: dict[str, Any] = json.loads(CREATED)
    address = body["data"]["email_addresses"][0]
    address |= {"email_address": email, "verification": {"status": status, "strategy": "email_code"}}
    body["type"] = kind
    body["data"] |= {
        "id": user_id,
        "email_addresses": [address],
        "primary_email_address_id": address["id"] if primary else None,
    }
    return json.dumps(body).encode()


def test_a_new_account_gets_its_purchase(house: House) -> None:
    buy(house.db, "newcomer@example.com")
    house.clerk(told("user_new", "Newcomer@example.com"))
    house.work()
    (profile,) = house.rows(select(Profile))
    assert (profile.user_id, profile.membership.value) == ("user_new", "pro")
    assert [row.claimed_by_user_id for row in house.rows(select(PendingProfile))] == ["user_new"]


def test_an_unverified_or_secondary_address_gets_nothing_until_it_is_verified(house: House) -> None:
    buy(house.db, "wanted@example.com")
    house.clerk(told("user_thief", "wanted@example.com", status="unverified"), delivery="msg_1")
    house.clerk(told("user_thief", "wanted@example.com", primary=False), delivery="msg_2")
    house.work()
    assert [row.claimed for row in house.rows(select(PendingProfile))] == [False]
    assert {event.state for event in house.rows(select(WebhookEvent))} == {EventState.IGNORED}
    house.clerk(told("user_owner", "wanted@example.com", kind="user.updated"), delivery="msg_3")
    house.work()
    assert [row.claimed_by_user_id for row in house.rows(select(PendingProfile))] == ["user_owner"]


def test_the_second_account_of_an_address_changes_nothing(house: House) -> None:
    buy(house.db, "shared@example.com")
    house.clerk(told("user_first", "shared@example.com"), delivery="msg_1")
    house.clerk(told("user_second", "shared@example.com"), delivery="msg_2")
    house.work()
    pro = [row.user_id for row in house.rows(select(Profile)) if row.membership.value == "pro"]
    assert pro == ["user_first"]
    assert {event.state for event in house.rows(select(WebhookEvent))} == {EventState.PROCESSED}
