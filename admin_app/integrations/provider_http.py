"""JSON over HTTP for the providers without an SDK: patience within limits, and what each failure means."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import local
from admin_app.integrations.circuit import Circuit

# The key is wrong or may not, or whoever answers was not ready: a later try may be taken.
_ABOUT_WHO_ASKS = frozenset({401, 402, 403, 408, 425})
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,60}")
_BEFORE_ANYTHING_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@dataclass(frozen=True)
class Patience:
    """How long one call may take with all its tries; a person or a job waits for it."""

    tries: int = 3
    seconds: float = 5
    seconds_per_try: float = 3


READS = Patience()
WRITES = Patience(seconds=15, seconds_per_try=10)


class _Trouble(Exception):
    """A try that failed in passing; `left` says that the call may have had its effect nevertheless."""

    def __init__(self, *, left: bool, wait: float | None = None) -> None:
        self.left, self.wait = left, wait
        super().__init__()


class ProviderHttp:
    """One provider's API. `reason_of` reads the stable code out of its error body.

    Reads are tried again after any passing trouble, writes only when certainly nothing happened.
    """

    def __init__(
        self,
        provider: str,
        base: str,
        token: str,
        *,
        reason_of: Callable[[Any], str | None],
        reads: Patience = READS,
        writes: Patience = WRITES,
        sleep: Callable[[float], None] = time.sleep,
        circuit: Circuit | None = None,
    ) -> None:
        self._provider, self._base, self._reason_of, self._sleep = provider, base, reason_of, sleep
        self._reads, self._writes = reads, writes
        self._circuit = circuit or Circuit()
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            trust_env=not local.serves(base),
        )

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Any | None:
        """The JSON under this path, None where there is nothing."""
        answer = self._send("GET", path, self._reads, params=params, headers=headers)
        if answer.status_code == 404:
            return None
        return self._body(answer, ProviderUnavailable(self._provider))

    def post(self, path: str, content: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Any:
        """What the provider says to this change."""
        answer = self._send("POST", path, self._writes, json=content, headers=headers)
        return self._body(answer, OutcomeUnknown(self._provider))

    def _send(self, method: str, path: str, patience: Patience, **options: Any) -> httpx.Response:
        if not self._circuit.admits():
            raise ProviderUnavailable(self._provider)
        reads, ends = method == "GET", time.monotonic() + patience.seconds
        tries = Retrying(
            stop=stop_after_attempt(patience.tries) | stop_before_delay(patience.seconds),
            wait=_wait,
            retry=retry_if_exception(lambda error: isinstance(error, _Trouble) and (reads or not error.left)),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer: httpx.Response = tries(self._try, method, path, ends, patience.seconds_per_try, options)
        except _Trouble as trouble:
            self._circuit.failed(asked_to_wait=trouble.wait)
            if trouble.left and not reads:
                raise OutcomeUnknown(self._provider) from None
            raise ProviderUnavailable(self._provider) from None
        self._circuit.succeeded()
        return answer

    def _try(self, method: str, path: str, ends: float, seconds: float, options: dict[str, Any]) -> httpx.Response:
        limit = max(0.1, min(seconds, ends - time.monotonic()))
        try:
            answer = self._client.request(method, f"{self._base}{path}", timeout=limit, **options)
        except _BEFORE_ANYTHING_LEFT:
            raise _Trouble(left=False) from None
        except httpx.HTTPError:
            raise _Trouble(left=True) from None
        if answer.status_code == 429:
            raise _Trouble(left=False, wait=_retry_after(answer))
        if answer.status_code >= 500:
            raise _Trouble(left=True, wait=_retry_after(answer))
        return answer

    def _body(self, answer: httpx.Response, unreadable: ProviderUnavailable) -> Any:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if 400 <= answer.status_code < 500:
            reason = self._reason(answer.status_code, body)
            raise ProviderRefused(self._provider, reason, passing=answer.status_code in _ABOUT_WHO_ASKS)
        if body is None or not answer.is_success:
            raise unreadable
        return body

    def _reason(self, status: int, body: Any) -> str:
        """A code, never the provider's sentence, which may quote a person."""
        stated = self._reason_of(body) or ""
        return stated if _CODE.fullmatch(stated) else f"http_{status}"


_full_jitter = wait_random_exponential(multiplier=0.25, max=2)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _Trouble) else None
    return max(asked or 0, _full_jitter(state))


def _retry_after(answer: httpx.Response) -> float | None:
    """The seconds that the provider wants to be left alone, stated as a number or as a date."""
    stated = answer.headers.get("Retry-After", "").strip()
    if stated.isdecimal() and len(stated) < 7:
        return float(stated)
    try:
        until = parsedate_to_datetime(stated)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None
