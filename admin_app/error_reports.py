"""Reports of unforeseen errors to Sentry, when a DSN is set: what kind and where, never an exception's text."""

from typing import TYPE_CHECKING

import sentry_sdk

from admin_app.config import Settings

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint


FRAMES_SHOWN = 8


def frames_of(error: BaseException) -> list[str]:
    """Where it happened, innermost last, without what was said: a message may hold values of a row."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[-FRAMES_SHOWN:]


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
    said = event.get("logentry")
    if said is not None:
        event["logentry"] = {"message": str(said.get("message", "")).partition(":")[0]}
    for part in ("request", "breadcrumbs", "extra", "user"):
        event.pop(part, None)  # type: ignore[misc]
    return event
