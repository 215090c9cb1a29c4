"""Guests sign in by a code from the mail and see their own, whoever else asks for it."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from admin_app.db import Database
from admin_app.jobs import guests as guest_jobs
from admin_app.simulator import control
from admin_app.simulator.workos import control_workos
from models import Meeting
from tests.guests.test_meetings import ask
from tests.house import House, build
from tests.services import diary

_numbers = itertools.count(1)


@pytest.fixture
def email() -> str:
    return f"sina{next(_numbers)}@signin.example.com"


@pytest.fixture
def booked(house: House, email: str) -> dict[str, Any]:
    """A meeting of this guest's."""
    return meeting_of(house, email)


def meeting_of(house: House, email: str, hour: int = 10) -> dict[str, Any]:
    kind = diary.offered(house.db, working_hours=diary.ALWAYS)
    made = ask(house, kind, diary.tomorrow(house.db.clock(), hour=hour), email)
    assert made.status_code == 201
    found: dict[str, Any] = made.json["meeting"]
    return found


def code_for(house: House, email: str, ip: str = "127.0.0.1") -> TestResponse:
    caller = {"REMOTE_ADDR": ip}
    return house.post("/api/guests/magic-code", json={"email": email}, environ_base=caller)


def session_by(house: House, email: str, code: str) -> TestResponse:
    return house.post("/api/guests/session", json={"email": email, "code": code})


def signed_in(house: House, email: str) -> dict[str, Any]:
    answer = session_by(house, email, control_workos.codes(house.simulator, email)[-1])
    assert answer.status_code == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


def seen(house: House, path: str, token: str) -> TestResponse:
    return house.get(f"/api/guests/{path}", headers={"Authorization": f"Bearer {token}"})


def test_the_code_of_the_first_mail_shows_the_guest_their_own(house: House, email: str, booked: dict[str, Any]) -> None:
    meeting_of(house, f"other-{email}", hour=14)
    session = signed_in(house, email.upper())
    assert datetime.fromisoformat(session["expires_at"]) > datetime.now(UTC)
    expected = {
        "workos_user_id": booked["guest_workos_user_id"],
        "email": email,
        "name": "Mona Meier",
        "organization_id": booked["guest_org_id"],
    }
    assert session["guest"] == expected
    assert seen(house, "me", session["access_token"]).json == {"guest": expected}
    (own,) = seen(house, "me/meetings", session["access_token"]).json["meetings"]
    assert (own["id"], own["status"], own["title"], own["starts_at"]) == (
        booked["id"],
        "confirmed",
        "Meeting",
        booked["starts_at"],
    )
    assert own["practitioner"]["name"] == "Dr Day"
    assert own["price"] == {"amount": 0, "currency": "usd"}


def test_the_wall_holds_when_the_question_is_wrong(house: House, email: str, booked: dict[str, Any]) -> None:
    other = meeting_of(house, f"other-{email}", hour=14)
    with house.db.guest_reads(booked["guest_workos_user_id"]) as session:
        assert [row.id for row in session.query(Meeting.id)] == [booked["id"]]
    token = control_workos.token(house.simulator, other["guest_workos_user_id"])
    (own,) = seen(house, "me/meetings", token).json["meetings"]
    assert own["id"] == other["id"]


def test_a_new_code_is_asked_for_and_mailed_once(house: House, email: str, booked: dict[str, Any]) -> None:
    answer = code_for(house, email)
    assert (answer.status_code, answer.json) == (202, {"status": "accepted"})
    assert len(control_workos.codes(house.simulator, email)) == 1
    (job,) = diary.jobs(house.db, "send_guest_code")
    house.work()
    assert len(control_workos.codes(house.simulator, email)) == 2
    guest_jobs.send_code(house.bench, **job)  # the same job once more, as after a crash
    assert len(control_workos.codes(house.simulator, email)) == 2
    assert signed_in(house, email)


def test_an_unknown_address_gets_the_same_answer_and_no_mail(house: House, email: str, booked: dict[str, Any]) -> None:
    known, unknown = code_for(house, email), code_for(house, f"nobody-{email}")
    assert (known.status_code, known.json) == (unknown.status_code, unknown.json)
    assert list(known.headers.keys()) == list(unknown.headers.keys())
    assert len(diary.jobs(house.db, "send_guest_code")) == 2
    with capture_logs() as lines:
        house.work()
    assert control_workos.codes(house.simulator, f"nobody-{email}") == []
    assert control_workos.users(house.simulator, f"nobody-{email}") == []
    assert "@" not in str(lines)


