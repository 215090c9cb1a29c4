"""Whatever comes in at the doors of meetings and guests gets a 4xx with a sentence, and nobody is registered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Guest
from tests.house import House
from tests.public.test_any_input import FUZZ, TEXTS, VALUES

ANYTHING = st.one_of(TEXTS, VALUES)
NAMES = ("practitioner_id", "session_type_id", "starts_at", "guest_name", "guest_email", "timezone", "email", "code")
BODIES = st.one_of(VALUES, st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ANYTHING)))


@pytest.mark.parametrize("path", ["/api/meetings", "/api/guests/session"])
@FUZZ
@given(body=BODIES)
def test_bodies(house: House, path: str, body: Any) -> None:
    answer = house.post(path, data=json.dumps(body), content_type="application/json")
    assert 400 <= answer.status_code < 500
    assert answer.content_type == "application/problem+json"
    assert answer.json["detail"].endswith(".")
    with house.db.read_only() as session:
        assert session.query(Guest).count() == 0


@FUZZ
@given(header=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=200))
def test_authorization_headers(house: House, header: str) -> None:
    for given_header in (header, f"Bearer {header}", f"bearer {header}.{header}.{header}"):
        answer = house.get("/api/guests/me", headers={"Authorization": given_header})
        assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in")
