"""The made-up settings: each in its provider's form, kept, and readable by a shell and by dotenv alike."""

import base64
import re
import stat
import subprocess
from pathlib import Path

from dotenv import dotenv_values

from admin_app.config import Settings
from admin_app.launcher import demo_settings

DATABASE = "postgresql://backdesk:secret@127.0.0.1:5432/backdesk"


def made(folder: Path, given: dict[str, str] | None = None) -> dict[str, str]:
    kept = demo_settings.kept_secrets(folder / "secrets.json")
    addresses = {"simulator": "http://127.0.0.1:9999", "mail_server": "smtp://127.0.0.1:9998"}
    chosen = demo_settings.demo(given or {}, kept, port=8000, **addresses)
    return {"DATABASE_URL": DATABASE, **chosen}


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    assert made(tmp_path) == made(tmp_path)
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other")
    assert all(made(tmp_path)[name] != other[name] for name in demo_settings.SECRETS)


def test_a_secret_that_a_later_version_adds_leaves_the_others_alone(tmp_path: Path) -> None:
    store = tmp_path / "secrets.json"
    first = demo_settings.kept_secrets(store, ("SECRET_KEY",))
    assert demo_settings.kept_secrets(store)["SECRET_KEY"] == first["SECRET_KEY"]


def test_the_secret_for_clerk_is_what_its_sender_can_decode(tmp_path: Path) -> None:
    prefix, _, encoded = made(tmp_path)["CLERK_WEBHOOK_SECRET"].partition("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(encoded, validate=True)) == 24


def test_the_product_accepts_them_and_every_secret_of_its_is_among_them(tmp_path: Path) -> None:
    values = made(tmp_path)
    settings = Settings.model_validate({name.lower(): value for name, value in values.items()})
    assert settings.jwks_url == "http://127.0.0.1:9999/clerk/.well-known/jwks.json"
    secrets = {name for name in Settings.model_fields if name.endswith(("_key", "_secret", "_token", "_api_key"))}
    assert {name.upper() for name in secrets} <= values.keys()


def test_an_issuer_from_elsewhere_brings_its_own_keys(tmp_path: Path) -> None:
    values = made(tmp_path, {"CLERK_ISSUER": "https://clerk.example.test"})
    assert values["CLERK_JWKS_URL"] == "https://clerk.example.test/.well-known/jwks.json"


def test_mail_goes_to_the_simulator_unless_told_otherwise(tmp_path: Path) -> None:
    assert made(tmp_path)["SMTP_URL"] == "smtp://127.0.0.1:9998"
    assert made(tmp_path, {"SMTP_URL": "smtp://mail.test"})["SMTP_URL"] == "smtp://mail.test"
    assert made(tmp_path, {"SMTP_URL": ""})["SMTP_URL"] == ""


def test_the_file_reads_the_same_in_a_shell_and_in_dotenv(tmp_path: Path) -> None:
    path = tmp_path / "demo.env"
    values = {"PLAIN": "a-b_c", "EMPTY": "", "SPACED": "two words & more", "PEM": "-----BEGIN\nab+/=\n-----END\n"}
    demo_settings.write_env_file(path, values)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert dotenv_values(path) == values
    script = f'set -a; . \'{path}\'; printf \'%s|\' "$PLAIN" "$EMPTY" "$SPACED" "$PEM"'
    shown = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
    assert shown == "".join(f"{value}|" for value in values.values())


def test_the_example_file_names_every_setting_and_nothing_else() -> None:
    example = (Path(__file__).resolve().parents[2] / ".env.example").read_text()
    named = re.findall(r"^#([A-Z_]+)=", example, re.MULTILINE)
    # Families of settings, one for each practitioner.
    named += re.findall(r"\b([A-Z_]+)_<practitioner id>", example)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_a_line_left_empty_in_the_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WHOP_API_KEY=\nSERVICE_API_KEY=given\n")
    assert demo_settings.given(tmp_path, {"PORT": "8010"}) == {"SERVICE_API_KEY": "given", "PORT": "8010"}
