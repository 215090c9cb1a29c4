"""What stands between the web server and Flask, so that slow people and full hours cost threads and nothing scarcer.

From outside in: a request's body is read to its end (`request_body`), then the request waits for a place to work in
(`admission`), and its place is free again as soon as the answer is complete, however slowly it is fetched.
"""

from flask import Flask

from admin_app.config import Settings
from views.middleware.admission import WAITS_SECONDS, Admission, Places, note_complete_answers
from views.middleware.request_body import ReadBodyFirst


def register(app: Flask, settings: Settings, *, largest_request: int) -> None:
    """Put them around the application; what is put around it later stands outside of them."""
    note_complete_answers(app)
    admitted = Admission(
        app.wsgi_app,
        pages=Places(settings.web_requests_at_once, waiting=settings.web_waiting, seconds=WAITS_SECONDS),
        deliveries=Places(settings.web_deliveries_at_once, waiting=settings.web_waiting, seconds=WAITS_SECONDS),
        secure=settings.secure_cookies,
    )
    app.wsgi_app = ReadBodyFirst(  # type: ignore[method-assign]
        admitted, largest=largest_request, secure=settings.secure_cookies
    )
