"""What failed for good, or stays unknown, waits for a person: who has it done again, or marks it as settled."""

from collections.abc import Callable, Mapping
from typing import Any

from admin_app.policies.permissions import Permission
from views.console.framework.records import Command

SETTLED = "Mark as settled"


Applies = Callable[[Mapping[str, Any]], bool]


def failure_commands(
    section: str, *, again: str, word: str, when: Applies, again_when: Applies | None = None
) -> tuple[Command, Command]:
    """The two commands on the record's page; `again` is what the first is called, `word` what its address ends in.

    `again_when`: where doing it again applies to fewer records than settling.
    """
    return (
        Command(
            label=again,
            permission=Permission.FAILURES_SETTLE,
            address=lambda key: f"/admin/{section}/{key}/{word}",
            when=again_when or when,
            tone="primary",
        ),
        Command(
            label=SETTLED,
            permission=Permission.FAILURES_SETTLE,
            address=lambda key: f"/admin/{section}/{key}/settle",
            when=when,
        ),
    )
