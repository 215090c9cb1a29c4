"""Differences between what we hold and what the providers hold, and what became of each."""

from collections.abc import Mapping
from typing import Any

from admin_app.policies.permissions import Permission
from admin_app.services.core.field_labels import label_of
from admin_app.services.drift import PROVIDERS, drift_resolving
from admin_app.services.inbox import PARKED_SENTENCES
from models import DriftFinding, DriftState, StaffMember
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec
from views.console.framework.searching import Search

NUMBER = Column("Number", DriftFinding.id, link=("drift-findings", DriftFinding.id))
PROVIDER = Column("Provider", DriftFinding.provider, text=lambda name: PROVIDERS.get(name, name))
SUBJECT = Column("About", DriftFinding.subject, "records", text=lambda subject: (subject,))
FIELD = Column("Field", DriftFinding.field, text=label_of)
OURS, THEIRS = Column("Ours", DriftFinding.ours, "kept"), Column("Theirs", DriftFinding.theirs, "kept")
STATE = Column("State", DriftFinding.state, "badge")
OWNER = Column("Owner", StaffMember.email, through=DriftFinding.owner_id)
BECAUSE = Column("Why it waits", DriftFinding.because, text=lambda code: sentence_of(code))
WANTED = {drift_resolving.ADOPT: "theirs is being taken over", drift_resolving.PUSH: "ours is being pushed"}


def sentence_of(code: str) -> str:
    """Why a comparison did not settle it, in a sentence where there is one."""
    return drift_resolving.BECAUSE.get(code) or PARKED_SENTENCES.get(code) or code.replace("_", " ")


def _is_open(values: Mapping[str, Any]) -> bool:
    return values["state"] is DriftState.OPEN and values["wanted"] is None


def _asked(may: Any) -> Any:
    return lambda values: may(values["provider"], values["field"], values["state"], values["wanted"])


def _command(label: str, word: str, when: Any, tone: str = "plain") -> Command:
    return Command(
        label=label,
        permission=Permission.DRIFT_RESOLVE,
        address=lambda key: f"/admin/drift-findings/{key}/{word}",
        when=when,
        tone=tone,
    )


class DriftFindingsView(ConsoleModelView):
    in_menu = Menu("Traffic", "Drift", "arrows-sort", 430)
    permissions = reads(Permission.DRIFT_READ)
    listing = ListSpec(
        section="drift-findings",
        title="Drift",
        one="difference",
        model=DriftFinding,
        lead="Where Stripe, Whop, Calendly or Cal.com say something else than we do. What a comparison could take over "
        "by itself is repaired; what is open waits for somebody.",
        columns=(
            NUMBER,
            PROVIDER,
            SUBJECT,
            FIELD,
            OURS,
            THEIRS,
            STATE,
            Column("Age", DriftFinding.found_at, "age", sort="found"),
            OWNER,
        ),
        sorts={
            "found": Sort("Found", DriftFinding.found_at, descending=True),
            "id": Sort("Order of arrival", DriftFinding.id, descending=True),
        },
        filters=(
            Choice.of("state", "State", DriftFinding.state, DriftState),
            Choice("provider", "Provider", DriftFinding.provider, tuple(PROVIDERS)),
            YesNo("owned", "Has an owner", DriftFinding.owner_id.is_not(None)),
            Days("found", "Found", DriftFinding.found_at),
            Exactly("about", "About", DriftFinding.subject),
            Exactly("run", "Comparison", DriftFinding.run_id),
        ),
        search=Search(
            hint="Number of the difference, or a record like booking:12",
            exact=(DriftFinding.subject,),
            key=DriftFinding.id,
        ),
        empty="No comparison has found anything that differs.",
    )
    record = RecordSpec(
        title=FIELD,
        badge=STATE,
        groups=(
            Group(
                "Difference",
                (PROVIDER, SUBJECT, OURS, THEIRS, BECAUSE, Column("Id there", DriftFinding.external_id, "code")),
            ),
            Group(
                "Where it stands",
                (
                    Column("Found", DriftFinding.found_at, "time"),
                    Column("Last seen", DriftFinding.last_seen_at, "time"),
                    Column("Comparison", DriftFinding.run_id, link=("drift-runs", DriftFinding.run_id)),
                    OWNER,
                    Column("Decided", DriftFinding.wanted, text=lambda wanted: WANTED.get(wanted, wanted)),
                    Column("Settled", DriftFinding.resolved_at, "time"),
                    Column("By", DriftFinding.resolved_by),
                    Column("Reason", DriftFinding.reason),
                ),
            ),
        ),
        commands=(
            _command("Take theirs over", "adopt", _asked(drift_resolving.may_adopt), "primary"),
            _command("Push ours", "push", _asked(drift_resolving.may_push)),
            _command("Let it stand", "ignore", _is_open),
            _command("Give it to somebody", "assign", _is_open),
        ),
        audited_as="drift_finding",
    )
