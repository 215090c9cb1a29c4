"""What Clerk tells by webhook: a person with a verified primary address gets what waits under it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from models import EventState, PendingProfile, Profile, User, WebhookEvent
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


def last_signed_in(house: House, user_id: str) -> datetime:
    (found,) = house.rows(select(User).where(User.open_id == user_id))
    return found.last_signed_in


def session_begun(user_id: str, at: datetime | None) -> bytes:
    data = {"object": "session", "id": "sess_1", "user_id": user_id, "status": "active"}
    if at is not None:
        data |= {"created_at": int(at.timestamp() * 1000)}
    return json.dumps({"object": "event", "type": "session.created", "data": data}).encode()


def test_only_a_sign_in_sets_last_signed_in(house: House) -> None:
    made = datetime.fromtimestamp(json.loads(CREATED)["data"]["created_at"] / 1000, UTC)
    house.clerk(told("user_new", "a@example.com"), delivery="msg_1")
    house.work()
    assert last_signed_in(house, "user_new") == made
    signed_in = made + timedelta(days=3)
    house.clerk(session_begun("user_new", signed_in), delivery="msg_2")
    house.work()
    assert last_signed_in(house, "user_new") == signed_in
    house.clerk(told("user_new", "b@example.com", kind="user.updated"), delivery="msg_3")
    house.work()
    assert last_signed_in(house, "user_new") == signed_in
    (user,) = house.rows(select(User))
    assert user.email == "b@example.com"


def test_a_sign_in_that_is_told_late_takes_back_no_later_one(house: House) -> None:
    house.clerk(told("user_new", "a@example.com"), delivery="msg_1")
    house.clerk(session_begun("user_new", None), delivery="msg_2")
    house.work()
    at_the_door = last_signed_in(house, "user_new")
    assert at_the_door == house.rows(select(WebhookEvent).order_by(WebhookEvent.id))[-1].received_at
    house.clerk(session_begun("user_new", at_the_door - timedelta(days=1)), delivery="msg_3")
    house.clerk(session_begun("user_stranger", at_the_door), delivery="msg_4")
    house.work()
    assert last_signed_in(house, "user_new") == at_the_door
    assert [user.open_id for user in house.rows(select(User))] == ["user_new"]
