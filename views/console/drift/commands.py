"""Starting a comparison, and what is decided about a difference."""

from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.core.field_labels import label_of
from admin_app.services.drift import PROVIDERS, drift_resolving, drift_runs
from admin_app.services.drift.drift_resolving import NoSuchFinding
from admin_app.services.drift.drift_sides import sides
from models import DriftFinding
from views.backdesk import backdesk
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.current_staff import viewer
from views.console.framework.plan_pages import CommandPage, confirmed
from views.reading import read_session


class DriftRunCommandsView(ConsoleView):
    permissions = MappingProxyType({"start": Permission.DRIFT_RUN})

    def __init__(self) -> None:
        super().__init__(name="Comparison commands", endpoint="drift-run-commands", url="/admin/drift-runs")

    @command("/start")
    def start(self) -> ResponseReturnValue:
        configured = sides(backdesk().providers, backdesk().db.clock)

        return CommandPage(
            view=self,
            act=lambda ctx: drift_runs.request(ctx, provider=request.form.get("provider", "")),
            said=lambda run: f"Comparison {run.id} with {PROVIDERS[run.provider]} is on its way.",
            button="Compare now",
            title="Compare with a provider",
            subtitle="What no event brought is taken in; what cannot be is shown as a difference.",
            cancel="/admin/drift-runs/",
            template="console/drift/start.html",
            more={"providers": [(name, words) for name, words in PROVIDERS.items() if name in configured]},
        ).respond()


class DriftFindingCommandsView(ConsoleView):
    permissions = MappingProxyType(dict.fromkeys(("adopt", "push", "ignore", "assign"), Permission.DRIFT_RESOLVE))

    def __init__(self) -> None:
        super().__init__(name="Difference commands", endpoint="drift-finding-commands", url="/admin/drift-findings")

    @command(f"/{KEY}/adopt")
    def adopt(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: drift_resolving.plan_adopt(ctx, finding_id=key),
            act=lambda ctx: drift_resolving.adopt(ctx, finding_id=key, **confirmed()),
            said="Theirs is being taken over. Look again in a moment.",
            button="Take theirs over",
            title="Take theirs over",
        )

    @command(f"/{KEY}/push")
    def push(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: drift_resolving.plan_push(ctx, finding_id=key),
            act=lambda ctx: drift_resolving.push(ctx, finding_id=key, **confirmed()),
            said="Ours is being pushed. Look again in a moment.",
            button="Push ours",
            title="Push ours",
            danger=True,
        )

    @command(f"/{KEY}/ignore")
    def ignore(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: drift_resolving.plan_ignore(ctx, finding_id=key),
            act=lambda ctx: drift_resolving.ignore(ctx, finding_id=key, **confirmed()),
            said="The difference stands, until one of the two values changes.",
            button="Let it stand",
            title="Let the difference stand",
        )

    @command(f"/{KEY}/assign")
    def assign(self, key: int) -> ResponseReturnValue:
        typed = request.values.get("email")

        return self._page(
            key,
            plan=lambda ctx: drift_resolving.plan_assign(ctx, finding_id=key, email=typed) if typed else None,
            act=lambda ctx: drift_resolving.assign(ctx, finding_id=key, email=typed or "", **confirmed()),
            said=f"{typed} takes care of it.",
            button="Give it to them",
            title="Give it to somebody",
            template="console/framework/email_then_plan.html",
            more={"email": typed if typed is not None else viewer().staff.email, "label": "The colleague's e-mail"},
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        found = read_session().get(DriftFinding, key)
        if found is None:
            raise NoSuchFinding
        address = record_address("drift-findings", key)
        subtitle = f"Difference {key}: {label_of(found.field)} at {PROVIDERS[found.provider]}"
        return CommandPage(view=self, subtitle=subtitle, cancel=address, **parts).respond()
