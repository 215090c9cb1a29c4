"""What holds for every page of the console: checked on each page that any test here opens."""

from typing import Any
from urllib.parse import urlsplit

import html5lib
from bs4 import BeautifulSoup, Tag
from bs4.builder._html5lib import HTML5TreeBuilder
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from views.security import CSP

HANDLERS = ("onclick", "onsubmit", "onchange", "onload", "onerror", "onfocus", "onkeydown")
REFERENCES = ("aria-labelledby", "aria-describedby", "aria-controls", "for")


class CheckedClient(FlaskClient):
    """A client that checks every page it is given."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        # Static files would otherwise stay open until they are collected.
        response = super().open(*args, **{"buffered": True, **kwargs})
        ours = response.headers.get("Content-Security-Policy") == CSP
        if ours and response.mimetype == "text/html" and response.data and response.status_code not in range(300, 400):
            check_page(response)
        return response


def check_page(response: TestResponse) -> None:
    """Valid, one heading that begins the title, labelled, without anything that the content policy would stop."""
    page = _Page(response.text)
    _check_headings(page)
    _check_references(page)
    _check_fields(page)
    _check_policy(page)
    assert response.headers["Cache-Control"] == "no-store"
    assert len(response.headers["X-Request-Id"]) == 32


class _Strict(HTML5TreeBuilder):
    """Of valid HTML only: Beautiful Soup's own takes any, and a parser beside it would read the page twice."""

    def feed(self, markup: Any) -> None:
        parser = html5lib.HTMLParser(tree=self.create_treebuilder, strict=True)
        assert self.underlying_builder is not None
        self.underlying_builder.parser = parser
        parser.parse(markup)


class _Page:
    """A valid page, parsed and walked through once: every page of every test is."""

    def __init__(self, text: str) -> None:
        self.soup = BeautifulSoup(text, builder=_Strict())
        self.elements = [found for found in self.soup.descendants if isinstance(found, Tag)]
        self._named: dict[str, list[Tag]] = {}
        for element in self.elements:
            self._named.setdefault(element.name, []).append(element)

    def named(self, *names: str) -> list[Tag]:
        return [element for name in names for element in self._named.get(name, ())]

    def having(self, attribute: str) -> list[Tag]:
        return [element for element in self.elements if attribute in element.attrs]


def _check_headings(page: _Page) -> None:
    headings = page.named("h1")
    assert len(headings) == 1, "a page has one h1"
    assert page.soup.title is not None
    title = page.soup.title.get_text().removeprefix("Error: ")
    assert title.startswith(headings[0].get_text().strip()), "the title begins with the heading"
    assert [html["lang"] for html in page.named("html")] == ["en"]
    assert len(page.named("main")) == 1


def _check_references(page: _Page) -> None:
    ids = [element["id"] for element in page.having("id")]
    assert len(ids) == len(set(ids)), f"ids are unique: {ids}"
    for attribute in REFERENCES:
        for element in page.having(attribute):
            missing = set(str(element[attribute]).split()) - set(ids)
            assert not missing, f"{attribute} points nowhere: {missing}"
    for link in page.named("a"):
        if (target := link.get("href")) is None:
            continue
        assert target != "#"
        assert not target.startswith("javascript:")
        if target.startswith("#"):
            assert target[1:] in ids
        assert named(link), f"a link without a name: {link}"


def _check_fields(page: _Page) -> None:
    labelled = {label["for"] for label in page.named("label") if "for" in label.attrs}
    for field in page.named("input", "select", "textarea"):
        if field.get("type") == "hidden":
            continue
        assert field.get("id") in labelled or field.find_parent("label") or field.get("aria-label"), str(field)
    for button in page.named("button"):
        assert named(button), f"a button without a name: {button}"
    for form in page.named("form"):
        if form.get("method") != "post":
            continue
        assert urlsplit(form["action"]).netloc == ""
        assert form.find("input", attrs={"name": "csrf_token"}), "a form that posts carries its token"
        if form.find("input", attrs={"name": "fingerprint"}) and form.select("table.plan tbody tr"):
            assert form.find("input", attrs={"name": "was_shown"}), "a plan's form carries what it shows"
    for image in page.named("img"):
        assert image.has_attr("alt")


def _check_policy(page: _Page) -> None:
    assert not page.named("style")
    assert not page.having("style")
    for script in page.named("script"):
        assert script["src"].startswith("/static/")
        assert not script.get_text().strip()
    for handler in HANDLERS:
        assert not page.having(handler)


def named(element: Tag) -> bool:
    return bool(element.get("aria-label") or element.get_text().strip() or element.find("img", alt=True))
