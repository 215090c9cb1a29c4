"""How the web server runs. gunicorn reads this from the folder it is started in: `python -m gunicorn wsgi:app`.

Why each is as it is: docs/decisions/0067-the-web-server.md. What stands in front, and how to reload and to stop:
docs/runbooks/running-in-production.md.
"""

import gc
import os

from admin_app.config import WebServerSettings
from admin_app.server.log import JsonLogger
from admin_app.server.worker import Worker

_settings = WebServerSettings()

# Loopback: what faces the network is the proxy in front. `--bind` says otherwise.
bind = f"127.0.0.1:{_settings.port}"
proc_name = "backdesk"

# Threads are for connections, most of which wait for people; how many work at once is limited inside
# (views/middleware/admission.py).
worker_class = Worker
workers = _settings.web_workers
threads = _settings.web_threads
worker_connections = 1000
# The master loads the application once, so that a new worker is there at once and one that cannot load stops the start.
preload_app = True
# Against what grows slowly; never all of them together.
max_requests = 100_000
max_requests_jitter = 20_000

# Seconds. A worker that shows no life is replaced; one that is to end finishes its requests first.
timeout = 30
graceful_timeout = 30
# Longer than a proxy keeps its connections, so that it is the proxy that closes them. They wait outside of threads.
keepalive = 75

# The system's own way of sending a file knows no end of waiting for who does not fetch it.
sendfile = False

# Bytes and number. Bodies: 1 MiB, by the application.
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

# Who stands in front is said by TRUSTED_PROXIES alone; gunicorn's own trust in anyone on this machine is off.
forwarded_allow_ips = ""
forwarder_headers = ""
header_map = "drop"
# Nobody but signals steers it.
control_socket_disable = True

# A line for each request is written by the application, without query and without what is personal.
accesslog = None
errorlog = "-"
logger_class = JsonLogger
# The sign of life is a file that is touched; on a disk that may take long.
_MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes a file without a name in it
worker_tmp_dir = _MEMORY if os.access(_MEMORY, os.W_OK) else None


def when_ready(_arbiter: object) -> None:
    """What was loaded stays: the workers share it and look through it for garbage no more."""
    gc.collect()
    gc.freeze()
