"""What ops, finance and an administrator did with clients, by the product's own services at the time they did it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, select

from admin_app.context import Ctx, Job, Staff
from admin_app.demo.clock import Stage
from admin_app.demo.purchases import Script
from admin_app.services import billing
from admin_app.services.billing import billing_overrides, trials
from admin_app.services.clients import bulk_runs, bulk_work, emergency, flag_following, flags, onboarding
from admin_app.services.clients.flags import FlagRequest
from admin_app.services.core import exports
from admin_app.services.staff import service_keys
from models import (
    BillingStatus,
    Client,
    ExportFormat,
    FlagChange,
    FlagName,
    OnboardingState,
    OnExpiry,
    Role,
    Scope,
    ServiceKey,
    Subscription,
)

CLOCK = Job("follow_switch")
ON_TIME = timedelta(seconds=1)
# The clients of the first place: what a run switches.
PLACE = "Harbour"


class ClientCases:
    """Notes every case down in the script."""

    def __init__(self, stage: Stage, script: Script, staff: dict[Role, Staff]) -> None:
        self.stage = stage
        self.script = script
        self.staff = staff
        self.session = stage.ctx.session
        self._random = stage.invention("client_cases").random
        self._taken: set[int] = set()

    def note_all(self) -> None:
        self._switches()
        self._stop()
        self._run()
        self._overrides()
        self._trials()
        self._onboarding()
        self._service_keys()
        self._exports()

    # -- ops ---------------------------------------------------------------------------------------------------

    def _switches(self) -> None:
        today, until_monday = self.stage.today, _next_monday(self.stage.today)
        paused, disabled = FlagName.OUTBOUND_PAUSED, FlagName.AI_DISABLED
        self._switch(
            1.2,
            self._calm(BillingStatus.ACTIVE),
            FlagRequest(paused, True, "Asked for no calls until their new price list is in.", until=until_monday),
        )
        self._switch(
            3.4,
            self._calm(BillingStatus.ACTIVE),
            FlagRequest(
                paused,
                True,
                "Moving to a new office: the phones are off, they call us.",
                since=today + timedelta(days=2),
                until=today + timedelta(days=5),
                tell_email="ops@demo.test",
                tell_at=today + timedelta(days=4),
            ),
        )
        self._switch(
            13,
            self._calm(BillingStatus.ACTIVE),
            FlagRequest(
                disabled,
                True,
                "The agent quoted wrong opening hours. Corrected texts are due.",
                until=self.stage.ago(days=2),
                on_expiry=OnExpiry.STAY,
            ),
        )
        self._switch(
            31, self._calm(BillingStatus.ACTIVE), FlagRequest(disabled, True, "Their lawyer looks at recordings.")
        )
        back = self._calm(BillingStatus.ACTIVE)
        self._switch(9, back, FlagRequest(paused, True, "A number was called twice a day. Looking into it."))
        self._switch(4, back, FlagRequest(paused, False, "The campaign was set up twice, one is deleted."))
        over = self._calm(BillingStatus.ACTIVE)
        ended = self.stage.ago(days=18)
        self._switch(25, over, FlagRequest(paused, True, "On company holidays.", until=ended))
        self.script.note(ended, lambda: self._follow(ended, select(FlagChange.id).where(FlagChange.client_id == over)))

    def _switch(self, days: float, client_id: int | None, asked: FlagRequest) -> None:
        moment = self.stage.ago(days=days)
        if client_id is None:
            return

        def act() -> None:
            ctx = self._ctx(moment, Role.OPS)
            found = flags.state(self.session, [client_id], asked.flag, moment)[client_id]
            flags.set_flag(ctx, client_id=client_id, asked=asked, shown=found.fingerprint)

        self.script.note(moment, act)

    def _stop(self) -> None:
        began = self.stage.ago(days=63)
        reason = "The telephony provider connects callers to wrong numbers."

        def stop() -> None:
            ctx, until = self._ctx(began, Role.OPS), began + timedelta(hours=6)
            emergency.start(ctx, reason=reason, until=until, shown=emergency.plan_start(ctx, until=until).fingerprint)

        def release() -> None:
            ctx = self._ctx(began + timedelta(hours=2), Role.OPS)
            emergency.end(ctx, reason="They found and corrected it.", shown=emergency.plan_end(ctx).fingerprint)

        self.script.note(began, stop)
        self.script.note(began + timedelta(hours=2), release)

    def _run(self) -> None:
        """One run over the clients of a place, which ended by the clock."""
        began, ended = self.stage.ago(days=6.2), self.stage.ago(days=4.2)
        asked = FlagRequest(FlagName.OUTBOUND_PAUSED, True, "Street festival, nobody hears the phone.", until=ended)

        def run() -> None:
            ctx = self._ctx(began, Role.OPS)
            ids = select(Client.id).where(Client.name.startswith(f"{PLACE} "))
            made = bulk_runs.choose(ctx, asked=asked, client_ids=ids, chosen_by=f"Everything that matches: {PLACE}")
            go = self._ctx(began + timedelta(minutes=2), Role.OPS)
            bulk_runs.start(go, run_id=made.id, shown=bulk_runs.plan_start(go, run_id=made.id).fingerprint)
            moment = began + timedelta(minutes=2, seconds=4)
            while bulk_work.next_clients(self._at(moment, Job("run_bulk")), run_id=made.id):
                moment += ON_TIME

        self.script.note(began, run)
        of_run = select(FlagChange.id).where(FlagChange.bulk_run_id.is_not(None)).order_by(FlagChange.id)
        self.script.note(ended, lambda: self._follow(ended, of_run))

    def _follow(self, moment: datetime, changes: Select[int]) -> None:
        """The booleans follow the clock, as a worker had them."""
        for change_id in self.session.scalars(changes).all():
            flag_following.follow(self._at(moment + ON_TIME, CLOCK), change_id=change_id)

    def _onboarding(self) -> None:
        """One is completed although no test call was seen."""
        moment = self.stage.ago(days=1.8)
        client_id = self._somebody(
            select(Client.id)
            .join(OnboardingState)
            .where(
                OnboardingState.current_step == "test_call",
                Client.created_at < moment,
                Client.billing_status == BillingStatus.ACTIVE,
            )
        )
        if client_id is None:
            return

        def act() -> None:
            ctx = self._ctx(moment, Role.OPS)
            plan = onboarding.plan_complete_anyway(ctx, client_id=client_id)
            reason = "Heard the test call with them on the phone; their line hides the number."
            onboarding.complete_anyway(ctx, client_id=client_id, reason=reason, shown=plan.fingerprint)

        self.script.note(moment, act)

    # -- finance -----------------------------------------------------------------------------------------------

    def _overrides(self) -> None:
        today = self.stage.today
        # How long ago, the status, the days until its end, and why.
        for days, status, until, reason in (
            (2.6, "active", 2, "Paid by bank transfer today, the money is on its way."),
            (8.1, "active", 20, "The card expired while the owner is abroad, pays on return."),
            (11.5, "active", -3, "Waited for the bank to answer about a blocked card."),
        ):
            moment = self.stage.ago(days=days)
            late_then = select(Subscription.client_id).where(Subscription.past_due_since < moment)
            client_id = self._calm(BillingStatus.PAST_DUE, Client.id.in_(late_then))
            if client_id is not None:
                self._override(moment, client_id, status, today + timedelta(days=until), reason)

    def _override(self, moment: datetime, client_id: int, status: str, until: datetime, reason: str) -> None:
        def act() -> None:
            ctx = self._ctx(moment, Role.FINANCE)
            plan = billing_overrides.plan_override(ctx, client_id=client_id, status=status, until=until)
            billing_overrides.override(
                ctx, client_id=client_id, status=status, until=until, reason=reason, shown=plan.fingerprint
            )

        self.script.note(moment, act)
        if until <= self.stage.today:
            self.script.note(until, lambda: self._look_again(until + ON_TIME, client_id))

    def _look_again(self, moment: datetime, client_id: int) -> None:
        billing.refresh_by_the_clock(self._at(moment, Job("follow_billing")), client_id=client_id)

    def _trials(self) -> None:
        for days, lasts, reason in (
            (9, 14, "Met at the trade fair in May."),
            (3, 30, "Wants to try it in winter."),
        ):
            moment = self.stage.ago(days=days)
            client_id = self._calm(BillingStatus.NONE, Client.created_at < moment)
            if client_id is not None:
                self.script.note(moment, self._grant(moment, client_id, moment + timedelta(days=lasts), reason))

    def _grant(self, moment: datetime, client_id: int, until: datetime, reason: str) -> Callable[[], None]:
        def act() -> None:
            ctx = self._ctx(moment, Role.FINANCE)
            shown = trials.plan_grant(ctx, client_id=client_id, until=until).fingerprint
            trials.grant(ctx, client_id=client_id, until=until, reason=reason, shown=shown)

        return act

    def _exports(self) -> None:
        for days, role, section, arguments, words, rows, form in (
            (22, Role.FINANCE, "refunds", (), "All", 214, ExportFormat.XLSX),
            (7.3, Role.FINANCE, "past-due", (), "All", 13, ExportFormat.CSV),
            (1.1, Role.OPS, "clients", (("search", PLACE),), f"Search: {PLACE}", 15, ExportFormat.CSV),
        ):
            moment = self.stage.ago(days=days)
            self.script.note(moment, self._export(moment, role, section, arguments, words, rows, form))

    def _export(
        self,
        moment: datetime,
        role: Role,
        section: str,
        arguments: tuple[tuple[str, str], ...],
        words: str,
        rows: int,
        form: ExportFormat,
    ) -> Callable[[], None]:
        wanted = exports.Wanted(section, arguments, form, "Europe/Berlin")

        def act() -> None:
            ctx = self._ctx(moment, role)
            exports.hand_over(ctx, wanted=wanted, filter_words=words, rows=rows, size=rows * 118 + 240)

        return act

    # -- an administrator --------------------------------------------------------------------------------------

    def _service_keys(self) -> None:
        """One that was used for a while and is revoked: nobody holds it, nothing hashes to what is kept."""
        made_at, revoked_at = self.stage.ago(days=140), self.stage.ago(days=33)
        random = self._random

        def act() -> None:
            key = ServiceKey(
                name="Phone agent, first server",
                hint=service_keys.PREFIX + "".join(random.choices("abcdefghijkmnpqrstuvwxyz23456789", k=6)),
                key_hash=random.randbytes(32),
                scopes=[Scope.CLIENTS_READ.value, Scope.GATE_ASK.value],
                created_by=self.staff[Role.ADMIN].label,
                created_at=made_at,
                last_used_at=revoked_at - timedelta(minutes=4),
            )
            self.session.add(key)
            self.session.flush()
            ctx = self._ctx(revoked_at, Role.ADMIN)
            plan = service_keys.plan_revoke(ctx, service_key_id=key.id)
            reason = "The server is switched off, its successor has a key of its own."
            service_keys.revoke(ctx, service_key_id=key.id, reason=reason, shown=plan.fingerprint)

        self.script.note(revoked_at, act)

    # ----------------------------------------------------------------------------------------------------------

    def _calm(self, billing_status: BillingStatus, *conditions: ColumnElement[bool]) -> int | None:
        """A client of this status whom no other case is about, and whose switches are off."""
        return self._somebody(
            select(Client.id).where(
                Client.billing_status == billing_status,
                ~Client.outbound_paused,
                ~Client.ai_disabled,
                ~Client.name.startswith(f"{PLACE} "),
                *(conditions or (Client.created_at < self.stage.ago(days=40),)),
            )
        )

    def _somebody(self, ids: Select[int]) -> int | None:
        free = self.session.scalars(ids.where(Client.id.not_in(self._taken)).order_by(Client.id.desc())).first()
        if free is not None:
            self._taken.add(free)
        return free

    def _ctx(self, moment: datetime, role: Role) -> Ctx:
        return self._at(moment, self.staff[role])

    def _at(self, moment: datetime, actor: Staff | Job) -> Ctx:
        return self.stage.at(moment, actor, f"{self._random.getrandbits(128):032x}")


def _next_monday(today: datetime) -> datetime:
    """At eight in the morning."""
    return (today + timedelta(days=7 - today.weekday())).replace(hour=7)
