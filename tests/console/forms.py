"""The forms of the console's pages, sent as a browser would send them."""

import re

from tests.console.page_checks import CheckedClient


def form_on(client: CheckedClient, page: str, **asked: str) -> dict[str, str]:
    """What the act's form carries along."""
    found = client.get(page, query_string=asked or None).text
    form = found[found.index('method="post" action="/admin/') :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
