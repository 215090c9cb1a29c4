"""Asks the identity provider about one account, and has addresses changed there."""

from admin_app.context import Job
from admin_app.errors import NotSignedIn
from admin_app.integrations.http import deadline
from admin_app.integrations.ports import ClerkUser
from admin_app.jobs.bench import Bench
from admin_app.services.purchases import account_deletion, address_sending, clerk_events

ACTOR = Job("ask_about_person")
CHANGES = Job("change_address")


@deadline.short_task
def ask(bench: Bench, user_id: str) -> None:
    """Take in who the person is, or have an account that is gone let go; nothing where nobody can be asked.

    Somebody else has one of its addresses by now.
    """
    clerk = bench.providers.clerk
    if clerk is None or not clerk.knows_people:
        return
    try:
        person: ClerkUser | None = clerk.user(user_id, fresh=True)
    except NotSignedIn:
        person = None
    with bench.db.unit_of_work(ACTOR) as ctx:
        if person is None:
            account_deletion.let_go(ctx, user_id=user_id)
        else:
            # It takes nothing from whoever verified an address later: two who take turns would never come to an end.
            clerk_events.apply_person(ctx, person, since=person.created_at or ctx.now, takes_over=False)


@deadline.short_task
def change_address(bench: Bench, call_id: int) -> None:
    """Have an address added, made the primary one or unlinked at the provider, as the noted call says."""
    address_sending.send(lambda: bench.db.unit_of_work(CHANGES), bench.providers, call_id=call_id)
