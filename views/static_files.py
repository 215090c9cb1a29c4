"""Addresses of static files that change with their content, so that browsers may keep them for a year."""

import hashlib
from functools import cache
from pathlib import Path

from flask import Flask, Response, request

YEAR = "public, max-age=31536000, immutable"


def register(app: Flask) -> None:
    folder = Path(str(app.static_folder))

    @cache
    def static_url(name: str) -> str:
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()[:12]
        return f"{app.static_url_path}/{name}?v={digest}"

    @app.after_request
    def keep(response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in {200, 304}:
            response.headers["Cache-Control"] = YEAR if "v" in request.args else "no-cache"
        return response

    app.jinja_env.globals["static_url"] = static_url
    # A page shows some forty icons: worth not asking for each.
    app.jinja_env.globals["icon_sprite"] = static_url("vendor/tabler-icons/sprite.svg")
