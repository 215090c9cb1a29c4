"""Calendly's API read and written, by scripted answers; the URIs in them always name api.calendly.com."""

from datetime import UTC, datetime
from typing import Any

import pytest

from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.calendly.calendly_api import CalendlyApi, reason_of
from admin_app.integrations.http.guard import Guard
from admin_app.integrations.http.provider_http import ProviderHttp
from tests.integrations.conftest import ScriptedProvider

API = "https://api.calendly.com"
EVENT = f"{API}/scheduled_events/E1"
INVITEE = f"{EVENT}/invitees/I1"
PERSON = {
    "uri": INVITEE,
    "event": EVENT,
    "email": "ada@example.com",
    "name": "Ada Guest",
    "status": "active",
    "timezone": "Europe/Oslo",
    "rescheduled": False,
    "old_invitee": None,
    "new_invitee": None,
}
WHEN = {
    "uri": EVENT,
    "event_type": f"{API}/event_types/ET1",
    "start_time": "2027-01-12T09:00:00.000000Z",
    "end_time": "2027-01-12T10:00:00.000000Z",
    "status": "active",
}
REFUSED = (403, {"title": "Permission Denied", "message": "Event is already canceled"})


@pytest.fixture
def calendly(provider: ScriptedProvider) -> CalendlyApi:
    provider.answers["/scheduled_events/E1/invitees/I1"] = (200, {"resource": PERSON})
    provider.answers["/scheduled_events/E1"] = (200, {"resource": WHEN})
    provider.answers["/users/me"] = (200, {"resource": {"uri": f"{API}/users/U", "current_organization": f"{API}/o/O"}})
    return CalendlyApi(ProviderHttp(Guard("calendly"), provider.url, "t", reason_of=reason_of, sleep=lambda _: None))


def kind(number: int, **more: Any) -> dict[str, Any]:
    given = {"uri": f"{API}/event_types/ET{number}", "name": f"Type {number}", "duration": 30, "active": True}
    return given | {"profile": {"name": "Hanna Host"}} | more


def page(*found: Any, following: str | None = None) -> tuple[int, Any]:
    return 200, {"collection": list(found), "pagination": {"next_page_token": following}}


def test_an_invitee_with_their_event(calendly, provider):
    found = calendly.invitee(INVITEE)
    assert (found.uri, found.event_uri, found.event_id) == (INVITEE, EVENT, "E1")
    assert (found.starts_at, found.ends_at) == (
        datetime(2027, 1, 12, 9, tzinfo=UTC),
        datetime(2027, 1, 12, 10, tzinfo=UTC),
    )
    assert (found.email, found.name, found.time_zone) == ("ada@example.com", "Ada Guest", "Europe/Oslo")
    assert (found.canceled, found.canceled_at, found.canceler) == (False, None, None)
    assert provider.requests[0][1]["Authorization"] == "Bearer t"


def test_one_who_canceled(calendly, provider):
    told = {"canceler_type": "host", "created_at": "2027-01-03T09:00:00Z"}
    provider.answers["/scheduled_events/E1/invitees/I1"] = (
        200,
        {"resource": PERSON | {"status": "canceled", "cancellation": told}},
    )
    found = calendly.invitee(INVITEE)
    assert (found.canceled, found.canceler) == (True, "host")
    assert found.canceled_at == datetime(2027, 1, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "uri", ["", "I1", f"{API}/users/U", f"{EVENT}/invitees/", f"{EVENT}/invitees/..", f"{EVENT}/invitees/I1/x"]
)
def test_what_is_no_invitee_is_not_asked_for(calendly, provider, uri):
    assert calendly.invitee(uri) is None
    assert provider.requests == []


def test_one_who_is_gone(calendly, provider):
    del provider.answers["/scheduled_events/E1/invitees/I1"]
    assert calendly.invitee(INVITEE) is None


