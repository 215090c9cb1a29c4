"""Every call of the public description, with what it allows and what it does not: no 5xx, and answers as described."""

from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from admin_app.services.staff import service_keys
from admin_app.simulator import control
from admin_app.simulator.workos import control_workos
from models import Client, Scope
from tests.house import House
from tests.public.test_bookings import ALWAYS
from tests.services.diary import offered, tomorrow
from tests.services.factories import OPERATOR
from views.public import openapi

# Nothing that is made up is signed by a provider, or waits to be claimed.
NOTHING_TO_BE_DONE = {"/api/webhooks/{provider}", "/api/pending-profiles/claim"}
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
    kind = offered(house.db, minutes=60, working_hours=ALWAYS)
    starts_at = tomorrow(house.db.clock())
    email = f"cleo{kind.id}@example.com"
    names = {"client_email": email, "client_name": "Cleo", "guest_email": email, "guest_name": "Cleo"}
    offer = {"practitioner_id": kind.practitioner_id, "session_type_id": kind.id, "timezone": "Europe/Berlin"}
    held = house.post("/api/bookings", json=offer | names | {"starts_at": starts_at.isoformat()}).json
    later = {"starts_at": (starts_at + timedelta(hours=2)).isoformat()}
    met = house.post("/api/meetings", json=offer | names | later).json
    house.work()
    return {
        **offer,
        **names,
        "booking_id": held["booking"]["id"],
        "session_id": held["checkout_url"].rpartition("/")[2],
        "starts_at": (starts_at + timedelta(hours=4)).isoformat(),
        "email": email,
        "code": control_workos.codes(house.simulator, email)[-1],
        "workos_user_id": met["meeting"]["guest_workos_user_id"],
        "client_id": _client(house),
        "forwarding_enabled": True,
        "test_call_detected": True,
    }


def _client(house: House) -> int:
    with house.db.unit_of_work(OPERATOR) as ctx:
        client = Client(name="Fjord Dental")
        ctx.session.add(client)
        ctx.session.flush()
        return client.id


def _service_key(house: House) -> str:
    with house.db.unit_of_work(OPERATOR) as ctx:
        return service_keys.create(ctx, name="made up", scopes=list(Scope), expires_at=None, reason="for the test")[1]


@pytest.fixture
def credentials(house: House, known: dict[str, Any]) -> dict[str, dict[str, str]]:
    """What each way of signing in sends, by its name in the description."""
    person, _ = house.customer("ada@example.com")
    guest = control_workos.token(house.simulator, known["workos_user_id"], ttl=3600)
    return {
        "customer": {"Authorization": f"Bearer {control.token(house.simulator, person, ttl=3600)}"},
        "guest": {"Authorization": f"Bearer {guest}"},
        "serviceKey": {"Authorization": f"Bearer {(key := _service_key(house))}"},
        "serviceKeyHeader": {"X-API-Key": key},
    }


@pytest.mark.parametrize(("method", "path"), CALLS, ids=[f"{method} {path}" for method, path in CALLS])
def test_each_call(
    house: House, known: dict[str, Any], credentials: dict[str, dict[str, str]], method: str, path: str
) -> None:
    described = schemathesis.openapi.from_wsgi("/api/openapi.json", house.app)
    operation = described[path][method]
    headers: dict[str, str] = {}
    done: list[int] = []
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
        response = case.call_and_validate(headers=headers, checks=CHECKS)
        done.append(response.status_code)

    answers_as_described()
    assert path in NOTHING_TO_BE_DONE or min(done) < 300
