"""Reports of unforeseen errors to Sentry, when a DSN is set: what kind and where, never an exception's text."""

from typing import TYPE_CHECKING

import sentry_sdk

from admin_app.config import Settings

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint


def start(settings: Settings) -> None:
    """Begin to report; without a DSN `report` does nothing."""
    if settings.sentry_dsn:
        sentry_sdk.init(
            settings.sentry_dsn,
            send_default_pii=False,
            include_local_variables=False,
            max_request_body_size="never",
            before_send=only_the_kind,
        )


def report(error: BaseException, *, reference: str) -> None:
    """Send one error under the reference that the person was shown."""
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("request_id", reference)
        scope.capture_exception(error)


def only_the_kind(event: "Event", _hint: "Hint") -> "Event":
    """Take off what may hold values of a row or a link's token: the text, the address, the crumbs before it."""
    for kind in event.get("exception", {}).get("values", []):
        kind["value"] = ""
    event.pop("request", None)
    event.pop("breadcrumbs", None)
    return event
