"""squawk reads the SQL of every revision after the legacy schema; what it objects to is listed here with the reason."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from tests.migrations.journey import MIGRATIONS, REVISIONS, earlier

SQUAWK = Path(sys.executable).with_name("squawk")
NOT_OUR_WAY = {
    "prefer-robust-stmts": "ops.py looks at the catalogue first; SQL that is only written out cannot show that",
    "prefer-text-field": "varchar(32) is how the models keep an enum as text",
    "prefer-bigint-over-int": "minutes and credits fit an integer; what is money is a bigint since 0037",
}
ACCEPTED = {
    ("0003", "ban-drop-constraint"): "the check that let NOT NULL be set without a scan goes again",
    ("0007", "changing-column-type"): "text and citext are stored alike: no row is rewritten",
    ("0011", "constraint-missing-not-valid"): "PostgreSQL has no NOT VALID for an exclusion constraint",
    ("0013", "ban-drop-function"): "what a downgrade put aside",
    ("0018", "prefer-identity"): "procrastinate's own schema, word for word",
    ("0018", "require-concurrent-index-creation"): "the tables are new and empty",
    ("0020", "ban-drop-column"): "the last step of a rename, for when nothing writes the column any more",
    ("0020", "ban-drop-function"): "the trigger that kept both names alike",
    ("0028", "constraint-missing-not-valid"): "the table is new and empty",
    ("0029", "ban-drop-function"): "what a downgrade put aside",
    ("0037", "ban-drop-column"): "the column in whose place its twin of the other type comes, in the same transaction",
    ("0037", "renaming-column"): "the twin, which no code knows, gets the name that all code knows",
    ("0037", "renaming-object"): "the twin's checks get the names of those that went with the column",
    ("0037", "ban-drop-function"): "what kept the twin",
    ("0037", "ban-drop-constraint"): "the check that let NOT NULL be set without a scan goes again",
}


def sql_of(revision: str) -> str:
    written = io.StringIO()
    config = Config(MIGRATIONS / "alembic.ini", output_buffer=written)
    config.attributes["database_url"] = "postgresql://nowhere/nothing"
    command.upgrade(config, f"{earlier(revision)}:{revision}", sql=True)
    return written.getvalue()


@pytest.mark.parametrize("revision", REVISIONS[1:])
def test_squawk_finds_nothing_unexplained(revision: str) -> None:
    report = subprocess.run(
        [SQUAWK, "--pg-version=15", "--reporter=json", f"--exclude={','.join(NOT_OUR_WAY)}", "--stdin-filepath=r.sql"],
        check=False,
        input=sql_of(revision),
        capture_output=True,
        text=True,
    )
    found = {finding["rule_name"] for finding in json.loads(report.stdout)}
    assert found == {rule for where, rule in ACCEPTED if where == revision}
