"""What happened to a purchase, done again by the product's own services at the time it happened."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import insert, select

from admin_app.context import Actor, Ctx, Customer, Job, Provider, Staff
from admin_app.demo.clock import Stage
from admin_app.demo.crowd import profile_row, user_row
from admin_app.demo.names import Invention, Person
from admin_app.demo.whop import Delivered
from admin_app.integrations.ports import WhopMembership
from admin_app.services import inbox
from admin_app.services.purchases import claim_mails, claims, pending_profiles, undo
from models import ExtraPurchase, Merge, PendingProfile, Profile, User

WHOP = Provider("whop")
PROCESSING = Job("process_event")
MAILING = Job("send_claim_mail")
RECEIVED, APPLIED, MAILED = timedelta(seconds=2), timedelta(seconds=4), timedelta(seconds=9)


class Acts:
    """One method per thing that happens; each takes the moment first."""

    def __init__(self, stage: Stage, invention: Invention, support: Staff, base_url: str) -> None:
        self.stage = stage
        self.session = stage.ctx.session
        self.support = support
        self.base_url = base_url
        self._random = invention.random

    def ctx(self, moment: datetime, actor: Actor) -> Ctx:
        return self.stage.at(moment, actor, f"{self._random.getrandbits(128):032x}")

    # -- the provider ------------------------------------------------------------------------------------------

    def deliver(self, moment: datetime, delivered: Delivered, *, buyer: Person | None = None) -> None:
        """The event comes in and is applied; `buyer` is whom Whop's API names when the event itself does not."""
        event_id = inbox.receive(
            self.ctx(moment + RECEIVED, WHOP),
            provider="whop",
            external_id=delivered.external_id,
            type=delivered.type,
            body=delivered.body,
            occurred_at=delivered.occurred_at,
            subject=delivered.membership_id,
        )
        if event_id is None:
            raise RuntimeError("two deliveries of the demo have the same id")
        looked_up = _as_api_tells(delivered, buyer) if buyer is not None and delivered.email is None else None
        inbox.apply(self.ctx(moment + APPLIED, PROCESSING), event_id=event_id, looked_up=looked_up)

    def mail(self, moment: datetime, membership_id: str) -> None:
        """The claim mail, if the purchase waits."""
        pending = self.pending(membership_id)
        if pending is None:
            return
        ctx = self.ctx(moment + MAILED, MAILING)
        mail = claim_mails.prepare(ctx, pending_profile_id=pending.id, base_url=self.base_url)
        if mail is not None:
            claim_mails.mark_sent(ctx, sent_email_id=mail.sent_email_id, kept=False)

    # -- the customer ------------------------------------------------------------------------------------------

    def open_account(self, moment: datetime, person: Person, *, profile: bool = True) -> None:
        """An account as the site made it, without looking for purchases."""
        self.session.execute(insert(User).values(user_row(person, moment, moment)))
        if profile:
            self.session.execute(insert(Profile).values(profile_row(person, moment)))

    def sign_in(self, moment: datetime, person: Person, verified: Iterable[str]) -> None:
        emails = frozenset(email.lower() for email in verified)
        claims.sign_in(self.ctx(moment, Customer(person.user_id, emails, person.email, person.name)))

    # -- support -----------------------------------------------------------------------------------------------

    def claim_for(self, moment: datetime, membership_id: str, user_id: str, reason: str) -> None:
        ctx, pending_id = self.ctx(moment, self.support), self._id(membership_id)
        shown = claims.plan_for_user(ctx, pending_profile_id=pending_id, user_id=user_id).fingerprint
        claims.claim_for_user(ctx, pending_profile_id=pending_id, user_id=user_id, reason=reason, shown=shown)

    def undo_claim(self, moment: datetime, membership_id: str, reason: str) -> None:
        ctx = self.ctx(moment, self.support)
        merge_id = self.session.scalars(
            select(Merge.id).where(Merge.pending_profile_id == self._id(membership_id), Merge.undone_at.is_(None))
        ).one()
        undo.undo(ctx, merge_id=merge_id, reason=reason, shown=undo.plan(ctx, merge_id=merge_id).fingerprint)

    def correct_email(self, moment: datetime, membership_id: str, email: str, reason: str) -> None:
        ctx, pending_id = self.ctx(moment, self.support), self._id(membership_id)
        shown = pending_profiles.plan_email(ctx, pending_profile_id=pending_id, email=email).fingerprint
        pending_profiles.correct_email(ctx, pending_profile_id=pending_id, email=email, reason=reason, shown=shown)

    def delete(self, moment: datetime, membership_id: str, reason: str) -> None:
        ctx, pending_id = self.ctx(moment, self.support), self._id(membership_id)
        shown = pending_profiles.plan_delete(ctx, pending_profile_id=pending_id).fingerprint
        pending_profiles.delete(ctx, pending_profile_id=pending_id, reason=reason, shown=shown)

    def resend(self, moment: datetime, membership_id: str, reason: str) -> None:
        claim_mails.resend(self.ctx(moment, self.support), pending_profile_id=self._id(membership_id), reason=reason)
        self.mail(moment, membership_id)

    def settle_extra(self, moment: datetime, user_id: str, resolution: str, reason: str) -> None:
        extra_id = self.session.scalars(select(ExtraPurchase.id).where(ExtraPurchase.user_id == user_id)).one()
        ctx = self.ctx(moment, self.support)
        pending_profiles.settle_extra(ctx, extra_id=extra_id, resolution=resolution, reason=reason)

    # ----------------------------------------------------------------------------------------------------------

    def pending(self, membership_id: str) -> PendingProfile | None:
        query = select(PendingProfile).where(PendingProfile.whop_membership_id == membership_id)
        return self.session.scalar(query.execution_options(populate_existing=True))

    def _id(self, membership_id: str) -> int:
        pending = self.pending(membership_id)
        if pending is None:
            raise RuntimeError("the demo's purchase does not wait where it should")
        return pending.id


def _as_api_tells(delivered: Delivered, buyer: Person) -> WhopMembership:
    return WhopMembership(
        id=delivered.membership_id or "",
        user_id=None,
        member_id=None,
        email=buyer.email,
        name=buyer.name,
        status="active",
        plan_duration=None,
        period_start=None,
        period_end=None,
        cancel_at_period_end=False,
        created_at=None,
        updated_at=None,
    )
