"""When a program is started again, by a clock of the test's own."""

from admin_app.launcher.restarts import Restarts


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def ends(*lives: float) -> list[float | None]:
    """The pauses after lives of so many seconds."""
    clock = Clock()
    restarts, pauses = Restarts(clock), []
    for life in lives:
        clock.now += life
        pauses.append(restarts.pause())
        clock.now += pauses[-1] or 0.0
        restarts.began()
    return pauses


def test_pauses_grow_and_a_fifth_end_within_a_minute_is_the_last() -> None:
    assert ends(0, 0, 0, 0, 0) == [1, 2, 4, 8, None]


def test_one_that_lives_a_little_is_started_again_for_ever_with_the_longest_pause() -> None:
    assert ends(*[20] * 9) == [1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_a_minute_of_life_forgets_what_was_before() -> None:
    assert ends(0, 0, 0, 0, 60, 0, 0, 0, 0) == [1, 2, 4, 8, 1, 2, 4, 8, None]
