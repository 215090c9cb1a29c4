"""Calendly's API, version 2."""

from collections.abc import Mapping, Sequence
from typing import Any

from admin_app.errors import ProviderRefused, ProviderUnavailable
from admin_app.integrations import calendly_shapes, fields
from admin_app.integrations.calendar_ports import CalendlyEventType, CalendlyInvitee
from admin_app.integrations.provider_http import ProviderHttp

PROVIDER = "calendly"
_PAGE, _MOST_PAGES = "100", 50


class CalendlyApi:
    """`CalendlyPort` over HTTP."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    def event_types(self) -> Sequence[CalendlyEventType]:
        me = self._resource("/users/me")
        if me is None:
            raise ProviderUnavailable(PROVIDER)
        for owner in ("current_organization", "uri"):
            uri = fields.text(me.get(owner))
            try:
                if uri is not None:
                    return self._event_types({"organization" if owner != "uri" else "user": uri})
            except ProviderRefused:
                # Only administrators may list an organization; everybody may list their own.
                if owner == "uri":
                    raise
        raise ProviderUnavailable(PROVIDER)

    def _event_types(self, of: Mapping[str, str]) -> Sequence[CalendlyEventType]:
        found: list[CalendlyEventType] = []
        token: str | None = None
        for _ in range(_MOST_PAGES):
            page = fields.mapping(
                self._http.get("/event_types", {**of, "count": _PAGE} | ({"page_token": token} if token else {}))
            )
            if not isinstance(page.get("collection"), list):
                raise ProviderUnavailable(PROVIDER)
            read = [calendly_shapes.event_type(fields.mapping(item)) for item in page["collection"]]
            found += [kind for kind in read if kind is not None]
            following = fields.text(fields.mapping(page.get("pagination")).get("next_page_token"))
            if following is None or following == token:
                break
            token = following
        return found

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
            raise ProviderUnavailable(PROVIDER)
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
