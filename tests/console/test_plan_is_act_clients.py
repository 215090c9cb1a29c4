"""Plan = act, for what switches clients off and on, decides about their onboarding, and says who they are at Stripe."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from admin_app.services.clients import emergency
from admin_app.services.clients.flag_words import end_words
from models import FlagChange, OnExpiry, Role
from tests.applications import Applications
from tests.console.client_scene import DAY, Clients
from tests.console.page_checks import CheckedClient
from tests.console.plan_walk import Case, Rules, walk
from tests.house import House, house, lent, simulator
from tests.services.clients.flags import OPS
from tests.services.diary import Clock

__all__ = ["house", "simulator"]

Setup = Callable[[Clients], Case]
CASES: dict[str, Setup] = {}
ON, OFF = "switch-commands.turn_on", "switch-commands.turn_off"


def case(name: str) -> Callable[[Setup], Setup]:
    def note(setup: Setup) -> Setup:
        CASES[name] = setup
        return setup

    return note


# -- switches -------------------------------------------------------------------------------------------------------


def _switch(scene: Clients, client_id: int, way: str, flag: str = "outbound_paused", **parts: Any) -> Case:
    back = {"starts": "now", "ends": "back", "tell_email": "", "zone": "UTC"} if way == "on" else {}
    typed = back | parts.pop("typed", {})
    name = ON if way == "on" else OFF
    return Case(name, f"/admin/clients/{client_id}/switches/{flag}/{way}", typed, **parts)


def _until(scene: Clients, until: datetime, at_end: str = "lift", **more: str) -> dict[str, str]:
    return {"ends": "at", "until": scene.local(until), "until_which": "", "on_expiry": at_end} | more


def _later(scene: Clients, since: datetime) -> dict[str, str]:
    return {"starts": "later", "since": scene.local(since), "since_which": ""}


def _on_now(scene: Clients, client_id: int, **typed: str) -> Case:
    return _switch(scene, client_id, "on", typed=typed)


CASES[f"{ON}: at once, until somebody switches it back"] = lambda s: _on_now(s, s.client())
CASES[f"{ON}: the AI, for a day"] = lambda s: _switch(
    s, s.client(), "on", "ai_disabled", typed=_until(s, s.in_days(1)), role=Role.OPS
)
CASES[f"{ON}: at once, past its end a person decides"] = lambda s: _on_now(
    s, s.client(), **_until(s, s.in_days(1), "stay")
)
CASES[f"{ON}: what another program set"] = lambda s: _on_now(s, s.client(outbound_paused=True))


@case(f"{ON}: with another end than before")
def _replaced(scene: Clients) -> Case:
    client_id = scene.client()
    scene.on(client_id, until=scene.in_days(2), tell_email="a@example.com", tell_at=scene.in_days(1))
    return _on_now(scene, client_id, **_until(scene, scene.in_days(3)))


@case(f"{ON}: at once, in the place of what is scheduled too")
def _instead(scene: Clients) -> Case:
    client_id = scene.client()
    scene.on(client_id, until=scene.in_days(2))
    scene.on(client_id, since=scene.in_days(3), until=scene.in_days(4))
    return _on_now(scene, client_id)


@case(f"{ON}: later, and what is on ends there")
def _after_that(scene: Clients) -> Case:
    client_id = scene.client()
    wish = {"until": scene.in_days(5), "on_expiry": OnExpiry.STAY, "tell_email": "a@example.com"}
    scene.on(client_id, **wish, tell_at=scene.in_days(4))
    return _on_now(scene, client_id, **_later(scene, scene.in_days(1)), **_until(scene, scene.in_days(2)))


@case(f"{ON}: later, with nothing before")
def _then(scene: Clients) -> Case:
    return _on_now(scene, scene.client(), **_later(scene, scene.in_days(1)))


@case(f"{ON}: somebody is told at once")
def _told_at_once(scene: Clients) -> Case:
    told = {"tell_email": "desk@example.com", "tell_before": "1440"}
    return _on_now(scene, scene.client(), **_until(scene, scene.in_days(0.5), **told))


@case(f"{ON}: somebody is told before it ends")
def _told(scene: Clients) -> Case:
    typed = _until(scene, scene.in_days(3), tell_email="desk@example.com", tell_before="60")
    when = scene.in_days(3) - DAY / 24
    return _switch(scene, scene.client(), "on", typed=typed, afterwards=lambda: scene.time_passes(when))


@case(f"{OFF}: before its end, and who was to be told is not")
def _off(scene: Clients) -> Case:
    client_id = scene.client()
    scene.on(client_id, until=scene.in_days(2), tell_email="a@example.com", tell_at=scene.in_days(1))
    when = scene.in_days(1)
    return _switch(scene, client_id, "off", afterwards=lambda: scene.time_passes(when))


CASES[f"{OFF}: what another program set"] = lambda s: _switch(s, s.client(outbound_paused=True), "off")


@case("flag-change-commands.cancel: before it begins")
def _canceled(scene: Clients) -> Case:
    period = scene.on(scene.client(), since=scene.in_days(1), until=scene.in_days(2))
    return Case("flag-change-commands.cancel", f"/admin/flag-changes/{period.id}/cancel")


# -- everyone -------------------------------------------------------------------------------------------------------


def _stop(scene: Clients, days: float) -> Case:
    typed = {"until": scene.local(scene.in_days(days)), "until_which": "", "zone": "UTC"}
    return Case("emergency-stop.start", "/admin/emergency-stop/start", typed)


def _stopped(scene: Clients) -> None:
    with scene.house.db.unit_of_work(OPS) as ctx:
        until = scene.in_days(1)
        shown = emergency.plan_start(ctx, until=until).fingerprint
        emergency.start(ctx, reason="A fault", until=until, shown=shown)


@case("emergency-stop.start: everyone")
def _start(scene: Clients) -> Case:
    scene.client(), scene.client(outbound_paused=True)
    return _stop(scene, 1)


@case("emergency-stop.start: for longer")
def _longer(scene: Clients) -> Case:
    _stopped(scene)
    return _stop(scene, 2)


@case("emergency-stop.end: early")
def _end(scene: Clients) -> Case:
    _stopped(scene)
    return Case("emergency-stop.end", "/admin/emergency-stop/end")


# -- the walk -------------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(simulator: str, db: Any, applications: Applications) -> Clients:
    made = lent(applications, simulator, db)
    made.app.testing, made.app.test_client_class = True, CheckedClient
    return Clients(made, Clock(db))


def rules(scene: Clients) -> Rules:
    """Where the lines about a flag lie: in its period that is in force, and in the one that is to come."""

    def period(key: str, *, to_come: bool = False) -> FlagChange | None:
        found = scene.periods(None if key == "all" else int(key))
        return next((each for each in found if (each.since > scene.clock.now) is to_come), None)

    def of(name: str, *, to_come: bool = False) -> Callable[[House, str], Any]:
        return lambda house, key: getattr(period(key, to_come=to_come), name, None)

    def end(key: str, *, to_come: bool = False) -> Any:
        found = period(key, to_come=to_come)
        return None if found is None else found.until or "until somebody switches it back"

    def telling(name: str) -> Callable[[House, str], Any]:
        return lambda house, key: getattr(newest(key), name, None)

    def newest(key: str) -> FlagChange | None:
        return max(scene.periods(int(key)), key=lambda each: each.id, default=None)

    def at_end(house: House, key: str) -> str | None:
        found = newest(key)
        return end_words(found.on_expiry, found.until is not None) if found else None

    return _with(
        {
            "client.since": of("since"),
            "client.until": lambda house, key: end(key),
            "client.next_since": of("since", to_come=True),
            "client.next_until": lambda house, key: end(key, to_come=True),
            "client.on_expiry": at_end,
            "client.tell_email": telling("tell_email"),
            "client.tell_at": telling("tell_at"),
            "everyone.emergency_stop": lambda house, key: period(key) is not None,
            "everyone.until": of("until"),
        }
    )


def _with(read: dict[str, Callable[[House, str], Any]]) -> Rules:
    return Rules(
        # Who ended a period, and why, is with whoever does it and with what they write.
        stamps=frozenset({"lifted_by", "lift_reason", "told_at"}),
        read=read,
        derived={
            "next_since": lambda row: None if row.lifted_at else row.since,
            "next_until": lambda row: None if row.lifted_at else row.until,
            "on_expiry": lambda row: end_words(row.on_expiry, row.until is not None),
        },
        lies_in={"next_since": "lifted_at", "on_expiry": "on_expiry"},
    )


@pytest.mark.parametrize("name", CASES)
def test_what_the_plan_promised_is_what_happened(name: str, scene: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    walk(scene.house, name, CASES[name](scene), monkeypatch, rules(scene))
