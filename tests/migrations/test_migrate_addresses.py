"""`flask migrate`: which database is meant, and sentences for one that does not answer or does not allow."""

from urllib.parse import urlsplit

import pytest

from tests.migrations.commands import migrate, refusal
from tests.migrations.journey import Journey

COMMANDS = (["verify"], ["plan"])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("postgresql://backdesk:secret-word@127.0.0.1:9/backdesk", "No connection to the database at"),
        ("{own}?schema=app", "Backdesk's tables are in public"),
        ("{own}?unheard=of", "No connection to the database at"),
        ("{own}_missing", "No connection to the database at"),
        ("mysql://root@127.0.0.1/x", "The address is none of PostgreSQL's."),
        ("nonsense", "The address is none of PostgreSQL's."),
    ],
)
def test_addresses_that_lead_nowhere(journey: Journey, command: list[str], address: str, sentence: str) -> None:
    address = address.format(own=journey.url)
    said = refusal(migrate(journey, *command, "--env", "prod", database_url_prod=address))
    assert sentence in said
    assert "secret-word" not in said
    assert len(said.splitlines()) < 4


def test_the_environments_own_address_is_taken(migrated: Journey) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    given = {"database_url": nowhere, "database_url_preview": migrated.url}
    result = migrate(migrated, "verify", "--env", "preview", "--problems", **given)
    assert result.exit_code == 0, result.output
    assert urlsplit(migrated.url).path[1:] in result.output
    assert str(urlsplit(migrated.url).password) not in result.output
    refusal(migrate(migrated, "verify", "--env", "prod", **given))
