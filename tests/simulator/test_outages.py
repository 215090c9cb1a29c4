"""What a provider's silence leads to, with programs of its own: they stay wary of that provider for a while."""

import time

import httpx

from admin_app.simulator import control


def test_an_address_that_nobody_tells_parks_the_event_and_outages_answer_at_once(programs):
    made = control.purchase(programs.simulator, email=None)
    parked = programs.wait_for("SELECT * FROM webhook_events WHERE state = 'parked'")
    assert parked["subject"] == made["membership_id"]
    control.fault(programs.simulator, "clerk", "500", times=20)
    started = time.monotonic()
    answer = httpx.post(f"{programs.url}/api/profiles/sign-in", headers=programs.as_customer("user_1"))
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
    assert time.monotonic() - started < 5
