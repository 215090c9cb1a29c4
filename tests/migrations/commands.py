"""Operators' commands on a database on its way."""

from typing import Any

from click.testing import Result

from admin_app.config import Settings
from admin_app.db import Database
from tests.applications import lending
from tests.migrations import believable_rows
from tests.migrations.journey import Journey


def migrate(journey: Journey, *words: str, typed: str | None = None, **settings: Any) -> Result:
    """`flask migrate …` with DATABASE_URL on this database."""
    values = {"database_url": journey.url, "secret_key": "s" * 32, **settings}
    given = Settings(_env_file=None, **values)
    with lending() as applications:
        app = applications.lend(given, Database.from_settings(given))
        return app.test_cli_runner().invoke(args=["migrate", *words], input=typed)


def refusal(result: Result) -> str:
    """What a command that was refused says: a sentence, and no traceback."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    return result.output


def of_earlier_days(journey: Journey, change: str = "") -> None:
    """The tables as the business had them, which Alembic has never seen."""
    journey.up("0001")
    journey.run(believable_rows.LEGACY)
    journey.run("DROP TABLE alembic_version")
    journey.run(change)
