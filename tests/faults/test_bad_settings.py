"""A worker whose settings cannot be used does not start, and says why in sentences that quote none of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = {"DATABASE_URL": "postgresql://me:hush@127.0.0.1:9/x", "SECRET_KEY": "s" * 32}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"DATABASE_URL": "mysql://me:hush@127.0.0.1:9/x"}, "DATABASE_URL cannot be read."),
        ({"SECRET_KEY": "hush"}, "SECRET_KEY"),
    ],
    ids=["address", "key"],
)
def test_it_says_why_it_does_not_start(wrong: dict[str, str], sentence: str) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "admin_app.jobs"],
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
