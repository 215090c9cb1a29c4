"""Every section as every role: its list, its records, its search and filters, and how often it asks the database."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from admin_app.db import Database
from admin_app.policies.permissions import GRANTS
from models import AuditEntry, Role, StaffMember, StaffSession
from tests.console.conftest import SETUP, counted_queries
from tests.console.page_checks import CheckedClient
from tests.console.rows import one_of_everything
from views.console.clients.clients import PANELS
from views.console.framework.base import ConsoleModelView
from views.console.pages import SECTIONS

ClientFor = Callable[[Role], CheckedClient]
BY_NAME: dict[str, type[ConsoleModelView]] = {view.listing.section: view for view in SECTIONS}
LARGEST_PAGE = 60 * 1024
# Panels beyond the first, with a query each.
MORE_PARTS = {"clients": len(PANELS) - 1}


@pytest.fixture
def keys(app: Flask, db: Database, client_for: ClientFor) -> dict[str, Any]:
    client_for(Role.ADMIN)
    with db.unit_of_work(SETUP) as ctx:
        found = one_of_everything(ctx.session)
        for name, model in (("staff", StaffMember), ("staff-sessions", StaffSession), ("audit-entries", AuditEntry)):
            found[name] = ctx.session.query(model.id).order_by(model.id.desc()).limit(1).scalar()
    assert set(found) == set(BY_NAME), "one record of every section"
    return found


@pytest.mark.parametrize("role", list(Role))
def test_each_role_opens_exactly_what_it_may_read(role: Role, keys: dict[str, Any], client_for: ClientFor) -> None:
    client = client_for(role)
    for name, view in BY_NAME.items():
        may = view.permissions["index_view"] in GRANTS[role]
        own = view.listing.own
        is_there = own is None or own[1] in GRANTS[role]
        for address, found in ((f"/admin/{name}/", True), (f"/admin/{name}/{keys[name]}", is_there)):
            response = client.get(address)
            assert response.status_code == ((200 if found else 404) if may else 403), address
            assert len(response.data) < LARGEST_PAGE
        assert (f'href="/admin/{name}/"' in client.get("/admin/").text) is may


def test_hostile_texts_are_shown_as_texts(keys: dict[str, Any], client_for: ClientFor) -> None:
    client = client_for(Role.ADMIN)
    for name, key in keys.items():
        for address in (f"/admin/{name}/", f"/admin/{name}/{key}"):
            text = client.get(address).text
            assert "<b onclick" not in text
            assert "<script>alert" not in text


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_list_asks_once_for_its_rows(name: str, keys: dict[str, Any], client_for: ClientFor, db: Database) -> None:
    client = client_for(Role.ADMIN)
    with counted_queries(db) as statements:
        client.get(f"/admin/{name}/")
    # Who is asking, and the rows.
    assert len(statements) <= 2, statements


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_record_asks_once_per_part(name: str, keys: dict[str, Any], client_for: ClientFor, db: Database) -> None:
    view = BY_NAME[name]
    if not hasattr(view, "record"):
        return
    client = client_for(Role.ADMIN)
    with counted_queries(db) as statements:
        client.get(f"/admin/{name}/{keys[name]}")
    # Who is asking, the record, each related list, the history, and what its template adds.
    assert len(statements) <= 4 + len(view.record.related) + MORE_PARTS.get(name, 0), statements


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_filter_and_sort_answers(name: str, keys: dict[str, Any], client_for: ClientFor) -> None:
    client = client_for(Role.ADMIN)
    listing = BY_NAME[name].listing
    wishes = [f"sort={sign}{sort}" for sort in listing.sorts for sign in ("", "-")]
    for narrowing in listing.filters:
        values = {
            "choice": getattr(narrowing, "words", ()),
            "yes_no": ("yes", "no"),
            "days": ("2026-03-01",),
            "month": ("2026-03",),
            "exactly": ("1",),
            "one_of": tuple(getattr(narrowing, "options", ())),
        }[narrowing.shape]
        wishes += [f"{argument}={value}" for argument in narrowing.arguments for value in values]
    for wish in wishes:
        response = client.get(f"/admin/{name}/?{wish}")
        assert response.status_code == 200, wish
        assert 'class="note note-warn"' not in response.text, wish


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_record_that_is_not_there_is_a_sentence(name: str, keys: dict[str, Any], client_for: ClientFor) -> None:
    client = client_for(Role.ADMIN)
    for key in ("999999999", "0", "-1", "1,2", "99999999999999999999", "%20", "nul%ff", "a%2Fb", "'--"):
        response = client.get(f"/admin/{name}/{key}")
        assert response.status_code == 404, key
        assert "<h1>Nothing here</h1>" in response.text
