"""Lists as files: the rows of the list in its order, who may take them, and what is kept of who took what."""

import io
import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import text, update
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from admin_app.context import Job, Staff
from admin_app.db import Database
from admin_app.errors import Forbidden
from admin_app.services.core import exports
from admin_app.services.core.exports import Wanted
from models import AuditEntry, Export, ExportChunk, ExportFormat, ExportState, Refund, Role, StaffMember
from tests.console.conftest import SETUP, form_token
from tests.console.framework.test_lists import add_bookings
from tests.console.page_checks import CheckedClient
from tests.console.rows import one_of_everything
from tests.services.core.test_table_files import read_csv, read_xlsx
from views.console import pages
from views.console.bookings.bookings import BookingsView
from views.console.framework.current_staff import Viewer, zone_of
from views.console.framework.listing import fetch_page, read_query
from views.console.pages import SECTIONS

ClientFor = Callable[[Role], CheckedClient]
LISTS = pages.lists()
ZONE = "Europe/Amsterdam"


def wanted(section: str, query: str = "", form: ExportFormat = ExportFormat.CSV) -> Wanted:
    return Wanted(section, tuple(parse_qsl(query)), form, ZONE)


def export(client: CheckedClient, address: str, form: str = "csv") -> TestResponse:
    """The answer to the list's own button."""
    page = BeautifulSoup(client.get(address).text, "html5lib")
    found = page.find("form", class_="export")
    assert found is not None
    token = form_token(client, "/admin/my-account/")
    return client.post(str(found["action"]), data={"csrf_token": token, "format": form})


def reader(session: Session, role: Role) -> Staff:
    member = StaffMember(email=f"{role}@reader.example", name="R", role=role, password_hash="none")
    session.add(member)
    session.flush()
    return Staff(member.id, member.email, role)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sort=starts",
        "sort=-starts",
        "status=pending",
        "q=client.1",
        "starts_from=2026-01-06&sort=starts",
        "q=nobody",
    ],
)
def test_the_rows_are_those_of_the_list(db: Database, query: str) -> None:
    with db.unit_of_work(SETUP) as ctx:
        add_bookings(ctx.session, 60)
        person = reader(ctx.session, Role.OPS)
        viewer = Viewer(person, "R", zone_of(ZONE))
        spec = BookingsView.listing
        listed: list[str] = []
        address: str | None = f"?{query}&size=25"
        while address:
            args = MultiDict(parse_qsl(urlsplit(address).query))
            page = fetch_page(ctx.session, read_query(spec, args, viewer), viewer)
            listed += [row[0].text for row in page.rows]
            address = page.next
        table = LISTS.table(ctx.session, wanted("bookings", query), person)
        assert [row[1] for row in table.rows] == listed
        assert (len(listed) == 0) == (query == "q=nobody")


@pytest.mark.parametrize("name", sorted(view.listing.section for view in SECTIONS))
def test_every_list_is_exported(name: str, db: Database) -> None:
    with db.unit_of_work(SETUP) as ctx:
        one_of_everything(ctx.session)
        admin = reader(ctx.session, Role.ADMIN)
        for form in ExportFormat:
            table = LISTS.table(ctx.session, wanted(name, form=form), admin)
            assert len(table.header) == len(set(table.header)), table.header
            file = io.BytesIO()
            rows = exports.write_file(file, table, form, created=ctx.now, seen=lambda rows: None)
            read = read_csv(file.getvalue()) if form is ExportFormat.CSV else read_xlsx(file.getvalue())[0]
            assert len(read) == rows + 1
        spec = next(view.listing for view in SECTIONS if view.listing.section == name)
        times = {column.label for column in spec.columns if column.kind == "time"}
        assert {f"{label} ({ZONE})" for label in times} <= set(table.header)


def test_money_is_a_number_beside_its_currency(db: Database) -> None:
    with db.unit_of_work(SETUP) as ctx:
        one_of_everything(ctx.session)
        table = LISTS.table(ctx.session, wanted("refunds"), reader(ctx.session, Role.FINANCE))
        (row,) = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    assert str(row["Amount"]) == "300.00"
    assert row["Amount currency"] == "EUR"
    assert row["State"] == "awaiting approval"


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (9_500_000, "ugx", "95000"),
        (275_530, "ugx", "2755.30"),
        (9_990, "kwd", "9.990"),
        (9_500, "jpy", "9500"),
        (9_500, "eur", "95.00"),
    ],
)
def test_an_amount_has_the_digits_that_its_list_shows(db: Database, amount: int, currency: str, written: str) -> None:
    with db.unit_of_work(SETUP) as ctx:
        one_of_everything(ctx.session)
        ctx.session.execute(update(Refund).values(amount=amount, currency=currency))
        table = LISTS.table(ctx.session, wanted("refunds"), reader(ctx.session, Role.FINANCE))
        (row,) = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    assert (str(row["Amount"]), row["Amount currency"]) == (written, currency.upper())


