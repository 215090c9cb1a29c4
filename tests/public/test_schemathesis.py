"""Every call of the public description, with what it allows and what it does not: no 5xx, and answers as described."""

from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from admin_app.simulator import control
from tests.house import House
from tests.services.schedule import add_practitioner, add_session_type
from views.public import openapi

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
CALLS = [(method, path) for path, item in openapi.build()["paths"].items() for method in item if method != "parameters"]
BOUNDED = settings(
    max_examples=50,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def known(house: House) -> dict[str, Any]:
    """Values under which there is something; nothing that is made up hits upon them."""
    house.db.clock = lambda: NOW
    practitioner = add_practitioner(house.db)
    kind = add_session_type(house.db, practitioner)
    return {
        "provider": "whop",
        "practitioner_id": practitioner.id,
        "session_type_id": kind.id,
        "starts_at": "2027-03-03T09:00:00+01:00",
    }


@pytest.fixture
def credentials(house: House) -> dict[str, dict[str, str]]:
    """What each way of signing in sends, by its name in the description."""
    person, _ = house.customer("ada@example.com")
    return {"customer": {"Authorization": f"Bearer {control.token(house.simulator, person, ttl=3600)}"}}


@pytest.mark.parametrize(("method", "path"), CALLS, ids=[f"{method} {path}" for method, path in CALLS])
def test_each_call(
    house: House, known: dict[str, Any], credentials: dict[str, dict[str, str]], method: str, path: str
) -> None:
    described = schemathesis.openapi.from_wsgi("/api/openapi.json", house.app)
    operation = described[path][method]
    headers: dict[str, str] = {}
    for choice in openapi.build()["paths"][path][method].get("security", ()):
        for way in choice:
            headers |= credentials[way]
    allowed = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    not_allowed = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @BOUNDED
    @given(case=allowed | not_allowed, hits=st.booleans())
    def answers_as_described(case: schemathesis.Case, hits: bool) -> None:
        if hits:
            for part in (case.path_parameters, case.query, case.body):
                if isinstance(part, dict):
                    part |= {name: value for name, value in known.items() if name in part}
        case.call_and_validate(headers=headers, checks=CHECKS)

    answers_as_described()
