"""The way of every HTTP call to a provider: the guard, then tries within limits, then what a failure means.

Adapters with an SDK give it this transport and switch the SDK's own retries off: those wait for as long as a provider
asks, and know of no total. What comes back is a whole answer, read to its end, or a `ProviderUnavailable`: nothing was
changed there, or `OutcomeUnknown`: it may have been.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from admin_app.errors import OutcomeUnknown, ProviderUnavailable
from admin_app.integrations.http import deadline, local, trust
from admin_app.integrations.http.guard import SOON_SECONDS, Guard
from admin_app.integrations.http.network import TimedBackend

LARGEST_ANSWER = 32 * 1024 * 1024
# On an answer's `extensions`: a try before it was lost, and may have had its effect.
LOST = "backdesk_lost_a_try"
# A time-out that came sooner says more about us than about the provider.
_FAIR_SECONDS = 2
_BEFORE_ANYTHING_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)


@dataclass(frozen=True)
class Patience:
    """How long one call may take with all its tries; a person or a job waits for it."""

    tries: int = 3
    seconds: float = 5
    seconds_per_try: float = 3
    # A provider that wants to be left alone for longer is not asked again by this call.
    longest_pause: float = 2


READS = Patience()
WRITES = Patience(seconds=15, seconds_per_try=10)


@dataclass(frozen=True)
class Rules:
    """One provider's: how long it is waited for, and what its answers mean for trying again.

    A read is tried again after any passing trouble, a write only when certainly nothing happened, or, where the
    provider promises that an `Idempotency-Key` makes it the same call (`keys_repeat`), also when it was lost.
    `lost_statuses` may come after an effect like those of 500 and more; `advice` names a header of the provider's that
    says `false` when trying again is pointless. With `answers_are_json` a success without a JSON object is none, for an
    SDK that does not notice.
    """

    reads: Patience = READS
    writes: Patience = WRITES
    keys_repeat: bool = False
    lost_statuses: frozenset[int] = frozenset()
    advice: str | None = None
    answers_are_json: bool = False


class _Trouble(Exception):
    """A try that failed in passing; `left` says that the call may have had its effect nevertheless."""

    def __init__(self, *, left: bool, wait: float | None = None, counts: bool = True, again: bool = True) -> None:
        self.left, self.wait, self.counts, self.again = left, wait, counts, again
        super().__init__()


class ProviderTransport(httpx.BaseTransport):
    """One provider's; `base` is its address, which tells whether a proxy of the environment stands before it."""

    def __init__(
        self, guard: Guard, base: str, rules: Rules | None = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._guard, self._rules, self._sleep = guard, rules or Rules(), sleep
        self._http = httpx.HTTPTransport(verify=trust.context(), proxy=_proxy_before(base))
        # httpx has no way to hand it over; a test with a server that drips notices should this name go.
        self._http._pool._network_backend = TimedBackend()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        reads = request.method in {"GET", "HEAD"}
        patience = self._rules.reads if reads else self._rules.writes
        repeats = reads or (self._rules.keys_repeat and "idempotency-key" in request.headers)
        with self._guard.call(patience.seconds) as call:
            exchange = _Exchange(self._http, request, self._rules, patience)
            try:
                answer: httpx.Response = self._tries(patience, repeats)(exchange.once)
            except _Trouble as trouble:
                if trouble.counts:
                    # A wait that calls keep by themselves is no reason to refuse the next one.
                    long = trouble.wait is not None and trouble.wait > patience.longest_pause
                    call.failed(asked_to_wait=trouble.wait if long else None)
                raise self._meaning(exchange.lost and not reads, trouble) from None
        answer.extensions[LOST] = exchange.lost
        return answer

    def close(self) -> None:
        self._http.close()

    def _tries(self, patience: Patience, repeats: bool) -> Retrying:
        def again(error: BaseException) -> bool:
            if not isinstance(error, _Trouble) or not error.again or (error.left and not repeats):
                return False
            return (error.wait or 0) <= patience.longest_pause

        seconds = deadline.clipped(patience.seconds) or 0
        return Retrying(
            stop=stop_after_attempt(patience.tries) | stop_before_delay(seconds),
            wait=_wait,
            retry=retry_if_exception(again),
            sleep=self._sleep,
            reraise=True,
        )

    def _meaning(self, may_have_happened: bool, trouble: _Trouble) -> ProviderUnavailable:
        kind = OutcomeUnknown if may_have_happened else ProviderUnavailable
        return kind(self._guard.provider, retry_after=trouble.wait or SOON_SECONDS)


class _Exchange:
    """One call's tries; `lost` once one of them may have had an effect that nobody heard of."""

    def __init__(self, http: httpx.BaseTransport, request: httpx.Request, rules: Rules, patience: Patience) -> None:
        self._http, self._request, self._rules, self._patience = http, request, rules, patience
        self.lost = False

    def once(self) -> httpx.Response:
        try:
            answer = self._answer()
            self._require_usable(answer)
        except _Trouble as trouble:
            self.lost = self.lost or trouble.left
            raise
        return answer

    def _answer(self) -> httpx.Response:
        began, limit = time.monotonic(), deadline.clipped(self._patience.seconds_per_try) or 0
        if limit <= 0:
            raise _Trouble(left=False, counts=False)
        self._request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), limit)
        try:
            with deadline.within(limit):
                return _whole(self._http.handle_request(self._request))
        except _BEFORE_ANYTHING_LEFT as error:
            raise _Trouble(left=False, counts=_speaks_of_it(error, began, self._patience)) from None
        except httpx.DecodingError:
            raise _Trouble(left=True, counts=False) from None
        except httpx.HTTPError as error:
            raise _Trouble(left=True, counts=_speaks_of_it(error, began, self._patience)) from None

    def _require_usable(self, answer: httpx.Response) -> None:
        again = self._rules.advice is None or answer.headers.get(self._rules.advice) != "false"
        if answer.status_code == 429:
            raise _Trouble(left=False, wait=_retry_after(answer), again=again)
        if answer.status_code >= 500:
            raise _Trouble(left=True, wait=_retry_after(answer), again=again)
        if self._rules.answers_are_json and answer.is_success and not _holds_an_object(answer):
            raise _Trouble(left=True, counts=False)
        if answer.status_code in self._rules.lost_statuses:
            raise _Trouble(left=True, wait=_retry_after(answer), counts=False, again=again)


