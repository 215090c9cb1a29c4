"""Every link of the console leads somewhere: one of each kind is followed from the first page on."""

from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup

from admin_app.context import Job
from admin_app.db import Database
from models import Role
from tests.console.rows import one_of_everything


def kind_of(address: str) -> tuple[str, ...]:
    """Links that differ only in the values of their query are one kind."""
    part = urlsplit(address)
    return part.path, *sorted(parse_qs(part.query))


def links_of(html: str, address: str) -> set[str]:
    """Addresses on this site that the page links to, in the order-free form that is followed once."""
    found = (urljoin(address, str(link["href"])) for link in BeautifulSoup(html, "html.parser").find_all(href=True))
    parts = (urlsplit(link) for link in found)
    return {
        f"{part.path}?{part.query}" for part in parts if not part.netloc and part.path.startswith(("/admin", "/static"))
    }


# Those who see the most and the least.
@pytest.mark.parametrize("role", [Role.ADMIN, Role.OPS])
def test_every_link_leads_somewhere(role: Role, db: Database, client_for: Callable[[Role], Any]) -> None:
    with db.unit_of_work(Job("tests")) as ctx:
        one_of_everything(ctx.session)
    client = client_for(role)
    seen, waiting = {kind_of("/admin/")}, deque(["/admin/"])
    while waiting:
        address = waiting.popleft()
        answer = client.get(address)
        if answer.status_code == 302 and answer.location.startswith("/admin/"):
            # A short name of another page of the console; that one has to answer.
            waiting.append(answer.location)
            answer.close()
            continue
        assert answer.status_code == 200, f"{address} answered {answer.status_code}"
        if answer.mimetype == "text/html":
            for link in sorted(links_of(answer.text, address)):
                if kind_of(link) not in seen:
                    seen.add(kind_of(link))
                    waiting.append(link)
        answer.close()
    assert len(seen) > 50