@pytest.mark.parametrize("known", [True, False])
def test_codes_are_braked_by_address_whether_it_is_known_or_not(
    house: House, email: str, booked: dict[str, Any], known: bool
) -> None:
    wanted = email if known else f"nobody-{email}"
    statuses = [code_for(house, wanted).status_code for _ in range(7)]
    assert statuses == [202] * 5 + [429] * 2
    assert code_for(house, f"x-{wanted}").status_code == 202


def test_codes_are_braked_by_network_but_not_for_the_web_site_beside_us(house: House, email: str) -> None:
    statuses = [code_for(house, f"{number}-{email}", ip="203.0.113.5").status_code for number in range(63)]
    assert statuses == [202] * 61 + [429] * 2
    assert code_for(house, f"x-{email}", ip="203.0.113.6").status_code == 202
    assert code_for(house, f"y-{email}").status_code == 202


def test_guessing_is_braked_and_a_right_code_lets_go(house: House, email: str, booked: dict[str, Any]) -> None:
    code = control_workos.codes(house.simulator, email)[-1]
    wrong = "000000" if code != "000000" else "111111"
    for _ in range(3):
        answer = session_by(house, email, wrong)
        assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in")
    assert session_by(house, email, code).status_code == 200
    assert [session_by(house, email, wrong).status_code for _ in range(6)] == [401] * 5 + [429]
    assert session_by(house, email, code).status_code == 429


def test_a_used_code_opens_nothing(house: House, email: str, booked: dict[str, Any]) -> None:
    signed_in(house, email)
    again = session_by(house, email, control_workos.codes(house.simulator, email)[-1])
    assert (again.status_code, again.json["detail"]) == (401, "This code is wrong, used or too old. Ask for a new one.")


def test_somebody_who_was_known_to_workos_alone(house: House, email: str) -> None:
    known = control_workos.create_user(house.simulator, email=email)
    workos = house.bench.providers.workos
    assert workos is not None
    workos.send_magic_code(email)
    session = signed_in(house, email)
    assert session["guest"]["workos_user_id"] == known["id"]
    assert seen(house, "me", session["access_token"]).json["guest"]["email"] == email
    assert seen(house, "me/meetings", session["access_token"]).json == {"meetings": []}
    assert signed_in_again(house, email)["guest"] == session["guest"]


def signed_in_again(house: House, email: str) -> dict[str, Any]:
    workos = house.bench.providers.workos
    assert workos is not None
    workos.send_magic_code(email)
    return signed_in(house, email)


def test_a_token_of_nobody_here_has_nothing(house: House) -> None:
    token = control_workos.token(house.simulator, "user_01NOBODY")
    assert seen(house, "me", token).status_code == 404
    assert seen(house, "me/meetings", token).json == {"meetings": []}


@pytest.mark.parametrize("path", ["me", "me/meetings"])
def test_what_is_no_token_of_workos_is_refused(house: House, email: str, booked: dict[str, Any], path: str) -> None:
    user_id = booked["guest_workos_user_id"]
    good = control_workos.token(house.simulator, user_id)
    head, body, signature = good.split(".")
    others = [
        "",
        "x.y.z",
        f"{head}.{body}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{control_workos.token(house.simulator, 'user_other').split('.')[1]}.{signature}",
        control_workos.token(house.simulator, user_id, ttl=-10),
        control_workos.token(house.simulator, user_id, issuer="https://evil.example"),
        control.token(house.simulator, user_id),  # Clerk's
    ]
    for token in others:
        answer = seen(house, path, token)
        assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in"), token
    assert seen(house, path, good).status_code == 200


def test_without_workos_the_doors_are_closed(simulator: str, db: Database, email: str) -> None:
    closed = build(simulator, db, workos_client_id="")
    answers = (code_for(closed, email), session_by(closed, email, "123456"), seen(closed, "me", "x.y.z"))
    for answer in answers:
        assert (answer.status_code, answer.json["code"]) == (404, "guest_sign_in_not_configured")


@pytest.mark.parametrize("mode", ["500", "apply-then-drop"])
def test_a_silent_workos_is_said(house: House, email: str, booked: dict[str, Any], mode: str) -> None:
    control.fault(house.simulator, "workos", mode)
    answer = session_by(house, email, control_workos.codes(house.simulator, email)[-1])
    assert answer.status_code == 503
    assert email not in answer.text


def test_codes_and_tokens_are_in_no_log(house: House, email: str, booked: dict[str, Any]) -> None:
    code = control_workos.codes(house.simulator, email)[-1]
    with capture_logs() as lines:
        session = signed_in(house, email)
        seen(house, "me/meetings", session["access_token"])
    assert session["access_token"] not in str(lines)
    assert code not in str(lines)
    assert email not in str(lines)
