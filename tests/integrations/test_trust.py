"""The authorities of TLS connections are read once in a process, and again where the environment names others."""

from pathlib import Path

import pytest

from admin_app.integrations.http import trust
from tests.integrations import smtp_server


def test_they_are_read_once() -> None:
    assert trust.context() is trust.context()


def test_they_are_those_that_the_environment_names_now(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = trust.context()
    monkeypatch.setenv("SSL_CERT_FILE", str(smtp_server.certificate(tmp_path, "localhost")))
    named = trust.context()
    assert named is not usual
    assert named.cert_store_stats()["x509"] == 1
    monkeypatch.undo()
    assert trust.context() is usual
