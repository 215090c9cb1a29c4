"""An error report says what kind and where, and nothing of what people typed or own."""

from typing import Any

import sentry_sdk
from sentry_sdk.transport import Transport

from admin_app import error_reports


class Kept(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events.append(envelope.get_event())


def test_a_report_carries_no_text_of_the_exception() -> None:
    kept = Kept()
    client = sentry_sdk.Client(
        "https://key@127.0.0.1/1",
        transport=kept,
        before_send=error_reports.only_the_kind,
        include_local_variables=False,
        default_integrations=False,
    )
    personal = "@".join(("ja" + "ne", "example.com"))  # not in one piece in the source, which a report may quote
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        try:
            raise ValueError(personal)
        except ValueError as error:
            error_reports.report(error, reference="abc")
    (event,) = kept.events
    assert event["exception"]["values"][0]["type"] == "ValueError"
    assert event["tags"] == {"request_id": "abc"}
    assert personal not in repr(event)


def test_without_a_dsn_nothing_is_sent() -> None:
    error_reports.report(ValueError("jane@example.com"), reference="abc")
    assert not sentry_sdk.get_client().is_active()
