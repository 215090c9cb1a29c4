"""Switching clients off and on, and stopping everyone, by the pages."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup

from admin_app.db import Database
from models import Role
from tests.console.conftest import counted_queries
from tests.console.framework.test_stale_screens import differences_on, filled_in
from tests.console.page_checks import CheckedClient
from tests.services.clients.flags import add_client, at, boolean_of, changes, off, on, turn

ClientFor = Callable[[Role], CheckedClient]
# In Amsterdam, where those who sign in here live, this is 13:00.
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FORM = {
    "starts": "now",
    "since": "",
    "ends": "at",
    "until": "2026-11-30T09:00",
    "on_expiry": "lift",
    "tell_email": "",
    "tell_before": "60",
}


@pytest.fixture
def client_id(db: Database) -> int:
    return add_client(at(db, NOON))


def look(client: CheckedClient, client_id: int, **typed: str | None) -> str:
    """The plan for what was typed; None leaves a field out."""
    query = {name: value for name, value in (FORM | typed).items() if value is not None}
    return client.get(f"/admin/clients/{client_id}/switches/outbound_paused/on", query_string=query).text


def test_paused_until_monday_as_the_viewer_reads_clocks(db: Database, client_id: int, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    page = look(client, client_id, tell_email="desk@example.com")
    assert "30 Nov 2026" in page
    assert "Times in Europe/Amsterdam" in page
    answer = client.post(f"/admin/clients/{client_id}/switches/outbound_paused/on", data=filled_in(page))
    assert (answer.status_code, answer.location) == (303, f"/admin/clients/{client_id}")
    (period,) = changes(db, client_id)
    monday = datetime(2026, 11, 30, 8, tzinfo=UTC)
    assert (period.until, period.tell_at) == (monday, monday - timedelta(hours=1))
    assert boolean_of(db, client_id)
    shown = client.get(f"/admin/clients/{client_id}").text
    for words in (
        "Outbound calls are paused",
        "Looked at it",
        "ops@example.com",
        "desk@example.com",
        "goes off by itself",
    ):
        assert words in shown
    assert "Let outbound calls run again" in shown
    assert "Let outbound calls run again" not in client_for(Role.SUPPORT).get(f"/admin/clients/{client_id}").text
    off_page = f"/admin/clients/{client_id}/switches/outbound_paused/off"
    assert client.post(off_page, data=filled_in(client.get(off_page).text)).status_code == 303
    assert not boolean_of(db, client_id)


WRONG: list[tuple[dict[str, str | None], str]] = [
    ({"starts": None}, "Say from when"),
    ({"ends": None}, "Say until when"),
    ({"on_expiry": None}, "Say what happens at the end"),
    ({"tell_email": None}, "did not arrive whole"),
    ({"until": None}, "Write day and time like"),
    ({"until": "soon"}, "Write day and time like"),
    ({"until": "2026-11-24T13:00"}, "past already"),
    ({"starts": "later"}, "Write day and time like"),
    ({"until": "2027-03-28T02:30"}, "skip this time"),
    # In its last hours no zone further east could show it, nor any page on which it stands.
    ({"until": "9999-12-31T23:59"}, "too far away"),
    ({"until": "2027-10-31T02:30"}, "show this time twice"),
    ({"tell_email": "x", "tell_before": "60"}, "not an e-mail address"),
    ({"tell_email": "a@example.com", "tell_before": None}, "how long before"),
]


def test_what_is_missing_or_wrong_is_a_sentence_and_changes_nothing(
    db: Database, client_id: int, client_for: ClientFor
) -> None:
    client = client_for(Role.OPS)
    whole = filled_in(look(client, client_id))
    for typed, sentence in WRONG:
        assert sentence in look(client, client_id, **typed)
        # The same by a form that is sent with it.
        data = {name: value for name, value in whole.items() if name not in typed}
        data |= {name: [value] for name, value in typed.items() if value is not None}
        answer = client.post(f"/admin/clients/{client_id}/switches/outbound_paused/on", data=data)
        assert answer.status_code == 422, typed
        assert sentence in answer.text
    assert changes(db, client_id) == []


def test_a_time_that_comes_twice_is_asked_about(db: Database, client_id: int, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    assert 'name="until_which"' in look(client, client_id, until="2027-10-31T02:30")
    for which in ("first", "second"):
        page = look(client, client_id, until="2027-10-31T02:30", until_which=which)
        client.post(f"/admin/clients/{client_id}/switches/outbound_paused/on", data=filled_in(page))
    ends = [datetime(2027, 10, 31, hour, 30, tzinfo=UTC) for hour in (0, 1)]
    assert [period.until for period in changes(db, client_id)] == ends


def test_a_stale_screen_says_what_moved(db: Database, client_id: int, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    data = filled_in(look(client, client_id))
    turn(db, client_id, on("Somebody else did"))
    answer = client.post(f"/admin/clients/{client_id}/switches/outbound_paused/on", data=data)
    assert answer.status_code == 409
    found = {label: (then, now) for label, then, now in differences_on(answer.text)}
    assert found["Outbound calls paused"] == ("no", "yes")
    assert found["On until"][1] == "until somebody switches it back"
    assert len(changes(db, client_id)) == 1


def test_what_is_scheduled_is_shown_and_canceled(db: Database, client_id: int, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    page = look(client, client_id, starts="later", since="2026-11-28T09:00")
    client.post(f"/admin/clients/{client_id}/switches/outbound_paused/on", data=filled_in(page))
    (period,) = changes(db, client_id)
    cancel = f"/admin/flag-changes/{period.id}/cancel"
    assert cancel in client.get(f"/admin/clients/{client_id}").text
    assert client.post(cancel, data=filled_in(client.get(cancel).text)).status_code == 303
    assert changes(db, client_id)[0].lifted_by == "ops@example.com"
    assert cancel not in client.get(f"/admin/clients/{client_id}").text


def test_a_switch_past_its_end_date_is_work_on_the_first_page(
    db: Database, client_id: int, client_for: ClientFor
) -> None:
    client = client_for(Role.OPS)
    page = look(client, client_id, on_expiry="stay", until="2026-11-24T13:10")
    client.post(f"/admin/clients/{client_id}/switches/outbound_paused/on", data=filled_in(page))
    assert "past its end date" not in client.get("/admin/").text
    at(db, NOON + timedelta(minutes=10))
    assert "flag past its end date waits for a decision" in client.get("/admin/").text
    assert "waits for a decision" in client.get(f"/admin/clients/{client_id}").text
    turn(db, client_id, off())
    assert "past its end date" not in client.get("/admin/").text


def test_everyone_is_stopped_and_every_page_says_so(db: Database, client_id: int, client_for: ClientFor) -> None:
    client, support = client_for(Role.OPS), client_for(Role.SUPPORT)
    start = "/admin/emergency-stop/start"
    page = client.get(start, query_string={"until": "2026-11-24T13:20"}).text
    assert "All clients are stopped at once, 1 in number" in page
    with counted_queries(db) as before:
        client.get("/admin/clients/")
    assert client.post(start, data=filled_in(page) | {"reason": ["Carrier is down"]}).status_code == 303
    with counted_queries(db) as during:
        client.get("/admin/clients/")
    assert len(before) == len(during)
    for address in (
        "/admin/",
        "/admin/clients/",
        f"/admin/clients/{client_id}",
        "/admin/my-account/",
        "/admin/clients/999999",
    ):
        banner = BeautifulSoup(support.get(address).text, "html5lib").select_one('[aria-label="Emergency stop"]')
        assert banner, address
        said = banner.get_text(" ", strip=True)
        assert re.search(r"until 24 Nov 2026.* 13:20.*Europe/Amsterdam.*by ops@example.com: Carrier is down", said), (
            said
        )
        assert "End it" not in said
    assert "/admin/emergency-stop/end" in client.get("/admin/").text
    # It goes by the clock: no job has run.
    at(db, NOON + timedelta(minutes=20))
    assert "Everyone is stopped" not in client.get("/admin/").text
    at(db, NOON + timedelta(minutes=5))
    end = "/admin/emergency-stop/end"
    assert client.post(end, data=filled_in(client.get(end).text)).status_code == 303
    assert "Everyone is stopped" not in client.get("/admin/").text
    assert "Carrier is down" in client.get("/admin/emergency-stop/").text
    assert not boolean_of(db, client_id)
