"""JSON over HTTP for the providers without an SDK, and what each of their answers means."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.http.guard import Guard
from admin_app.integrations.http.transport import READS, WRITES, Patience, ProviderTransport, Rules

# The key is wrong or may not, or whoever answers was not ready: a later try may be taken.
_ABOUT_WHO_ASKS = frozenset({401, 402, 403, 408, 425})
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,60}")


class ProviderHttp:
    """One provider's API. `reason_of` reads the stable code out of its error body."""

    def __init__(
        self,
        guard: Guard,
        base: str,
        token: str,
        *,
        reason_of: Callable[[Any], str | None],
        reads: Patience = READS,
        writes: Patience = WRITES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._provider, self._base, self._reason_of = guard.provider, base, reason_of
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            transport=ProviderTransport(guard, base, Rules(reads, writes), sleep=sleep),
        )

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Any | None:
        """The JSON under this path, None where there is nothing."""
        answer = self._send("GET", path, params=params, headers=headers)
        if answer.status_code == 404:
            return None
        return self._body(answer, ProviderUnavailable(self._provider))

    def post(self, path: str, content: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Any:
        """What the provider says to this change."""
        answer = self._send("POST", path, json=content, headers=headers)
        return self._body(answer, OutcomeUnknown(self._provider))

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, f"{self._base}{path}", **options)
        except httpx.InvalidURL:
            raise ProviderUnavailable(self._provider) from None

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