def test_a_small_list_is_the_answer_itself(db: Database, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    with db.unit_of_work(SETUP) as ctx:
        add_bookings(ctx.session, 30)
    answer = export(client, "/admin/bookings/?status=pending&size=25&sort=starts")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="bookings-[\d-]+\.csv"', answer.headers["Content-Disposition"])
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    header, *rows = read_csv(answer.data)
    assert len(rows) == 10
    assert f"Starts ({ZONE})" in header
    with db.read_only() as session:
        (kept,) = session.query(Export).all()
        (entry,) = session.query(AuditEntry).filter(AuditEntry.event == "export.made").all()
    assert (kept.state, kept.rows, kept.size) == (ExportState.HANDED_OVER, 10, len(answer.data))
    assert kept.arguments == [["status", "pending"], ["sort", "starts"]]
    assert entry.actor_label == "ops@example.com"
    assert entry.records == [f"export:{kept.id}"]
    assert entry.facts == {
        "section": "bookings",
        "filter": "Status: pending; by Start, ascending",
        "format": "CSV",
        "rows": 10,
        "time_zone": ZONE,
    }
    assert read_xlsx(export(client, "/admin/bookings/?status=pending&sort=starts", "xlsx").data)[0][1:][0][0] == float(
        rows[0][0]
    )


def test_what_is_not_understood_is_refused(db: Database, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    token = form_token(client, "/admin/my-account/")
    for address, form, status in (
        ("/admin/exports/of/bookings?status=nonsense", "csv", 422),
        ("/admin/exports/of/bookings?sort=nonsense", "xlsx", 422),
        ("/admin/exports/of/bookings", "pdf", 422),
        ("/admin/exports/of/nothing", "csv", 404),
        ("/admin/exports/of/staff", "csv", 403),
    ):
        answer = client.post(address, data={"csrf_token": token, "format": form})
        assert answer.status_code == status, address
    with db.read_only() as session:
        assert session.query(Export).count() == 0


def test_a_larger_list_becomes_a_job(db: Database, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "DIRECT_ROWS", 20)
    client = client_for(Role.OPS)
    with db.unit_of_work(SETUP) as ctx:
        add_bookings(ctx.session, 30)
    first, again = (export(client, "/admin/bookings/") for _ in range(2))
    assert first.status_code == 303
    assert first.location == again.location, "a second click leads to the same file"
    page = client.get(first.location)
    assert "Waiting for its turn" in page.text
    shown = BeautifulSoup(page.text, "html5lib").find("section", attrs={"data-follow": True})
    assert shown is not None
    assert shown.find("progress") is not None
    export_id = int(first.location.rsplit("/", 1)[1])
    with db.read_only() as session:
        jobs = session.scalars(text("SELECT lock FROM procrastinate_jobs WHERE task_name = 'make_export'")).all()
        assert jobs == [f"exports-of:{session.get_one(Export, export_id).by_id}"], "one after the other per person"
    assert client_for(Role.SUPPORT).get(first.location).status_code == 404
    assert f"/admin/exports/{export_id}" not in client_for(Role.SUPPORT).get("/admin/exports/").text
    assert f"/admin/exports/{export_id}" in client_for(Role.AUDITOR).get("/admin/exports/").text
    token = form_token(client, first.location.replace(str(export_id), ""))
    early = client.post(f"{first.location}/download", data={"csrf_token": token})
    assert early.status_code == 409


def made(db: Database, role: Role = Role.OPS, *, section: str = "bookings") -> tuple[Export, Staff]:
    """A finished export and whose it is."""
    with db.unit_of_work(SETUP) as ctx:
        person = reader(ctx.session, role)
        found = Export(
            section=section,
            arguments=[],
            filter_words="all",
            format=ExportFormat.CSV,
            time_zone=ZONE,
            by_id=person.id,
            state=ExportState.DONE,
            rows=1,
            size=6,
            finished_at=ctx.now,
            expires_at=ctx.now + timedelta(days=7),
        )
        ctx.session.add(found)
        ctx.session.flush()
        ctx.session.add_all(ExportChunk(export_id=found.id, number=number, body=b"abc") for number in (1, 0))
    return found, person


def test_a_kept_file_is_downloaded_by_its_maker_and_administrators(db: Database, client_for: ClientFor) -> None:
    kept, _ = made(db)
    for role, status in ((Role.ADMIN, 200), (Role.AUDITOR, 403), (Role.SUPPORT, 404)):
        client = client_for(role)
        token = form_token(client, "/admin/my-account/")
        assert client.post(f"/admin/exports/{kept.id}/download", data={"csrf_token": token}).status_code == status
        assert client.get(f"/admin/exports/{kept.id}/download").status_code in {404, 405}
    page = client_for(Role.ADMIN).get(f"/admin/exports/{kept.id}").text
    assert "Download CSV" in page
    assert "Download CSV" not in client_for(Role.AUDITOR).get(f"/admin/exports/{kept.id}").text
    with db.read_only() as session:
        (entry,) = session.query(AuditEntry).filter(AuditEntry.event == "export.downloaded").all()
        assert b"".join(exports.body_of(session, kept.id)) == b"abcabc"
    assert entry.actor_label == "admin@example.com"
    assert not any(word in str(entry.facts) for word in ("abc", "@"))


def test_what_one_may_not_read_any_more_is_not_downloaded(db: Database) -> None:
    kept, person = made(db, Role.ADMIN, section="staff")
    support = Staff(person.id, person.email, Role.SUPPORT)
    with pytest.raises(Forbidden), db.unit_of_work(support) as ctx:
        exports.take(ctx, export_id=kept.id, lists=LISTS)


def test_a_file_expires_by_the_clock_and_is_then_deleted(db: Database, client_for: ClientFor) -> None:
    kept, person = made(db)
    db.clock = lambda: kept.expires_at
    with pytest.raises(exports.ExportExpired), db.unit_of_work(person) as ctx:
        exports.take(ctx, export_id=kept.id, lists=LISTS)
    with db.unit_of_work(Job("expire_exports")) as ctx:
        assert exports.expire(ctx) == 1
        assert exports.expire(ctx) == 0
        assert ctx.session.query(ExportChunk).count() == 0
        assert ctx.session.get_one(Export, kept.id).state is ExportState.EXPIRED
