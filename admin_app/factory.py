"""The only file that knows everything: builds the web application from its parts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from admin_app import cli, error_reports, logs
from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations import registry
from admin_app.integrations.http import deadline
from admin_app.integrations.registry import Providers
from admin_app.jobs.app import bench_for
from admin_app.jobs.bench import Bench
from views import errors, middleware, public, request_log, security, static_files
from views.backdesk import EXTENSION, Backdesk
from views.console import pages
from views.console.framework import sign_in
from views.last_resort import LastResort

ROOT = Path(__file__).resolve().parent.parent
LARGEST_REQUEST = 1024 * 1024
# The claim page sends no referrer, because its address holds a token; the usual check wants one on https.
CHECK_THEIR_OWN_FORMS = frozenset({"claim_page"})


class _Product(Flask):
    def log_exception(self, exc_info: Any) -> None:
        # Flask's own would write the request's address and the exception's text.
        errors.note(exc_info[1])


def create_app(settings: Settings, *, database: Database | None = None, providers: Providers | None = None) -> Flask:
    """The application, ready to serve; nothing is contacted yet."""
    app = _Product("backdesk", root_path=str(ROOT), static_folder="static", template_folder="views/templates")
    _configure(app, settings)
    parts = Backdesk(
        database or Database.from_settings(settings),
        settings,
        registry.from_settings(settings) if providers is None else providers,
    )
    app.extensions[EXTENSION] = parts
    logs.own_lines()
    error_reports.start(settings)
    request_log.register(app)
    security.register(app, settings)
    static_files.register(app)
    errors.register(app)
    _protect_forms(app)
    sign_in.register(app)
    pages.register(app)
    public.register(app)
    cli.register(app)
    app.add_url_rule("/", "root", _to_console)
    middleware.register(app, settings, largest_request=LARGEST_REQUEST)
    # Outermost, so that nothing gets past it to the server, which would log addresses with their queries.
    app.wsgi_app = LastResort(app.wsgi_app, settings)  # type: ignore[method-assign]
    return app


def bench_for_worker(settings: Settings) -> Bench:
    """What a worker works with; the console's lists are part of it, because their exports are made there."""
    return replace(bench_for(settings), lists=pages.lists())


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        SECRET_KEY=settings.secret_key,
        # Whatever fails is answered by us, in tests too.
        PROPAGATE_EXCEPTIONS=False,
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        MAX_FORM_MEMORY_SIZE=LARGEST_REQUEST,
        SESSION_COOKIE_NAME="backdesk_forms",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        # Protection is asked for below, by path.
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=12 * 3600,
    )
    if hops := settings.trusted_proxies:
        # Otherwise every caller has the proxy's address, and the sign-in rate limit stops all of them at once.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.wsgi_app = deadline.per_request(app.wsgi_app, settings.provider_seconds)  # type: ignore[assignment, method-assign]
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def _protect_forms(app: Flask) -> None:
    """Every unsafe request needs the form token, but for callers that carry no cookie of ours."""
    protection = CSRFProtect(app)

    @app.before_request
    def protect() -> None:
        outside = request.path.startswith("/api/") or request.endpoint == security.REPORTS
        if request.endpoint and not outside and request.blueprint not in CHECK_THEIR_OWN_FORMS:
            protection.protect()


def _to_console() -> ResponseReturnValue:
    return redirect("/admin/")
