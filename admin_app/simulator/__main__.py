"""`python -m admin_app.simulator --port N --state PATH`: the simulated providers, on the loopback address."""

import argparse
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from werkzeug.serving import make_server

from admin_app.simulator.app import close, create_app
from admin_app.simulator.settings import from_environment


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m admin_app.simulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1 to listen on")
    parser.add_argument("--state", type=Path, required=True, help="SQLite file that keeps the data between runs")
    parser.add_argument(
        "--retry-speed", type=float, default=1.0, help="how many times faster failed webhooks are tried again"
    )
    options = parser.parse_args(arguments)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = create_app(from_environment(options.port, retry_speed=options.retry_speed), options.state)
    # A port that is taken ends the program here: the server says so itself.
    server = make_server("127.0.0.1", options.port, app, threaded=True)

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        close(app)
    return 0


if __name__ == "__main__":
    sys.exit(main())
