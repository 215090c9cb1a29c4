"""The doors for programs that watch and describe the product: health, metrics, OpenAPI."""

import re

import pytest
from flask import request
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy import create_engine, text

from admin_app.db import Database
from tests.house import House, build, settings_for
from tests.integrations.signing import events
from tests.services.factories import OPERATOR
from views.public.openapi import build as openapi

PAGES = {"/claim", "/booking"}  # for people; and /metrics is for the machine itself
NOT_DESCRIBED = PAGES | {"/metrics"}


def test_health_is_fine(house: House) -> None:
    answer = house.get("/health")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_health_names_the_migrations(house: House) -> None:
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = house.get("/health")
    assert (answer.status_code, answer.json) == (503, {"status": "failing", "failing": ["migrations"]})


def test_health_of_a_database_that_was_never_migrated(simulator: str, empty_database_url: str) -> None:
    engine = create_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg://"))
    house = build(simulator, Database(engine))
    assert house.get("/health").json == {"status": "failing", "failing": ["migrations"]}
    engine.dispose()


def test_health_names_the_database(simulator: str) -> None:
    house = build(simulator, Database(create_engine("postgresql+psycopg://nobody:secret@127.0.0.1:1/none")))
    answer = house.get("/health")
    assert (answer.status_code, answer.json) == (503, {"status": "failing", "failing": ["database"]})
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "path", ["/api/webhooks/whop", "/api/webhooks/clerk", "/api/profiles/sign-in", "/api/pending-profiles/claim"]
)
def test_without_the_database_every_door_says_so(simulator: str, path: str) -> None:
    """503 and not 200: a provider tries again."""
    house = build(simulator, Database(create_engine("postgresql+psycopg://nobody:secret@127.0.0.1:1/none")))
    raw = events("whop" if "whop" in path else "clerk")[1].read_bytes()
    _, token = house.customer("outage@example.com")
    if "webhooks" in path:
        answer = house.whop(raw) if "whop" in path else house.clerk(raw)
    else:
        answer = house.post(path, token=token, json={"email": "outage@example.com"})
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert answer.content_type == "application/problem+json"


def test_when_every_connection_is_in_use_the_doors_say_so(simulator: str, fresh_database_url: str) -> None:
    url = settings_for(simulator, database_url=fresh_database_url).sqlalchemy_url
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    house = build(simulator, Database(engine))
    with engine.connect():
        answer = house.whop(events("whop")[1].read_bytes())
        assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
        assert house.get("/health").status_code == 503
    assert house.whop(events("whop")[1].read_bytes()).status_code == 200
    engine.dispose()


def test_metrics_count_what_is_unfinished(house: House) -> None:
    house.whop(events("whop")[0].read_bytes())
    told = house.get("/metrics").text
    assert 'backdesk_inbox_events{state="received"} 1.0' in told
    assert 'backdesk_jobs{state="todo"} 1.0' in told
    assert 'backdesk_inbox_events{state="parked"} 0.0' in told


@pytest.mark.parametrize(
    "caller",
    [
        {"environ_base": {"REMOTE_ADDR": "10.0.0.7"}},
        {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}},
        {"environ_base": {"REMOTE_ADDR": ""}},
        {"headers": {"X-Forwarded-For": "203.0.113.9"}},
        {"headers": {"Forwarded": "for=203.0.113.9"}},
    ],
)
def test_metrics_are_for_this_machine_only(house: House, caller: dict[str, dict[str, str]]) -> None:
    answer = house.get("/metrics", **caller)
    assert answer.status_code == 404
    assert "backdesk_" not in answer.text


def test_the_description_is_valid_and_complete(house: House) -> None:
    document = house.get("/api/openapi.json").json
    assert document == openapi()
    OpenAPIV31SpecValidator(document).validate()
    served = {
        (re.sub(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in house.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if house.app.view_functions[rule.endpoint].__module__.startswith("views.public")
    }
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert {(path, method) for path, method in served if path not in NOT_DESCRIBED} == described


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
@pytest.mark.parametrize("path", ["/api/webhooks/whop", "/api/profiles/sign-in", "/api/pending-profiles/claim"])
def test_other_methods_are_refused(house: House, path: str, method: str) -> None:
    answer = getattr(house.app.test_client(), method)(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "OPTIONS, POST") or "POST" in answer.headers["Allow"]
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(("proxies", "seen"), [(0, "127.0.0.1"), (1, "203.0.113.7"), (2, "198.51.100.4")])
def test_only_trusted_proxies_say_who_calls(simulator: str, db: Database, proxies: int, seen: str) -> None:
    house = build(simulator, db, trusted_proxies=proxies)
    house.app.add_url_rule("/who", view_func=lambda: str(request.remote_addr))
    assert house.get("/who", headers={"X-Forwarded-For": "198.51.100.4, 203.0.113.7"}).text == seen
