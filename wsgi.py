"""What a web server loads: the application, once nothing can be logged any more but by our rules."""

import click
from pydantic import ValidationError

from admin_app import logs
from admin_app.config import Settings, in_sentences
from admin_app.factory import create_app

logs.library_lines()
try:
    settings = Settings()
except ValidationError as wrong:
    # For the operator's commands, which tell it without a traceback; a web server does not start with it either.
    raise click.ClickException(in_sentences(wrong)) from None
app = create_app(settings)
