"""What failed for good, or stays unknown, waits for a person: who has it done again, or marks it as settled."""

from collections.abc import Callable, Mapping
from typing import Any

from admin_app.policies.permissions import Permission
from views.console.records import Command

SETTLED = "Mark as settled"


def failure_commands(
    section: str, *, again: str, word: str, when: Callable[[Mapping[str, Any]], bool]
) -> tuple[Command, Command]:
    """The two commands on the record's page; `again` is what the first is called, `word` what its address ends in."""
    return (
        Command(
            label=again,
            permission=Permission.FAILURES_SETTLE,
            address=lambda key: f"/admin/{section}/{key}/{word}",
            when=when,
            tone="primary",
        ),
        Command(
            label=SETTLED,
            permission=Permission.FAILURES_SETTLE,
            address=lambda key: f"/admin/{section}/{key}/settle",
            when=when,
        ),
    )
