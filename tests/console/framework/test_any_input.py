"""Every form of the console takes whatever is typed into it: a page or a refusal in a sentence, never a fault of ours.

The forms are found by going through the console as an administrator and each of their fields is filled in turn, the
others as the page itself offers them.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag

from admin_app.context import Job
from admin_app.db import Database
from models import Role
from tests.console.conftest import counted_queries
from tests.console.framework.test_links import kind_of, links_of
from tests.console.rows import one_of_everything
from tests.outside import FAR_DAYS, FAR_LOCAL_TIMES, FAR_NUMBERS
from tests.services.clients.flags import add_client

NASTY_TEXTS = ("\u202e", "\ud800".encode("utf-8", "surrogatepass"), "x" * 5000, "' OR 1=1 --", "%00", "{{ 7*7 }}")
# One of a group, for the same form stands on many pages.
WEEKS = ("9999-W52", "0001-W01", "99999999999999999999-W1")
NEVER = re.compile(r"/admin/my-account/sessions|/logout")
TRIED = 1
FILLED = {"reason": "Looked at it", "note": "Looked at it"}


@dataclass(frozen=True)
class Form:
    method: str
    address: str
    values: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, str], ...]

    @property
    def kind(self) -> tuple[object, ...]:
        return self.method, re.sub(r"\d+", "N", urlsplit(self.address).path), tuple(name for name, _ in self.fields)


def forms_of(html: str, address: str) -> Iterator[Form]:
    for form in BeautifulSoup(html, "html5lib").find_all("form"):
        fields = [field for field in form.find_all(["input", "select", "textarea"]) if field.get("name")]
        values = tuple((str(field["name"]), _value(field)) for field in fields if _is_sent(field))
        open_to = tuple(
            (str(field["name"]), str(field.get("type", "text"))) for field in fields if field["name"] != "csrf_token"
        )
        target = urljoin(address, str(form.get("action") or address))
        yield Form(str(form.get("method", "get")).upper(), target, values, tuple(dict.fromkeys(open_to)))


def _is_sent(field: Tag) -> bool:
    return field.get("type") not in {"checkbox", "radio"} or field.has_attr("checked")


def _value(field: Tag) -> str:
    if field.name == "textarea":
        return field.get_text() or FILLED.get(str(field["name"]), "")
    if field.name == "select":
        chosen = field.find("option", selected=True) or field.find("option")
        return str(chosen.get("value", "")) if isinstance(chosen, Tag) else ""
    return str(field.get("value", "")) or FILLED.get(str(field["name"]), "")


def nasty_for(name: str, kind: str) -> tuple[Any, ...]:
    if kind == "datetime-local" or name in {"until", "since", "expires_at", "from", "to", "before", "after"}:
        return FAR_LOCAL_TIMES + FAR_DAYS[:2]
    if kind in {"date", "month", "week"} or name in {"day", "week", "last", "month"}:
        return FAR_DAYS + WEEKS
    if kind in {"number", "hidden"} or name in {"amount", "price", "minutes", "credits", "practitioner", "key"}:
        return FAR_NUMBERS
    return (*NASTY_TEXTS, FAR_NUMBERS[7], FAR_LOCAL_TIMES[4])


def every_form(client: Any) -> list[Form]:
    """One form of each kind, with the pages that the forms by GET lead to."""
    seen, waiting, found = {kind_of("/admin/")}, deque(["/admin/"]), {}
    while waiting:
        address = waiting.popleft()
        answer = client.get(address, follow_redirects=True)
        if answer.mimetype != "text/html" or answer.status_code != 200:
            continue
        for form in forms_of(answer.text, address):
            found.setdefault(form.kind, form)
        for link in sorted(links_of(answer.text, address)):
            if kind_of(link) not in seen and not link.startswith("/static"):
                seen.add(kind_of(link))
                waiting.append(link)
    return list(found.values())


def tries(form: Form, turn: int) -> Iterator[list[tuple[str, Any]]]:
    """Each field with some of its nasty values, another choice for each form, so that all of them have their turn."""
    for place, (name, kind) in enumerate(form.fields):
        kept = [(other, value) for other, value in form.values if other != name]
        nasty = nasty_for(name, kind)
        for step in range(TRIED):
            yield [*kept, (name, nasty[(TRIED * (turn + place) + step) % len(nasty)])]


def send(client: Any, form: Form, values: list[tuple[str, Any]]) -> Any:
    path = urlsplit(form.address).path
    if form.method == "GET":
        return client.get(f"{path}?{urlencode(values)}")
    query = urlsplit(form.address).query
    body = urlencode(values)
    return client.post(
        f"{path}?{query}" if query else path, data=body, content_type="application/x-www-form-urlencoded"
    )


def test_every_form_takes_whatever_is_typed(db: Database, client_for: Callable[[Role], Any]) -> None:
    with db.unit_of_work(Job("tests")) as ctx:
        one_of_everything(ctx.session)
    client = client_for(Role.ADMIN)
    forms = [form for form in every_form(client) if not NEVER.search(form.address)]
    assert len(forms) > 40
    faults, sent = [], 0
    for turn, form in enumerate(forms):
        for values in tries(form, turn):
            outer = db.engine.begin_nested()
            answer = send(client, form, values)
            outer.rollback()
            sent += 1
            if answer.status_code >= 500:
                name, nasty = values[-1]
                faults.append(f"{form.method} {form.address} {name}={str(nasty)[:40]!r}: {answer.status_code}")
    assert sent > 150
    assert faults == []


def test_a_far_date_costs_no_more_than_a_near_one(db: Database, client_for: Callable[[Role], Any]) -> None:
    """Counted, because a clock says more about the machine than about the page."""
    client, number = client_for(Role.OPS), add_client(db)
    address = f"/admin/clients/{number}/switches/outbound_paused/on"
    form = {"starts": "now", "since": "", "ends": "at", "on_expiry": "lift", "tell_email": "", "tell_before": "60"}
    near = (db.clock() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    asked = {}
    for until in (near, *FAR_LOCAL_TIMES):
        with counted_queries(db) as statements:
            answer = client.get(address, query_string=form | {"until": until})
        assert answer.status_code == (200 if until == near else 422), until
        asked[until] = len(statements)
    assert max(asked.values()) == asked[near]
