"""What holds for every page of the console: checked on each page that any test here opens."""

from typing import Any
from urllib.parse import urlsplit

import html5lib
from bs4 import BeautifulSoup, Tag
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
    html5lib.HTMLParser(strict=True).parse(response.text)
    page = BeautifulSoup(response.text, "html5lib")
    _check_headings(page)
    _check_references(page)
    _check_fields(page)
    _check_policy(page)
    assert response.headers["Cache-Control"] == "no-store"
    assert len(response.headers["X-Request-Id"]) == 32


def _check_headings(page: BeautifulSoup) -> None:
    headings = page.find_all("h1")
    assert len(headings) == 1, "a page has one h1"
    assert page.title is not None
    title = page.title.get_text().removeprefix("Error: ")
    assert title.startswith(headings[0].get_text().strip()), "the title begins with the heading"
    assert page.html is not None
    assert page.html["lang"] == "en"
    assert len(page.find_all("main")) == 1


def _check_references(page: BeautifulSoup) -> None:
    ids = [element["id"] for element in page.find_all(id=True)]
    assert len(ids) == len(set(ids)), f"ids are unique: {ids}"
    for attribute in REFERENCES:
        for element in page.find_all(attrs={attribute: True}):
            missing = set(str(element[attribute]).split()) - set(ids)
            assert not missing, f"{attribute} points nowhere: {missing}"
    for link in page.find_all("a", href=True):
        assert link["href"] != "#"
        assert not link["href"].startswith("javascript:")
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids
        assert named(link), f"a link without a name: {link}"


def _check_fields(page: BeautifulSoup) -> None:
    labelled = {label["for"] for label in page.find_all("label", attrs={"for": True})}
    for field in page.find_all(["input", "select", "textarea"]):
        if field.get("type") == "hidden":
            continue
        assert field.get("id") in labelled or field.find_parent("label") or field.get("aria-label"), str(field)
    for button in page.find_all("button"):
        assert named(button), f"a button without a name: {button}"
    for form in page.find_all("form", method="post"):
        assert urlsplit(form["action"]).netloc == ""
        assert form.find("input", attrs={"name": "csrf_token"}), "a form that posts carries its token"
        if form.find("input", attrs={"name": "fingerprint"}) and form.select("table.plan tbody tr"):
            assert form.find("input", attrs={"name": "was_shown"}), "a plan's form carries what it shows"
    for image in page.find_all("img"):
        assert image.has_attr("alt")


def _check_policy(page: BeautifulSoup) -> None:
    assert not page.find_all("style")
    assert not page.find_all(style=True)
    for script in page.find_all("script"):
        assert script["src"].startswith("/static/")
        assert not script.get_text().strip()
    for handler in HANDLERS:
        assert not page.find_all(attrs={handler: True})


def named(element: Tag) -> bool:
    return bool(element.get("aria-label") or element.get_text().strip() or element.find("img", alt=True))
