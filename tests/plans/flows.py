"""The tests that go through every door and every job; chosen to be few and short."""

FLOWS = (
    "tests/plans/walk.py",
    "tests/public/test_bookings.py::test_from_the_request_to_the_confirmation",
    "tests/public/test_bookings.py::test_a_time_that_is_taken",
    "tests/public/test_calendar_hints.py::test_one_delivery_tells_all",
)
