"""What may come from outside where a time or a number is meant: well formed, as far away as it can be written."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

# The first and last that Python can hold, whose neighbours it cannot; beyond what PostgreSQL's integers hold; and forms
# that are longer than any day.
FAR_TIMES = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59Z",
    "2200-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999-12:00",
    "9999-W52-7T23:59:59Z",
    "99999999999999999999",
    "10000-01-01T00:00:00Z",
)
FAR_LOCAL_TIMES = (
    *("0001-01-01T00:00", "1969-12-31T23:59", "2200-01-01T00:00", "9998-12-31T23:59", "9999-12-31T23:59"),
    *("99999999999999999999", "20261-12-01T09:00", "2026-11-30T09:00" * 40),
)
FAR_DAYS = ("0001-01-01", "2200-01-01", "9999-12-31", "9999-W52-7", "99999999999999999999")
FAR_NUMBERS = (
    *("0", "-1", str(2**31 - 1), str(2**31), str(2**63 - 1), str(2**63), "9" * 20, "9" * 5000),
    *("1e400", "NaN", "-0", "1_000", "٣", "²"),
)
FAR_WHOLE_NUMBERS = (-(2**63) - 1, -1, 0, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 10**30)

_OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.one_of(
    st.sampled_from(FAR_TIMES),
    st.datetimes(timezones=_OFFSETS | st.just(UTC)).map(datetime.isoformat),
)
WHOLE_NUMBERS = st.one_of(st.sampled_from(FAR_WHOLE_NUMBERS), st.integers())
