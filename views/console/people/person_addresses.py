"""Addresses of people: what the sign-in provider called verified, from when on and until when."""

from collections.abc import Mapping
from typing import Any

from admin_app.policies.permissions import Permission
from admin_app.services.attention import unanswered
from models import PersonAddress
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, Related
from views.console.framework.searching import Search
from views.console.people import address_commands

FACTS = (
    Column("E-mail", PersonAddress.email, link=("person-addresses", PersonAddress.id)),
    Column("Account", PersonAddress.user_id, "code", link=("profiles", PersonAddress.user_id)),
    Column("Primary", PersonAddress.is_primary, "yes_no"),
)
VERIFIED = Column("Verified since", PersonAddress.verified_at, "time", sort="verified")
GIVEN_UP = Column("Given up", PersonAddress.given_up_at, "time")
ASKED = address_commands.asked_of_clerk(PersonAddress.user_id)


def _attention(values: Mapping[str, Any]) -> str | None:
    """What Clerk was asked about this person's addresses last, where that has no good answer."""
    return unanswered.in_words(values["unanswered"]) if values["unanswered"] else None


class PersonAddressesView(ConsoleModelView):
    in_menu = Menu("Customers", "Addresses", "mail", 120)
    permissions = reads(Permission.USERS_READ)
    listing = ListSpec(
        section="person-addresses",
        title="Addresses",
        one="address",
        model=PersonAddress,
        columns=(*FACTS, VERIFIED, GIVEN_UP),
        sorts={
            "verified": Sort("Verified since", PersonAddress.verified_at, descending=True),
            "id": Sort("Order of arrival", PersonAddress.id, descending=True),
        },
        filters=(
            YesNo("given_up", "Given up", PersonAddress.given_up_at.is_not(None)),
            Days("verified", "Verified since", PersonAddress.verified_at),
            Exactly("email", "E-mail", PersonAddress.email),
            Exactly("account", "Account", PersonAddress.user_id),
        ),
        search=Search(
            hint="E-mail, account, or our number",
            emails=(PersonAddress.email,),
            exact=(PersonAddress.user_id,),
            key=PersonAddress.id,
        ),
        empty="Addresses appear when people sign in: they are kept as the sign-in provider says.",
    )
    record = RecordSpec(
        title=PersonAddress.email,
        subtitle="As the sign-in provider says. What is wrong is put right there, by the commands of this page.",
        groups=(Group("Address", (*FACTS, VERIFIED, GIVEN_UP, ASKED)),),
        audited_as="person_address",
        attention=_attention,
        commands=address_commands.COMMANDS,
        related=(
            Related("All addresses of this account", "person-addresses", "account", PersonAddress.user_id),
            Related("All who had this address", "person-addresses", "email", PersonAddress.email),
            Related("Purchases under this address", "pending-profiles", "email", PersonAddress.email),
        ),
    )
