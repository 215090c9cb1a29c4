"""Every setting and every command of the two that matter is written down."""

from pathlib import Path

import pytest

from admin_app.config import Settings

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(name.upper() for name in Settings.model_fields)


@pytest.mark.parametrize("document", ["README.md", ".env.example"])
def test_every_setting_is_documented(document: str) -> None:
    text = (ROOT / document).read_text()
    assert [name for name in NAMES if name not in text] == []


def test_the_example_names_only_settings_that_exist() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = {
        line.lstrip("#").split("=")[0] for line in lines if "=" in line and line.lstrip("#").split("=")[0].isupper()
    }
    assert given <= set(NAMES)
