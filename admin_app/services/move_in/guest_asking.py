"""Asking a provider about one person after the other, thousands of them: who waits when it is away, and who gives up.

The adapter tries again by itself within seconds. Whoever goes through a list waits for longer, as long as the provider
asks for, and stops the list rather than fail everybody on it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from admin_app.errors import AnswerUnreadable, DomainError, ProviderRefused, ProviderUnavailable

TRIES = 4
LONGEST_WAIT_SECONDS = 120
# People in a row for whom it stayed away: it is about the provider then, not about them.
MOST_IN_A_ROW = 3
_OUR_KEY = frozenset({"unauthorized", "forbidden", "authentication_invalid", "http_401", "http_403"})

Answer = TypeVar("Answer")


class Stopped(DomainError):
    """The provider cannot be asked about anybody now."""

    code = "stopped"
    status = 503
    sentence = "The provider stays away. Run this again later: it goes on where it ended."


class KeyRefused(Stopped):
    code = "key_refused"
    sentence = "The provider does not take the key in the settings. Put it right, and run this again."


@dataclass
class Asking:
    """Of one run. `sleep` takes seconds."""

    sleep: Callable[[float], None] = time.sleep
    _in_a_row: int = field(default=0, init=False)

    def about(self, ask: Callable[[], Answer]) -> Answer:
        """What `ask` answers, asked again while the provider is away: it must be safe to repeat.

        Raises what it raises at last; Stopped once the provider has been away for several people.
        """
        try:
            answer = self._patiently(ask)
        except AnswerUnreadable:
            raise
        except ProviderUnavailable as away:
            self._in_a_row += 1
            if self._in_a_row >= MOST_IN_A_ROW:
                raise Stopped from away
            raise
        except ProviderRefused as refused:
            if refused.passing or refused.reason in _OUR_KEY:
                raise KeyRefused from refused
            raise
        self._in_a_row = 0
        return answer

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        for _ in range(TRIES - 1):
            try:
                return ask()
            except AnswerUnreadable:
                raise
            except ProviderUnavailable as away:
                self.sleep(min(away.retry_after, LONGEST_WAIT_SECONDS))
        return ask()
