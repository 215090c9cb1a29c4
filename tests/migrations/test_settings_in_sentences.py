"""An operator's command whose settings cannot be used ends with a sentence that quotes none of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY = {"SECRET_KEY": "s" * 32}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"DATABASE_URL_PROD": "postgresql://me:hush@127.0.0.1:9/x"}, "DATABASE_URL is not set."),
        ({"DATABASE_URL": "postgresql://me:hush@127.0.0.1:abc/x"}, "DATABASE_URL cannot be read."),
        ({"DATABASE_URL": '"postgresql://me:hush@127.0.0.1:9/x"'}, "DATABASE_URL cannot be read."),
        ({"DATABASE_URL": "hush"}, "DATABASE_URL cannot be read."),
        ({"DATABASE_URL": "mysql://me:hush@127.0.0.1:9/x"}, "DATABASE_URL cannot be read."),
        ({"DATABASE_URL": "postgresql://me:hush@127.0.0.1:9/x?schema=app"}, "DATABASE_URL names the schema 'app'"),
    ],
)
def test_no_traceback_and_no_password(settings: dict[str, str], sentence: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_URL")}
    for command in (["flask", "--app", "wsgi", "migrate", "plan", "--env", "prod"], ["migrations.plan"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, env={**kept, **KEY, **settings}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == 1, said
        assert sentence in said
        assert "Traceback" not in said
        assert "hush" not in said
