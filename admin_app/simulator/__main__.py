"""`python -m admin_app.simulator --port N --smtp-port M --state PATH`: the simulated providers, on loopback."""

import argparse
import errno
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from flask import Flask
from werkzeug.serving import make_server

from admin_app.simulator.app import close, create_app
from admin_app.simulator.mail import mail_server
from admin_app.simulator.settings import from_environment
from admin_app.simulator.world import World


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m admin_app.simulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1 to listen on")
    parser.add_argument("--smtp-port", type=int, help="port on 127.0.0.1 to take mail on; without it, none is taken")
    parser.add_argument("--state", type=Path, required=True, help="SQLite file that keeps the data between runs")
    parser.add_argument(
        "--retry-speed", type=float, default=1.0, help="how many times faster failed webhooks are tried again"
    )
    options = parser.parse_args(arguments)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    settings = from_environment(options.port, retry_speed=options.retry_speed, smtp_port=options.smtp_port)
    app = create_app(settings, options.state)
    # A port that is taken ends the program here: the server says so itself.
    server = make_server("127.0.0.1", options.port, app, threaded=True)

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        with _mail_server(app, options.smtp_port):
            server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        close(app)
    return 0


@contextmanager
def _mail_server(app: Flask, port: int | None) -> Iterator[None]:
    if port is None:
        yield
        return
    world: World = app.extensions["world"]
    try:
        running = mail_server.start(world.store, port)
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            raise
        sys.exit(f"Port {port} for mail is in use by another program.")
    try:
        yield
    finally:
        running.stop()


if __name__ == "__main__":
    sys.exit(main())
