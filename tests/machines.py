"""What the machines of Hypothesis share: how often they run, and the database of one example."""

import os
from datetime import datetime

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import Engine

from admin_app.db import Database

SOAK = os.environ.get("BACKDESK_SOAK") == "1"


def often(examples: tuple[int, int], steps: tuple[int, int]) -> settings:
    """How many examples of how many steps: of each run of the suite, and of a soak."""
    return settings(
        max_examples=examples[SOAK],
        stateful_step_count=steps[SOAK],
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink] if SOAK else [Phase.generate],
        derandomize=not SOAK,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


class OnDatabase(RuleBasedStateMachine):
    """On the real database, whose clock shows the machine's; all that an example does is undone after it."""

    engine: Engine
    now: datetime

    def __init__(self) -> None:
        super().__init__()
        self.connection = self.engine.connect()
        self.outer = self.connection.begin()
        self.db = Database(self.connection, clock=self.clock, join_transaction_mode="create_savepoint")  # type: ignore[arg-type]

    def clock(self) -> datetime:
        return self.now

    def in_the_end(self) -> None:
        """What must hold when an example is over."""

    def teardown(self) -> None:
        try:
            self.in_the_end()
        finally:
            self.outer.rollback()
            self.connection.close()
