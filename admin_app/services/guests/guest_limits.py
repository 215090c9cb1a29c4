"""The rate limits on guests' sign-in: on codes that are asked for, and on codes that are tried.

By e-mail address, known or not, so that a refusal tells nothing; and by the network that the calls come from.
"""

from datetime import timedelta

from admin_app.context import Ctx
from admin_app.errors import TooManyAttempts
from admin_app.services.staff import sign_in_limits
from admin_app.services.staff.sign_in_limits import digest

# WorkOS itself mails three codes a minute to one address, and takes ten tries.
FREE_OF_ADDRESS = 4
FREE_OF_NETWORK = 60
FORGIVES_ONE_EVERY = timedelta(minutes=2)


def enforce(ctx: Ctx, *, what: str, email: str, ip: str | None) -> None:
    """Count one more try; refused while the limit is reached."""
    rows = [(_address(what, email), FREE_OF_ADDRESS)]
    if network := sign_in_limits.of_caller(ip, f"guest network {what}"):
        rows.append((network, FREE_OF_NETWORK))
    for key, free in sorted(rows):
        row = sign_in_limits.hold(ctx, key, forgives_one_every=FORGIVES_ONE_EVERY)
        if sign_in_limits.is_on(row, ctx.now):
            raise TooManyAttempts
        sign_in_limits.count_failure(row, ctx.now, free=free)


def let_go(ctx: Ctx, *, what: str, email: str) -> None:
    """The address has proved itself."""
    sign_in_limits.release(sign_in_limits.hold(ctx, _address(what, email)))


def _address(what: str, email: str) -> bytes:
    return digest(f"guest {what}", email.casefold())
