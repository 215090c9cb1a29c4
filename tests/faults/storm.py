"""Injects faults into the product under traffic, one after the other or several at once, and looks after each."""

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from tests.faults import checks
from tests.faults.product import Product
from tests.faults.scenarios import Scenario
from tests.faults.story import Story
from tests.faults.traffic import Traffic
from tests.faults.watching import HealthWatch, Seen

RECOVERY_SECONDS = 90.0


@dataclass
class Storm:
    """Everything that a fault is injected into, and everybody who looks."""

    product: Product
    traffic: Traffic
    watch: HealthWatch
    story: Story
    chance: random.Random

    def inject(self, scenarios: Sequence[Scenario], seconds: float) -> None:
        """All of these for so long, then back to health, then what was found."""
        self.watch.taken()
        self.story.say(
            "Now " + ",\n       and ".join(scenario.sentence for scenario in scenarios) + f" ({seconds:.0f} s)."
        )
        with ExitStack() as injected:
            for scenario in scenarios:
                injected.enter_context(scenario.inject(self.product, self.chance))
            time.sleep(seconds)
        recovered = self._recovery()
        seen = self.watch.taken()
        self._tell(recovered, seen)
        self._judge(scenarios, seen)

    def _recovery(self) -> float | None:
        """Seconds until everything that was taken before now is done with; None when that was not in time."""
        began = time.monotonic()
        before = dict(self.traffic.ledger.acknowledged)
        while time.monotonic() - began < RECOVERY_SECONDS:
            if self._healthy() and not self._behind(before):
                return time.monotonic() - began
            time.sleep(0.3)
        return None

    def _healthy(self) -> bool:
        return self.watch.well

    def _behind(self, before: dict[tuple[str, str], int]) -> int:
        rows = self.product.rows("SELECT provider, external_id FROM webhook_events WHERE state = 'received'")
        return sum((row["provider"], row["external_id"]) in before for row in rows)

    def _tell(self, recovered: float | None, seen: Seen) -> None:
        counts, amiss = checks.deliveries(self.product, self.traffic.ledger)
        when = "not within 90 s" if recovered is None else f"after {recovered:.1f} s"
        self.story.say(f"Recovered {when}; {seen.sentence()}.")
        self.story.more(
            f"Deliveries: {counts['acknowledged']:,} acknowledged, {counts['stored']:,} stored, "
            f"{counts['processed']:,} processed, {counts['listed']:,} in the inbox for a person."
        )
        if recovered is None:
            self.story.lost("what was taken before the fault was over is not done with 90 s later")
        for one in amiss:
            self.story.lost(one)

    def _judge(self, scenarios: Sequence[Scenario], seen: Seen) -> None:
        if seen.late:
            self.story.lost(f"/health was not answered within 2 s, {seen.late} times")
        if seen.silent and not any(scenario.stops_web for scenario in scenarios):
            self.story.lost(f"nobody listened for /health, {seen.silent} times")
        if 503 in seen.answers and not any(scenario.stops_database for scenario in scenarios):
            self.story.lost("/health said 503 although the database was there")
        wrong = {status for status in seen.answers if status not in (200, 503)}
        if wrong:
            self.story.lost(f"/health answered {sorted(wrong)}")
        for program in self.product.ended_by_themselves():
            self.story.lost(f"{program} ended by itself")
            self.product.run(program)

    def end(self) -> None:
        """No new traffic; what is under way comes to its end, then everything is counted."""
        self.story.say("No more traffic; what is under way comes to its end.")
        self.traffic.pause()
        began = time.monotonic()
        while time.monotonic() - began < RECOVERY_SECONDS:
            if self.traffic.undelivered == 0 and not checks.unfinished(self.product, self.traffic.ledger):
                break
            time.sleep(0.5)
        else:
            self.story.lost("not everything that was acknowledged is done with or in front of a person after 90 s")
        self._wait_for_mails()
        self.traffic.look_at_mails()
        for one in self._everything():
            self.story.lost(one)

    def _wait_for_mails(self) -> None:
        began = time.monotonic()
        waiting = (
            "SELECT 1 FROM procrastinate_jobs WHERE status = 'doing' OR (status = 'todo' AND attempts = 0"
            " AND coalesce(scheduled_at, now()) <= now() AND task_name LIKE 'send%%mail') LIMIT 1"
        )
        while self.product.rows(waiting) and time.monotonic() - began < RECOVERY_SECONDS:
            time.sleep(0.5)

    def _everything(self) -> list[str]:
        ledger = self.traffic.ledger
        return [
            *checks.deliveries(self.product, ledger)[1],
            *checks.purchases(self.product, ledger),
            *checks.money(self.product, ledger),
            *checks.mails(ledger),
            *checks.rules(self.product, patience=timedelta(seconds=RECOVERY_SECONDS)),
            *self.traffic.broke,
        ]


def length(scenario: Scenario, share: float) -> float:
    """How long a fault lasts when so much time is left for it."""
    return max(scenario.least, min(scenario.seconds, share))
