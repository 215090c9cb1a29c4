"""Whatever fails, and however: the whole output of the web server's processes names nobody and quotes nothing."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.services.core import audit
from tests.faults.database_house import EMAIL, PASSWORD, SHORT, add_administrator
from tests.faults.database_proxy import DatabaseProxy
from tests.house import free_port
from tests.programs import ROOT, wait_for
from tests.services.factories import OPERATOR

# In what is sent, each in its place; none may come out.
QUERY, BODY, COOKIE, ROW = "needlequery", "needlebody", "needlecookie", "needlerow"
NEEDLES = (QUERY, BODY, COOKIE, ROW, PASSWORD, EMAIL)


@dataclass
class Server:
    url: str
    database: str
    proxy: DatabaseProxy
    log: Path

    def ask(self, method: str, path: str, **options: object) -> httpx.Response:
        cookies = {"backdesk_session": COOKIE * 4, "__session": COOKIE}
        with httpx.Client(cookies=cookies, timeout=30) as caller:
            return caller.request(method, f"{self.url}{path}", **options)  # type: ignore[arg-type]

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(statement.encode())

    def output(self) -> str:
        return self.log.read_text()


@pytest.fixture
def server(fresh_database_url: str, tmp_path: Path) -> Iterator[Server]:
    database = Database.from_settings(Settings(_env_file=None, database_url=fresh_database_url, secret_key="s" * 32))
    add_administrator(database)
    with database.unit_of_work(OPERATOR) as ctx:
        audit.record(ctx, "staff.password_changed", records=["staff:1"], reason=ROW, facts={"sessions_ended": 0})
    database.dispose()
    port, log = free_port(), tmp_path / "log"
    with DatabaseProxy(fresh_database_url) as proxy, log.open("wb") as output:
        given = {name.upper(): str(value) for name, value in SHORT.items()}
        given |= {"DATABASE_URL": proxy.url, "SECRET_KEY": "s" * 32, "SERVICE_API_KEY": "k" * 40}
        command = [sys.executable, "-W", "default", "-m", "gunicorn", "wsgi:app", "--bind", f"127.0.0.1:{port}"]
        process = subprocess.Popen(
            [*command, "--threads", "4", "--graceful-timeout", "1"],
            cwd=ROOT,
            env=os.environ | given,
            stdout=output,
            stderr=output,
        )
        try:
            place = Server(f"http://127.0.0.1:{port}", fresh_database_url, proxy, log)
            wait_for(lambda: _is_up(place.url), place.url)
            yield place
        finally:
            process.terminate()
            process.wait(timeout=20)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def raw(url: str, request: bytes) -> bytes:
    place = urlsplit(url)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as caller:
        caller.sendall(request)
        return caller.recv(65536)


def ask_everything(server: Server) -> list[int]:
    form = {"email": f"{BODY}@example.com", "password": BODY, "q": BODY, "token": BODY}
    key = {"Authorization": "Bearer " + "k" * 40}
    asked = [
        server.ask("GET", f"/claim?token={QUERY}"),
        server.ask("POST", f"/claim?token={QUERY}", data=form),
        server.ask("GET", f"/admin/clients/?q={QUERY}"),
        server.ask("GET", f"/login?next=/{QUERY}"),
        server.ask("POST", f"/login?next=/{QUERY}", data=form),
        server.ask("POST", f"/api/pending-profiles/claim?{QUERY}", json=form),
        server.ask("POST", f"/api/webhooks/whop?{QUERY}", json=form),
        server.ask("GET", f"/api/clients/resolve?phone={QUERY}", headers=key),
        server.ask("GET", f"/api/availability?{QUERY}", params={"session_type_id": 1}),
        server.ask("GET", f"/{QUERY}?{QUERY}"),
    ]
    for answer in asked:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not any(needle in answer.text for needle in NEEDLES) or answer.status_code < 500
    return [answer.status_code for answer in asked]


def test_nothing_that_was_sent_or_kept_comes_out(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as staff:
        signed_in = staff.get("/login").text.partition('name="csrf_token" value="')[2].partition('"')[0]
        fields = {"csrf_token": signed_in, "email": EMAIL, "password": PASSWORD}
        assert staff.post("/login", data=fields).status_code == 303
        assert ROW in staff.get("/admin/audit-entries/").text

        server.proxy.reset()
        ask_everything(server)
        server.proxy.refuse()
        assert 503 in ask_everything(server)
        assert staff.get(f"/admin/audit-entries/?record={QUERY}").status_code == 503
        server.proxy.mend()
        server.proxy.hang()
        assert staff.get(f"/admin/audit-entries/?record={QUERY}").status_code == 503
        server.proxy.mend()
        # Now it answers, but with errors that quote what they were given.
        server.execute("ALTER TABLE staff_sessions RENAME COLUMN last_seen_at TO seen_at")
        server.execute("ALTER TABLE pending_profiles RENAME COLUMN token TO link_token")
        server.execute("ALTER TABLE audit_entries RENAME COLUMN reason TO because")
        assert 500 in ask_everything(server)
        assert staff.get(f"/admin/audit-entries/?record={QUERY}").status_code == 500

    for request in (
        f"GET /claim?token={QUERY} HTTP/9.9\r\n\r\n",
        f"G{QUERY}=\x01 / HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\n{COOKIE} : {COOKIE}\r\nHost: x\r\n\r\n",
        f"POST /login?{QUERY} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{BODY}\r\n{BODY}",
    ):
        raw(server.url, request.encode())

    output = server.output()
    assert '"event": "unforeseen"' in output
    assert '"event": "database failed"' in output
    assert {needle: needle in output for needle in NEEDLES} == dict.fromkeys(NEEDLES, False)
    assert "SELECT" not in output
    assert "Traceback" not in output
