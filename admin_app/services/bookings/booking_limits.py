"""The rate limit on bookings: whoever holds one time after the other without an account is slowed down.

What is refused for another reason is not counted, since its transaction ends with nothing kept.
"""

from datetime import timedelta

from admin_app.context import Ctx
from admin_app.errors import TooManyAttempts
from admin_app.services.staff import sign_in_limits

FREE = 30
FORGIVES_ONE_EVERY = timedelta(minutes=2)


def enforce(ctx: Ctx, *, ip: str | None) -> None:
    """Count one more booking of this network; refused while the limit is reached."""
    network = sign_in_limits.of_caller(ip, "network that books")
    if network is None:
        return
    row = sign_in_limits.hold(ctx, network, forgives_one_every=FORGIVES_ONE_EVERY)
    if sign_in_limits.is_on(row, ctx.now):
        raise TooManyAttempts("Too many bookings came from your network. Wait up to 15 minutes and try again.")
    sign_in_limits.count_failure(row, ctx.now, free=FREE)
