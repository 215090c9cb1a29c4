"""A real browser on a really served application with a database of its own."""

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, Request, sync_playwright
from werkzeug.serving import make_server

from admin_app.config import Settings
from admin_app.context import Job
from admin_app.db import Database
from admin_app.factory import create_app
from admin_app.services import staff
from models import Role
from tests.programs import programs

__all__ = ["programs"]

PASSWORD = "glass-kettle-orbit-29"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without these Chromium asks its maker's servers for things at every start.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
ROOT = Path(__file__).resolve().parents[2]
# `make screenshots` draws the README's picture; any other run leaves its pictures aside.
SCREENSHOTS = ROOT / ("docs/images" if os.environ.get("BACKDESK_SCREENSHOTS") else "var/screenshots")


@dataclass
class Site:
    """The served application and what its pages complained about."""

    address: str
    db: Database
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = os.environ.get("BACKDESK_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail("No Chromium was found. Install the system's package (on Debian: apt-get install chromium).")
    with sync_playwright() as playwright:
        yield from _launched(playwright, program)


def _launched(playwright: Playwright, program: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
    yield browser
    browser.close()


@pytest.fixture
def site(real_db: Database) -> Iterator[Site]:
    settings = Settings(_env_file=None, database_url="postgresql://unused", secret_key="s" * 32)
    server = make_server("127.0.0.1", 0, create_app(settings, database=real_db), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with real_db.unit_of_work(Job("tests")) as ctx:
        for role in Role:
            staff.create_staff(ctx, email=f"{role}@demo.test", name=f"Kim {role}", role=role, password=PASSWORD)
    yield Site(f"http://127.0.0.1:{server.server_port}", real_db)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A fresh browser window; at the end nothing may have been reported or printed to its console."""
    context = browser.new_context(base_url=site.address, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    watch(page, site)
    yield page
    context.close()
    assert site.complaints == []


def watch(page: Page, site: Site) -> None:
    """Collect console errors, page errors and reports of the content policy."""

    def reported(request: Request) -> None:
        if request.url.endswith("/csp-reports"):
            site.complaints.append(f"policy: {request.post_data}")

    page.on("console", lambda said: site.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: site.complaints.append(str(error)))
    page.on("request", reported)


def sign_in(page: Page, role: str = "support") -> None:
    page.goto("/login")
    page.get_by_label("E-mail").fill(f"{role}@demo.test")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/")
