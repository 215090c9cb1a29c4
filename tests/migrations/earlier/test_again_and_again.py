"""An import is made again until the cut-over: only what changed; stopped anywhere; two at once; taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from admin_app.db import Database
from admin_app.errors import InvalidInput, NotFound
from admin_app.integrations.earlier import SourceRefused, open_source
from admin_app.services.move_in import files, importing, undoing
from admin_app.services.move_in.mapping import Rule
from models import Booking, Client, MovedRow, MoveRun, OnboardingState, PersonAddress, Practitioner
from tests.migrations.earlier import bookings_mysql, clients_prisma, made, memberships_drizzle
from tests.migrations.earlier.moves import COMMAND, Move

ROWS = 200
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def clients(earlier_postgres: str, real_db: Database) -> Move:
    """A clients system that was brought over once."""
    there = clients_prisma.make(earlier_postgres, rows=ROWS, ugly=False)
    move = Move(real_db, there.address)
    move.plan()
    move.decide()
    move.bring_over(batch=90)
    return move


def there(move: Move, *statements: str) -> None:
    with made.postgres(move.address) as connection:
        made.run(connection, *statements)


def count(db: Database, model: Any) -> int:
    with db.read_only() as session:
        return int(session.scalar(select(func.count()).select_from(model)) or 0)


def client_called(db: Database, name: str) -> Client:
    with db.read_only() as session:
        return session.scalars(select(Client).where(Client.name == name)).one()


def test_the_second_time_only_what_changed_is_written(clients: Move) -> None:
    before = count(clients.db, Client)
    there(clients, """UPDATE clients SET "outboundPaused" = true, name = 'Renamed There' WHERE name = 'Client 1'""")
    counts = clients.bring_over()
    assert (counts["clients"].changed, counts["clients"].new) == (1, 0)
    assert counts["clients"].unchanged == before - 1
    assert counts["onboarding_states"].changed == 0
    assert client_called(clients.db, "Renamed There").outbound_paused
    assert count(clients.db, Client) == before
    assert all(one.agrees for one in clients.compare().values())


def test_what_changed_on_both_sides_stays_as_it_is_here_and_is_told_each_time(clients: Move) -> None:
    with clients.db.unit_of_work(COMMAND) as ctx:
        mine = ctx.session.scalars(select(Client).where(Client.name == "Client 1")).one()
        mine.phone, number = "changed here", str(mine.id)
    there(clients, "UPDATE clients SET phone = 'changed there' WHERE name = 'Client 1'")
    for _ in range(2):
        assert clients.bring_over()["clients"].conflicts == [number]
    assert client_called(clients.db, "Client 1").phone == "changed here"
    compared = clients.compare()["clients"]
    assert len(compared.differing) == 1
    assert not compared.agrees


def test_what_went_there_is_named(clients: Move) -> None:
    there(clients, "DELETE FROM onboarding_states WHERE id = (SELECT min(id) FROM onboarding_states)")
    assert clients.bring_over()["onboarding_states"].gone == 1
    compared = clients.compare()["onboarding_states"]
    assert len(compared.gone_there) == 1
    assert not compared.agrees


def test_what_was_decided_otherwise_is_looked_at_again(earlier_postgres: str, real_db: Database) -> None:
    clients_prisma.make(earlier_postgres, rows=ROWS, ugly={"missing_created_at"})
    move = Move(real_db, earlier_postgres)
    move.plan()
    move.decide(decisions={Rule.MISSING: "leave"})
    assert move.bring_over()["clients"].left == 1
    move.decide(decisions={Rule.MISSING: "usual"})
    counts = move.bring_over()["clients"]
    assert (counts.left, counts.new, counts.conflicts) == (0, 1, [])
    assert all(one.agrees for one in move.compare().values())


def test_what_can_be_kept_no_more_stays_as_it_was(clients: Move) -> None:
    """A row that was brought over breaks a rule since, by which rows are left behind."""
    clients.decide(decisions={Rule.MISSING: "leave"})
    clients.bring_over()
    there(clients, 'ALTER TABLE clients ALTER COLUMN "createdAt" DROP NOT NULL')
    there(clients, """UPDATE clients SET "createdAt" = NULL, phone = 'there' WHERE name = 'Client 1'""")
    before = client_called(clients.db, "Client 1")
    for _ in range(2):
        counts = clients.bring_over()["clients"]
        assert (counts.left, counts.new, counts.changed, counts.conflicts) == (1, 0, 0, [])
    assert client_called(clients.db, "Client 1").phone == before.phone
    there(clients, """UPDATE clients SET "createdAt" = now() WHERE name = 'Client 1'""")
    assert clients.bring_over()["clients"].changed == 1
    assert client_called(clients.db, "Client 1").phone == "there"
    assert all(one.agrees for one in clients.compare().values())


def test_nothing_is_brought_over_while_anything_is_undecided(earlier_postgres: str, real_db: Database) -> None:
    clients_prisma.make(earlier_postgres, rows=ROWS, ugly={"unknown_columns"})
    move = Move(real_db, earlier_postgres)
    move.plan()
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert "goes to none of our columns" in refused.value.sentence
    assert count(real_db, Client) == 0


def test_a_column_that_came_since_is_not_forgotten(clients: Move) -> None:
    there(clients, "ALTER TABLE clients ADD COLUMN vip boolean")
    with pytest.raises(InvalidInput) as refused:
        clients.bring_over()
    assert "clients.vip" in refused.value.sentence


def test_two_at_once_do_not_do_the_same_batch(clients: Move) -> None:
    there(clients, "UPDATE clients SET phone = '1'")
    mapping = clients.mapping
    assert mapping is not None
    with closing(open_source(clients.address)) as source, clients.work() as ctx:
        text = files.written(mapping, where="there")
        run_id = importing.start(ctx, source=source, mapping=mapping, file=text)
    with clients.work() as ctx:
        ctx.session.get_one(MoveRun, run_id, with_for_update=True)
        with pytest.raises(importing.ImportRuns):
            clients.bring_over()
    assert clients.bring_over()["clients"].changed == count(clients.db, Client)


def test_it_is_taken_back_while_nothing_was_built_on_it(clients: Move) -> None:
    with clients.work() as ctx:
        assert undoing.take_back(ctx, system="clients") == 2 * count(clients.db, Client)
    assert [count(clients.db, model) for model in (Client, OnboardingState, MovedRow, MoveRun)] == [0, 0, 0, 0]
    clients.bring_over()
    assert all(one.agrees for one in clients.compare().values())


def test_what_later_imports_changed_is_taken_back_as_well(clients: Move) -> None:
    """By the same mapping and by another one; nobody changed anything here."""
    there(clients, "UPDATE clients SET phone = '1' WHERE name = 'Client 1'")
    assert clients.bring_over()["clients"].changed == 1
    mapping = clients.mapping
    assert mapping is not None
    first, *others = mapping.tables
    phoneless = [replace(each, to=None, left="not asked") if each.to == "phone" else each for each in first.columns]
    clients.mapping = replace(mapping, tables=(replace(first, columns=tuple(phoneless)), *others))
    assert clients.bring_over()["clients"].conflicts == []
    with clients.db.read_only() as session:
        assert undoing.built_on(session, system="clients") == []
    with clients.work() as ctx:
        undoing.take_back(ctx, system="clients")
    assert count(clients.db, Client) == 0


def test_what_was_built_on_it_is_said(clients: Move) -> None:
    with clients.work() as ctx:
        mine = ctx.session.scalars(select(Client).limit(1)).one()
        mine.phone = "changed here"
    with clients.db.read_only() as session:
        assert undoing.built_on(session, system="clients") == ["1 records of clients were changed here since"]
    with clients.work() as ctx, pytest.raises(undoing.BuiltOn):
        undoing.take_back(ctx, system="clients")
    assert count(clients.db, Client) > ROWS


def test_memberships_are_taken_back_whole(earlier_postgres: str, real_db: Database) -> None:
    memberships_drizzle.make(earlier_postgres, rows=ROWS, ugly=False)
    move = Move(real_db, earlier_postgres)
    move.plan()
    move.decide()
    move.bring_over()
    assert count(real_db, PersonAddress) > 0
    with move.work() as ctx:
        undoing.take_back(ctx, system="memberships")
    with real_db.read_only() as session:
        for table in ("profiles", "pending_profiles", "memberships", "claim_tokens", "person_addresses", "moved_rows"):
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table


def test_the_source_cannot_be_written(earlier_postgres: str, mariadb_url: str) -> None:
    clients_prisma.make(earlier_postgres, rows=5, ugly=False)
    bookings_mysql.make(mariadb_url, rows=5, ugly=False)
    for address, connection in ((earlier_postgres, "_connection"), (mariadb_url, "_connection")):
        with closing(open_source(address)) as source:
            driver: Any = getattr(source, connection)
            with pytest.raises(Exception, match=r"(?i)read.only"):
                driver.cursor().execute("CREATE TABLE left_behind (id int)")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("oracle://db/x", "begins with postgresql:// or mysql://"),
        ("mysql://127.0.0.1", "names no database"),
        ("mysql://127.0.0.1/x?ssl_magic=1", "mean nothing here"),
        ("mysql://me:top/secret@127.0.0.1/x", "its user or password holds one"),
        ("postgresql://me:top[secret@127.0.0.1/x", "its user or password holds one"),
        ("postgresql://me:top#secret@127.0.0.1/x", "its user or password holds one"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_a_sentence(address: str, said: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        open_source(address)
    assert said in refused.value.sentence
    assert "secret" not in refused.value.sentence
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def command(db: Database, *arguments: str) -> subprocess.Popen[str]:
    settings = {"DATABASE_URL": db.engine.engine.url.render_as_string(hide_password=False), "SECRET_KEY": "x" * 40}
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "legacy", *arguments],
        cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def done(running: subprocess.Popen[str]) -> str:
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, out + err
    return out


def test_the_commands_from_the_first_look_to_the_proof(mariadb_url: str, real_db: Database, tmp_path: Path) -> None:
    """Killed in the middle of the import, which then goes on behind the last batch."""
    bookings_mysql.make(mariadb_url, rows=4000, ugly=False)
    plan, report = tmp_path / "bookings.toml", tmp_path / "report.txt"
    assert "points have to be decided" in done(command(real_db, "plan", "--source", mariadb_url, "--to", str(plan)))
    move = Move(real_db, mariadb_url)
    move.mapping = files.read(plan.read_text())
    plan.write_text(files.written(move.decide(zone="Europe/Berlin"), where="there"))
    given = ("--source", mariadb_url, "--mapping", str(plan))
    assert "Nothing stands in the way." in done(command(real_db, "inspect", *given))

    running = command(real_db, "import", *given, "--batch", "100")
    deadline = time.monotonic() + 240
    while count(real_db, Booking) < 500 and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    said = running.communicate()
    assert 500 <= count(real_db, Booking) < 4000, said
    assert "bookings" in done(command(real_db, "import", *given, "--batch", "1000"))

    assert "Both sides are the same." in done(command(real_db, "verify", *given, "--report", str(report)))
    assert "checksum" in report.read_text()
    assert "Nothing was built on them" in done(command(real_db, "undo", "--system", "bookings"))
    assert "were taken back" in done(command(real_db, "undo", "--system", "bookings", "--yes"))
    assert count(real_db, Practitioner) == 0


def test_an_import_and_its_taking_back_do_not_meet(clients: Move) -> None:
    with closing(open_source(clients.address)) as source:
        mapping = clients.decide()
        with clients.work() as ctx:
            run_id = importing.start(ctx, source=source, mapping=mapping, file="again")
        steps = importing.bring_over(clients.work, source=source, mapping=mapping, run_id=run_id, batch=100)
        next(steps)
        with clients.work() as ctx:
            importing._locked(ctx, run_id)  # a batch is being written
            with clients.work() as other, pytest.raises(importing.ImportRuns):
                undoing.take_back(other, system="clients")
        with clients.work() as ctx:
            undoing.take_back(ctx, system="clients")
            with clients.work() as other, pytest.raises(importing.ImportRuns):
                undoing.take_back(other, system="clients")
        with pytest.raises(importing.TakenBack):
            list(steps)
    with clients.work() as ctx, pytest.raises(NotFound):
        undoing.take_back(ctx, system="clients")
    assert count(clients.db, Client) == 0
    assert clients.bring_over()["clients"].new > ROWS
