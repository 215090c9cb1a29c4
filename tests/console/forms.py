"""The forms of the console's pages, sent as a browser would send them."""

import re
from html import unescape

from bs4 import BeautifulSoup, Tag

from tests.console.page_checks import CheckedClient


def form_on(client: CheckedClient, page: str, /, **asked: str) -> dict[str, str]:
    """What the act's form carries along."""
    found = client.get(page, query_string=asked or None).text
    form = found[found.index('method="post" action="/admin/') :]
    carried = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in carried}


def form_of(client: CheckedClient, address: str) -> dict[str, str]:
    """Every field of the page's form as a browser would send it."""
    return fields_of(client.get(address).text)


def fields_of(html: str) -> dict[str, str]:
    form = BeautifulSoup(html, "html5lib").select_one("main form[method=post]")
    assert isinstance(form, Tag)
    found = {str(field["name"]): str(field.get("value", "")) for field in form.select("input[name]")}
    for area in form.select("textarea[name]"):
        found[str(area["name"])] = area.get_text()
    for choice in form.select("select[name]"):
        chosen = choice.select_one("option[selected]") or choice.select_one("option")
        found[str(choice["name"])] = str(chosen["value"]) if chosen else ""
    return found


def plan_of(client: CheckedClient, address: str) -> dict[str, str]:
    """What the plan's form would send: the last form of the page that posts."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return fields_of(answer.text)
