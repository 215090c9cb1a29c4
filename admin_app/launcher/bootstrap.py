"""Makes `.venv` and keeps it equal to a requirements file. Standard library only: it runs before all else."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
PIP = (str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-input", "--disable-pip-version-check")
KEPT_LINES = 30


def main() -> int:
    """Make `.venv` and install the requirements file of the first argument unless done; the process's exit status."""
    requirements = Path(sys.argv[1])
    try:
        if not _works():
            _create()
        if _stamp(requirements) != _fingerprint(requirements):
            _install(requirements)
            _stamp_file(requirements).write_text(_fingerprint(requirements))
    except subprocess.CalledProcessError as problem:
        print(
            f"\n{problem.output or ''}\nSetting up .venv failed (status {problem.returncode}).",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _works() -> bool:
    """Whether `.venv` has a Python that still runs; after an upgrade of the system's it may not."""
    if not PYTHON.exists():
        return False
    question = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([PYTHON, "-c", question], check=False, capture_output=True).returncode == 0


def _create() -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(
            f"{sys.executable} cannot make virtual environments, because its venv module is not installed. "
            f"On Debian and Ubuntu: apt-get install python{version}-venv"
        )
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    subprocess.run(
        [sys.executable, "-m", "venv", "--clear", VENV],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _install(requirements: Path) -> None:
    total = len(re.findall(r"^[a-zA-Z0-9].*==", requirements.read_text(), re.MULTILINE))
    print(f"Installing the {total} packages of {requirements}, about a minute the first time", flush=True)
    begun = time.monotonic()
    # A personal pip configuration for `--user` would fail inside a virtual environment.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_USER"}
    with subprocess.Popen(
        [*PIP, "--progress-bar", "off", "-r", str(requirements)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as pip:
        said = _show_progress(pip, total)
    if pip.returncode != 0:
        raise subprocess.CalledProcessError(pip.returncode, PIP, "".join(said[-KEPT_LINES:]))
    print(f"Installed in {time.monotonic() - begun:.0f} s", flush=True)


def _show_progress(pip: subprocess.Popen[str], total: int) -> list[str]:
    """A counter instead of pip's several hundred lines; what it said is kept for the case of a failure."""
    said: list[str] = []
    collected = 0
    tty = sys.stdout.isatty()
    for line in pip.stdout or []:
        said.append(line)
        word, _, rest = line.strip().partition(" ")
        if word == "Collecting":
            collected += 1
            if tty:
                print(f"\r  {collected}/{total} {rest.partition('==')[0]:<40.40}", end="", flush=True)
            elif collected % 10 == 0:
                print(f"  {collected}/{total} collected", flush=True)
        elif word == "Installing":
            print(
                f"\r  {total}/{total} {'unpacking':<40}" if tty else f"  {total}/{total} unpacking",
                flush=True,
            )
    return said


def _fingerprint(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes()).hexdigest()


def _stamp_file(requirements: Path) -> Path:
    return VENV / f"installed-{requirements.stem}"


def _stamp(requirements: Path) -> str:
    try:
        return _stamp_file(requirements).read_text()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
