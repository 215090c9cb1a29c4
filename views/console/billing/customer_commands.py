"""Saying which client a Stripe customer is."""

from types import MappingProxyType

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.errors import InvalidInput
from admin_app.policies.permissions import Permission
from admin_app.services.billing import customer_linking
from models import ClientCustomer
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage, confirmed
from views.reading import known

NOT_A_NUMBER = "Write the client's number, as it stands in the address of the client's page."


class CustomerCommandsView(ConsoleView):
    permissions = MappingProxyType({"link": Permission.DRIFT_RESOLVE})

    def __init__(self) -> None:
        super().__init__(name="Customer commands", endpoint="customer-commands", url="/admin/client-customers")

    @command(f"/{KEY}/link")
    def link(self, key: int) -> ResponseReturnValue:
        row = known(ClientCustomer, key, "There is no such Stripe customer.")
        typed = request.values.get("client")

        address = record_address("client-customers", key)
        return CommandPage(
            view=self,
            plan=lambda ctx: (
                customer_linking.plan_link(ctx, customer_id=key, client_id=_number(typed))
                if typed is not None
                else None
            ),
            act=lambda ctx: customer_linking.link(ctx, customer_id=key, client_id=_number(typed or ""), **confirmed()),
            said="It is noted, and Stripe is being asked. Its answer is shown here in a moment.",
            button="It is this client",
            title="Say which client it is",
            subtitle=row.stripe_customer_id,
            cancel=address,
            template="console/billing/customer_form.html",
            hidden={"client": typed or ""},
            more={"wanted": typed or ""},
        ).respond()


def _number(typed: str) -> int:
    text = typed.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput(NOT_A_NUMBER, fields={"client": NOT_A_NUMBER})
    return int(text)