def _speaks_of_it(error: Exception, began: float, patience: Patience) -> bool:
    """Whether a failure tells of the provider's health: no time-out does when there was hardly any time."""
    waited = time.monotonic() - began
    return not isinstance(error, httpx.TimeoutException) or waited >= min(_FAIR_SECONDS, patience.seconds_per_try) * 0.9


def _holds_an_object(answer: httpx.Response) -> bool:
    try:
        return isinstance(answer.json(), dict)
    except ValueError:
        return False


def _whole(answer: httpx.Response) -> httpx.Response:
    """The answer with its body, read here, where its time is bounded."""
    body = bytearray()
    try:
        for part in answer.iter_raw():
            body += part
            if len(body) > LARGEST_ANSWER:
                raise httpx.ReadError("too large")
    finally:
        answer.close()
    whole = httpx.Response(
        answer.status_code,
        headers=answer.headers,
        stream=httpx.ByteStream(bytes(body)),
        extensions={"http_version": answer.extensions.get("http_version", b"HTTP/1.1")},
    )
    whole.read()
    return whole


def client(guard: Guard, base: str, rules: Rules | None = None) -> httpx.Client:
    """An httpx client that goes this way, for an SDK or by itself."""
    return httpx.Client(transport=ProviderTransport(guard, base, rules))


def _proxy_before(base: str) -> str | None:
    """What the environment says for this address, as httpx itself would; a transport of one's own is not told."""
    try:
        parts = urlsplit(base)
        host = parts.hostname or ""
    except ValueError:
        return None
    if local.serves(base) or proxy_bypass(host):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return None if not found else found if "://" in found else f"http://{found}"


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
