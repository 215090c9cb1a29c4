"""Calendly's API, version 2."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from admin_app.errors import AnswerUnreadable, ProviderRefused, ProviderUnavailable
from admin_app.integrations.calendar_ports import CalendlyEventType, CalendlyInvitee
from admin_app.integrations.calendly import calendly_shapes
from admin_app.integrations.http import fields
from admin_app.integrations.http.provider_http import ProviderHttp

PROVIDER = "calendly"
_PAGE, _MOST_PAGES = "100", 50
_MOST_PAGES_OF_ALL = 5_000
Found = TypeVar("Found")


class CalendlyApi:
    """`CalendlyPort` over HTTP."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    def event_types(self) -> Sequence[CalendlyEventType]:
        return self._of_everybody(self._event_types)

    def _of_everybody(self, listed: Callable[[Mapping[str, str]], Found]) -> Found:
        """What is listed of the organization; of the person alone where the organization may not be listed."""
        me = self._resource("/users/me")
        if me is None:
            raise ProviderUnavailable(PROVIDER)
        for owner in ("current_organization", "uri"):
            uri = fields.text(me.get(owner))
            try:
                if uri is not None:
                    return listed({"organization" if owner != "uri" else "user": uri})
            except ProviderRefused:
                # Only administrators may list an organization; everybody may list their own.
                if owner == "uri":
                    raise
        raise ProviderUnavailable(PROVIDER)

    def _event_types(self, of: Mapping[str, str]) -> Sequence[CalendlyEventType]:
        pages = self._pages("/event_types", of, most=_MOST_PAGES)
        read = [calendly_shapes.event_type(item) for page in pages for item in page]
        return [kind for kind in read if kind is not None]

    def _pages(self, path: str, wanted: Mapping[str, str], *, most: int) -> Iterator[list[Mapping[str, Any]]]:
        token: str | None = None
        for _ in range(most):
            place = {"count": _PAGE} | ({"page_token": token} if token else {})
            page = fields.mapping(self._http.get(path, {**wanted, **place}))
            if not isinstance(page.get("collection"), list):
                raise ProviderUnavailable(PROVIDER)
            yield [fields.mapping(item) for item in page["collection"]]
            following = fields.text(fields.mapping(page.get("pagination")).get("next_page_token"))
            if following is None or following == token:
                return
            token = following

    def invitees_of(self, event_uri: str) -> Sequence[CalendlyInvitee]:
        identity = calendly_shapes.last_id(event_uri)
        event = self._resource(f"/scheduled_events/{identity}") if identity else None
        return [] if event is None else [*self._invitees_of(event)]

    def invitees_from(self, moment: datetime) -> Iterator[CalendlyInvitee]:
        since = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        wanted = {"min_start_time": since, "sort": "start_time:asc"}
        first, pages = self._of_everybody(lambda of: self._begun({**wanted, **of}))
        for event in (*first, *(event for page in pages for event in page)):
            yield from self._invitees_of(event)

    def _begun(self, wanted: Mapping[str, str]) -> tuple[list[Mapping[str, Any]], Iterator[list[Mapping[str, Any]]]]:
        """The first page and those after it: whether they may be listed at all shows with the first."""
        pages = self._pages("/scheduled_events", wanted, most=_MOST_PAGES_OF_ALL)
        return next(pages, []), pages

    def _invitees_of(self, event: Mapping[str, Any]) -> Iterator[CalendlyInvitee]:
        identity = calendly_shapes.last_id(fields.text(event.get("uri")) or "")
        if identity is None:
            raise ProviderUnavailable(PROVIDER)
        for page in self._pages(f"/scheduled_events/{identity}/invitees", {}, most=_MOST_PAGES):
            for person in page:
                found = calendly_shapes.invitee(person, event)
                if found is not None:
                    yield found

    def invitee(self, uri: str) -> CalendlyInvitee | None:
        ids = calendly_shapes.invitee_ids(uri)
        if ids is None:
            return None
        event_path = f"/scheduled_events/{ids[0]}"
        person = self._resource(f"{event_path}/invitees/{ids[1]}")
        event = self._resource(event_path) if person is not None else None
        if person is None or event is None:
            return None
        found = calendly_shapes.invitee(person, event)
        if found is None:
            raise AnswerUnreadable(PROVIDER)
        return found

    def cancel_event(self, event_uri: str, reason: str) -> None:
        identity = calendly_shapes.last_id(event_uri)
        if identity is None:
            raise ProviderRefused(PROVIDER, "event_uri_is_none")
        try:
            self._http.post(f"/scheduled_events/{identity}/cancellation", {"reason": reason})
        except ProviderRefused:
            event = self._resource(f"/scheduled_events/{identity}")
            if event is not None and fields.text(event.get("status")) != "canceled":
                raise

    def _resource(self, path: str) -> Mapping[str, Any] | None:
        answer = self._http.get(path)
        if answer is None:
            return None
        resource = fields.mapping(answer).get("resource")
        if not isinstance(resource, dict):
            raise ProviderUnavailable(PROVIDER)
        return resource


def reason_of(body: Any) -> str | None:
    """Calendly's errors have a title instead of a code: `Permission Denied`."""
    title = fields.text(fields.mapping(body).get("title"))
    return title.lower().replace(" ", "_") if title else None
