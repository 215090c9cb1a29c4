"""The settings that `make run` works with: what the environment says, and for the demo the rest made up."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from dotenv import dotenv_values

STAFF = ("support@demo.test", "ops@demo.test", "finance@demo.test", "admin@demo.test", "auditor@demo.test")


def _hex(prefix: str) -> Callable[[], str]:
    return lambda: prefix + secrets.token_hex(24)


def _svix() -> str:
    # Clerk's sender decodes what follows the prefix, so it has to be base64.
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _password() -> str:
    return "-".join(secrets.token_hex(3) for _ in range(4))


# Made once and kept, each in the form that the provider uses.
SECRETS: Mapping[str, Callable[[], str]] = {
    "SECRET_KEY": _hex(""),
    "DEMO_STAFF_PASSWORD": _password,
    "SERVICE_API_KEY": _hex("service_"),
    "STRIPE_SECRET_KEY": _hex("sk_test_"),
    "STRIPE_WEBHOOK_SECRET": _hex("whsec_"),
    "WHOP_API_KEY": _hex("apik_"),
    "WHOP_WEBHOOK_SECRET": _hex("ws_"),
    "WORKOS_API_KEY": _hex("sk_test_"),
    "WORKOS_CLIENT_ID": _hex("client_"),
    "CALENDLY_TOKEN": _hex("calendly_"),
    "CALENDLY_WEBHOOK_SIGNING_KEY": _hex(""),
    "CALCOM_API_KEY": _hex("cal_test_"),
    "CALCOM_WEBHOOK_SECRET": _hex(""),
    "CLERK_SECRET_KEY": _hex("sk_test_"),
    "CLERK_WEBHOOK_SECRET": _svix,
}


def given(root: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment on top of `.env`. An empty line in `.env` is a form left blank and counts as unset."""
    from_file = {name: value for name, value in dotenv_values(root / ".env").items() if value}
    return from_file | dict(environment)


def kept_secrets(store: Path, names: tuple[str, ...] = tuple(SECRETS)) -> dict[str, str]:
    """The secrets of this folder, made on first use; a later version may add some."""
    try:
        known: dict[str, str] = json.loads(store.read_text())
    except (FileNotFoundError, ValueError):
        known = {}
    if missing := [name for name in names if name not in known]:
        known |= {name: SECRETS[name]() for name in missing}
        write_private(store, json.dumps(known, indent=2) + "\n")
    return {name: known[name] for name in names}


def demo(
    given: Mapping[str, str], secrets: Mapping[str, str], *, port: int, simulator: str, mail_server: str
) -> dict[str, str]:
    """Every setting of the demo except DATABASE_URL; what is given wins."""
    own = {
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        **secrets,
        "WHOP_API_BASE": f"{simulator}/whop/api/v1",
        "STRIPE_API_BASE": f"{simulator}/stripe",
        "WORKOS_API_BASE": f"{simulator}/workos",
        "CALENDLY_API_BASE": f"{simulator}/calendly",
        "CALCOM_API_URL": f"{simulator}/calcom",
        "CLERK_ISSUER": f"{simulator}/clerk",
        "CLERK_JWKS_URL": "",
        "CLERK_JWT_KEY": "",
        "CLERK_AUTHORIZED_PARTIES": given.get("BASE_URL") or f"http://127.0.0.1:{port}",
        "CLERK_API_BASE": f"{simulator}/clerk/v1",
        "CLERK_SIGN_IN_URL": f"{simulator}/clerk/sign-in",
        "SMTP_URL": mail_server,
        "SENTRY_DSN": "",
        "SIMULATOR_URL": simulator,
    }
    chosen = {name: given.get(name, value) for name, value in own.items()}
    # The key set belongs to the issuer in force, which may be another than the simulator.
    chosen["CLERK_JWKS_URL"] = given.get("CLERK_JWKS_URL") or f"{chosen['CLERK_ISSUER']}/.well-known/jwks.json"
    return chosen


def write_env_file(path: Path, values: Mapping[str, str]) -> None:
    """Lines that a shell can source and dotenv can read."""
    lines = [f"{name}={shlex.quote(value) if value else ''}\n" for name, value in values.items()]
    write_private(path, "".join(lines))


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        target.write(text)
    unfinished.replace(path)
