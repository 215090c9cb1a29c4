"""The benchmark of bookings itself, small: that it fills, asks at every size in turns and judges."""

from tests.bench import appointment_rows, appointments
from tests.bench.appointments import Site

BOOKINGS = 3_200


def test_each_act_is_measured_as_often_at_every_size(fresh_database_url: str) -> None:
    appointment_rows.fill(fresh_database_url, BOOKINGS)
    sites = [appointments.open_site(fresh_database_url, BOOKINGS)]
    appointments.measure(sites, rounds=2, warm_up=1)
    sites[0].bench.db.dispose()
    assert {name: len(taken) for name, taken in sites[0].milliseconds.items()} == {
        "a booking, to the call of Stripe": 2,
        "a delivery of Cal.com": 2,
        "a delivery of Calendly": 2,
    }


def test_the_large_one_may_take_half_as_long_again() -> None:
    def site(milliseconds: float) -> Site:
        return Site(BOOKINGS, None, None, milliseconds={"a booking": [milliseconds]})  # type: ignore[arg-type]

    assert [bar.holds for bar in appointments.bars(site(10), site(15))] == [True]
    assert [bar.holds for bar in appointments.bars(site(10), site(15.1))] == [False]
    assert "| a booking | 10.0 | 15.1 | 1.51 | 1.5 | MISSED |" in list(appointments.section(site(10), site(15.1)))
