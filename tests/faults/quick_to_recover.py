"""The product for gunicorn, as `wsgi.py` has it, but for a circuit that rests for a moment only: tests wait for it."""

from dataclasses import replace

from admin_app.config import Settings
from admin_app.factory import create_app
from admin_app.integrations import registry
from admin_app.integrations.http.guard import WEB

settings = Settings()
app = create_app(settings, providers=registry.from_settings(settings, replace(WEB, rest_seconds=2)))
