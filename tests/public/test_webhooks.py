"""Deliveries: proved, stored once, answered after the commit; everything else is refused without a trace."""

from pathlib import Path
from time import time

import pytest
from sqlalchemy import select

from models import EventState, WebhookEvent
from tests.house import House
from tests.integrations.signing import events, shared_events

WHOP = events("whop") + shared_events("whop")
CLERK = [path for path in events("clerk") + shared_events("clerk") if not path.name.startswith("session-token")]
SETTLED = {EventState.PROCESSED, EventState.IGNORED, EventState.PARKED, EventState.SUPERSEDED}


def name(path: Path) -> str:
    return f"{'shared' if 'shared' in path.parts else 'own'}-{path.name}"


@pytest.mark.parametrize("path", WHOP, ids=name)
def test_whop_event_once_and_again(house: House, path: Path) -> None:
    raw = path.read_bytes()
    first = house.whop(raw)
    again = house.whop(raw)
    assert (first.status_code, first.json) == (200, {"status": "ok"})
    assert (again.status_code, again.json) == (200, {"status": "duplicate"})
    house.work(last_try=True)
    assert [event.body for event in house.rows(select(WebhookEvent))] == [raw]
    assert {event.state for event in house.rows(select(WebhookEvent))} <= SETTLED
    assert house.whop(raw).json == {"status": "duplicate"}
    assert house.work() == 0


@pytest.mark.parametrize("path", CLERK, ids=name)
def test_clerk_event_once_and_again(house: House, path: Path) -> None:
    raw = path.read_bytes()
    assert house.clerk(raw).json == {"status": "ok"}
    assert house.clerk(raw).json == {"status": "duplicate"}
    house.work(last_try=True)
    assert {event.state for event in house.rows(select(WebhookEvent))} <= SETTLED
    assert house.count(WebhookEvent) == 1


@pytest.mark.parametrize("path", WHOP + CLERK, ids=name)
def test_bad_deliveries_leave_no_trace(house: House, path: Path) -> None:
    raw = path.read_bytes()
    deliver = house.clerk if path in CLERK else house.whop
    secret = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB" if path in CLERK else "ws_wrong"
    refused = [
        deliver(raw, secret=secret),
        deliver(raw, at=time() - 301),
        deliver(raw, at=time() + 301),
    ]
    assert [answer.status_code for answer in refused] == [400, 400, 400]
    assert {answer.json["code"] for answer in refused} == {"bad_signature"}
    assert house.count(WebhookEvent) == 0
