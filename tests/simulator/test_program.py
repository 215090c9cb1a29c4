"""The simulator as a program of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from admin_app.simulator import control


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(port: int, state: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "admin_app.simulator", "--port", str(port), "--state", str(state)]
    environment = {**os.environ, "WHOP_API_KEY": "apik_sim", "CLERK_SECRET_KEY": "sk_sim"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/_sim/")
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the simulator did not start")


def stop(process: subprocess.Popen[bytes]) -> bytes:
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    return output


def test_data_and_key_survive_a_restart(tmp_path, port):
    url, state = f"http://127.0.0.1:{port}", tmp_path / "with space" / "state.sqlite"
    process = start(port, state)
    wait_for(url)
    made = control.purchase(url, email="ada@example.com", deliver=False)
    keys = httpx.get(f"{url}/clerk/.well-known/jwks.json").json()
    assert stop(process) == b""
    process = start(port, state)
    wait_for(url)
    headers = {"Authorization": "Bearer apik_sim"}
    answer = httpx.get(f"{url}/whop/api/v1/memberships/{made['membership_id']}", headers=headers)
    assert answer.json()["id"] == made["membership_id"]
    assert httpx.get(f"{url}/clerk/.well-known/jwks.json").json() == keys
    stop(process)


def test_a_taken_port_is_said_in_a_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(port, tmp_path / "state.sqlite")
        output, _ = process.communicate(timeout=15)
    assert process.returncode == 1
    assert f"Port {port} is in use by another program." in output.decode()
