"""Small real programs in the place of Backdesk's: `programs.py <role> <folder> …`; each notes what it was given."""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def serve(arguments: list[str]) -> None:
    host, _, port = arguments[arguments.index("--bind") + 1].partition(":")
    HTTPServer((host, int(port)), Healthy).serve_forever()


def sleep_stubbornly() -> None:
    """Ignores the polite signal, and has a child that does so too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", *sys.argv[2:]])
    time.sleep(600)


def main() -> None:
    role, folder = sys.argv[1], Path(sys.argv[2])
    with (folder / f"{role}.ran").open("a") as ran:
        ran.write(json.dumps({"arguments": sys.argv[3:], "environment": dict(os.environ)}) + "\n")
    if role in {"migrate", "fill"}:
        print(f"{role} done")
    elif role == "plan":
        print("the plan")
        sys.exit(3 if (folder / "plan.asks").exists() else 0)
    elif role == "web":
        serve(sys.argv[3:])
    elif role == "stubborn":
        sleep_stubbornly()
    elif (folder / f"{role}.fails").exists():
        sys.exit("the cause of the failure")
    else:
        time.sleep(600)


if __name__ == "__main__":
    main()