@pytest.mark.parametrize(
    "answer", [(200, b"<html>"), (200, {}), (200, {"resource": []}), (200, {"resource": {"uri": INVITEE}}), (500, {})]
)
def test_an_answer_that_cannot_be_used_is_a_passing_trouble(calendly, provider, answer):
    provider.answers["/scheduled_events/E1/invitees/I1"] = answer
    with pytest.raises(ProviderUnavailable):
        calendly.invitee(INVITEE)


def test_event_types_of_the_organization_page_by_page(calendly, provider):
    query = "/event_types?organization=https%3A%2F%2Fapi.calendly.com%2Fo%2FO&count=100"
    provider.answers[query] = page(kind(1), kind(2, active=False), following="2")
    provider.answers[f"{query}&page_token=2"] = page(kind(3, duration=None), {"uri": 7}, kind(4, name=None))
    found = calendly.event_types()
    assert [(one.id, one.name, one.minutes, one.active) for one in found] == [
        ("ET1", "Type 1", 30, True),
        ("ET2", "Type 2", 30, False),
        ("ET4", "", 30, True),
    ]
    assert found[0].owner_name == "Hanna Host"


def test_one_who_may_not_list_the_organization_lists_their_own(calendly, provider):
    provider.answers["/event_types?organization=https%3A%2F%2Fapi.calendly.com%2Fo%2FO&count=100"] = REFUSED
    provider.answers["/event_types?user=https%3A%2F%2Fapi.calendly.com%2Fusers%2FU&count=100"] = page(kind(1))
    assert [one.id for one in calendly.event_types()] == ["ET1"]


def test_a_page_that_leads_to_itself_ends(calendly, provider):
    provider.answers["/event_types"] = page(kind(1), following="same")
    assert len(calendly.event_types()) == 2


def test_an_event_is_canceled_by_its_own_id(calendly, provider):
    provider.answers["/scheduled_events/E1/cancellation"] = (201, {"resource": {"canceled_by": "us"}})
    calendly.cancel_event(EVENT, "Changed in Backdesk")
    assert provider.posted == [("/scheduled_events/E1/cancellation", {"reason": "Changed in Backdesk"})]


def test_canceling_what_is_canceled_is_no_error(calendly, provider):
    provider.answers["/scheduled_events/E1/cancellation"] = REFUSED
    provider.answers["/scheduled_events/E1"] = (200, {"resource": WHEN | {"status": "canceled"}})
    calendly.cancel_event(EVENT, "again")
    provider.answers["/scheduled_events/E1"] = (200, {"resource": WHEN})
    with pytest.raises(ProviderRefused) as refused:
        calendly.cancel_event(EVENT, "again")
    assert refused.value.reason == "permission_denied"


def test_a_cancellation_that_nobody_answered(calendly, provider):
    provider.answers["/scheduled_events/E1/cancellation"] = (500, {})
    with pytest.raises(OutcomeUnknown):
        calendly.cancel_event(EVENT, "once")
    assert len(provider.posted) == 1


def test_everybody_who_booked_event_by_event_page_by_page(calendly, provider):
    query = (
        "/scheduled_events?min_start_time=2027-01-01T00%3A00%3A00.000000Z&sort=start_time%3Aasc"
        "&organization=https%3A%2F%2Fapi.calendly.com%2Fo%2FO&count=100"
    )
    provider.answers[query] = page(WHEN, following="2")
    provider.answers[f"{query}&page_token=2"] = page(WHEN)
    provider.answers["/scheduled_events/E1/invitees"] = page(PERSON)
    found = list(calendly.invitees_from(datetime(2027, 1, 1, tzinfo=UTC)))
    assert [one.uri for one in found] == [INVITEE] * 2
    del provider.answers["/scheduled_events/E1/invitees"]
    with pytest.raises(ProviderUnavailable):
        list(calendly.invitees_from(datetime(2027, 1, 1, tzinfo=UTC)))
