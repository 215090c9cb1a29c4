"""Provider calls: everything that was changed at a provider, with the calls first whose answer never came.

What failed for good, or stays unknown, needs attention until somebody tries it again with success or settles it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.attention import call_settling
from models import CallState, ProviderCall
from views.console.framework.base import KEY, ConsoleModelView, ConsoleView, command, reads
from views.console.framework.columns import Column, record_address
from views.console.framework.filters import Choice, Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.plan_pages import CommandPage, confirmed
from views.console.framework.records import Group, RecordSpec
from views.console.framework.searching import Search
from views.console.inbox.failures import SETTLED, failure_commands
from views.reading import known

STATE = Column("State", ProviderCall.state, "badge", sort="state")
ABOUT = Column("About", ProviderCall.subject, "records", text=lambda subject: (subject,))
OPERATION = Column("Operation", ProviderCall.operation, "code")
PROVIDER = Column("Provider", ProviderCall.provider)


def _needs_attention(values: Mapping[str, Any]) -> bool:
    return values["attention_since"] is not None


def _attention(values: Mapping[str, Any]) -> str | None:
    if not _needs_attention(values):
        return None
    provider, state = values["provider"], values["state"]
    happened = call_settling.what_happened(
        provider, state, values["error_code"], values["attempts"], values["next_try_at"]
    )
    return f"{happened} {call_settling.what_to_do(provider, values['operation'], state)}"


def _may_be_retried(values: Mapping[str, Any]) -> bool:
    possible = call_settling.may_be_retried(values["provider"], values["operation"], values["state"])
    return _needs_attention(values) and possible


class ProviderCallsView(ConsoleModelView):
    in_menu = Menu("Money", "Provider calls", "send", 410)
    permissions = reads(Permission.PAYMENTS_READ)
    listing = ListSpec(
        section="provider-calls",
        title="Provider calls",
        one="provider call",
        model=ProviderCall,
        lead="What Backdesk changed or tried to change at Stripe, Cal.com and the others. Unknown means that no "
        "answer came; Backdesk asks by itself. What failed for good, or stays unknown, needs attention (see Filters).",
        columns=(
            Column("Number", ProviderCall.id, link=("provider-calls", ProviderCall.id)),
            PROVIDER,
            OPERATION,
            ABOUT,
            STATE,
            Column("Error", ProviderCall.error_code, "badge"),
            Column("Tries", ProviderCall.attempts, "number"),
            Column("Noted", ProviderCall.created_at, "time", sort="created"),
            Column("Needs attention for", ProviderCall.attention_since, "age"),
        ),
        sorts={
            # By the word: unknown, succeeded, intended, failed.
            "state": Sort("Unknown first", ProviderCall.state, descending=True),
            "created": Sort("Noted", ProviderCall.created_at, descending=True),
        },
        filters=(
            YesNo("attention", "Needs attention", ProviderCall.attention_since.is_not(None)),
            Choice.of("state", "State", ProviderCall.state, CallState),
            Days("created", "Noted", ProviderCall.created_at),
            Exactly("about", "About", ProviderCall.subject),
        ),
        search=Search(
            hint="Call number, idempotency key, or a record like booking:12",
            exact=(ProviderCall.idempotency_key, ProviderCall.subject),
            key=ProviderCall.id,
        ),
        empty="A call is noted here before anything is changed at a provider.",
    )
    record = RecordSpec(
        title=ProviderCall.operation,
        badge=Column("State", ProviderCall.state, "badge"),
        groups=(
            Group(
                "Call",
                (
                    PROVIDER,
                    OPERATION,
                    ABOUT,
                    Column("Idempotency key", ProviderCall.idempotency_key, "code"),
                    Column("Noted", ProviderCall.created_at, "time"),
                ),
            ),
            Group(
                "Answer",
                (
                    Column("Came", ProviderCall.finished_at, "time"),
                    Column("Made there", ProviderCall.external_id, "code"),
                    Column("Error", ProviderCall.error_code, "badge"),
                    Column("Tries", ProviderCall.attempts, "number"),
                    Column("Tried again by itself", ProviderCall.next_try_at, "time"),
                    Column("Needs attention since", ProviderCall.attention_since, "time"),
                ),
            ),
        ),
        commands=failure_commands(
            "provider-calls", again="Try again", word="retry", again_when=_may_be_retried, when=_needs_attention
        ),
        audited_as="provider_call",
        attention=_attention,
    )


class ProviderCallCommandsView(ConsoleView):
    """What is done about a call that needs attention."""

    permissions = MappingProxyType(dict.fromkeys(("retry", "settle"), Permission.FAILURES_SETTLE))

    def __init__(self) -> None:
        super().__init__(name="Provider call commands", endpoint="provider-call-commands", url="/admin/provider-calls")

    @command(f"/{KEY}/retry")
    def retry(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: call_settling.plan_retry(ctx, call_id=key),
            act=lambda ctx: call_settling.retry(ctx, call_id=key, **confirmed()),
            said="It is being tried again. Reload this page in a moment to see whether it helped.",
            button="Try again",
            title="Try again",
        )

    @command(f"/{KEY}/settle")
    def settle(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: call_settling.plan_settle(ctx, call_id=key),
            act=lambda ctx: call_settling.settle(ctx, call_id=key, **confirmed()),
            said="It is settled and needs no attention any more.",
            button=SETTLED,
            title=SETTLED,
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        call = known(ProviderCall, key, "There is no such call.")
        subtitle, address = f"Call {key}, {call.operation}", record_address("provider-calls", key)
        return CommandPage(view=self, subtitle=subtitle, cancel=address, **parts).respond()
