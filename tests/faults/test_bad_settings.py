"""A program whose settings cannot be used does not start, and says why in sentences that quote none of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"worker": ["admin_app.jobs"], "web": ["gunicorn", "wsgi:app"]}
GOOD = {"DATABASE_URL": "postgresql://me:hush@127.0.0.1:9/x", "SECRET_KEY": "s" * 32}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"DATABASE_URL": "mysql://me:hush@127.0.0.1:9/x"}, "DATABASE_URL cannot be read."),
        ({"SECRET_KEY": "hush"}, "SECRET_KEY"),
        ({"WEB_THREADS": "hush"}, "WEB_THREADS"),
    ],
    ids=["address", "key", "number"],
)
def test_it_says_why_it_does_not_start(program: str, wrong: dict[str, str], sentence: str) -> None:
    started = subprocess.run(
        [sys.executable, "-m", *PROGRAMS[program]],
        cwd=ROOT,
        env={**os.environ, **GOOD, **wrong},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = started.stdout + started.stderr
    assert started.returncode == 1, said
    assert said.startswith("The settings cannot be used.\n")
    assert sentence in said
    assert "Traceback" not in said
    assert "hush" not in said
