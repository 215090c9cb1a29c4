"""The commands on a purchase, each on its own page: the plan, a reason, the act."""

from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services import inbox
from admin_app.services.core.plans import Plan
from admin_app.services.purchases import claim_mails, claims, pending_profiles, undo
from models import ExtraPurchase, Merge, PendingProfile, Profile
from views.console.framework.base import ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage, choices_of, form_text
from views.reading import read_session

# Larger numbers would not fit the column, and the database would refuse the query.
PURCHASE = "/<int(max=9223372036854775807):purchase_id>"
EVENT = "/<int(max=9223372036854775807):event_id>"


def _address(purchase_id: int) -> str:
    return record_address("purchases", purchase_id)


class PurchaseCommandsView(ConsoleView):
    """Claim, merge, undo, correct, delete, mail."""

    permissions = MappingProxyType(
        {
            "claim": Permission.PURCHASES_CLAIM,
            "undo": Permission.PURCHASES_UNDO,
            "email": Permission.PURCHASES_CORRECT,
            "delete": Permission.PURCHASES_DELETE,
            "mail": Permission.PURCHASES_MAIL,
            "settle": Permission.PURCHASES_CORRECT,
        }
    )

    def __init__(self) -> None:
        super().__init__(name="Purchase commands", endpoint="purchase", url="/admin/purchases")

    def _page(self, purchase_id: int, **parts: Any) -> CommandPage:
        address = _address(purchase_id)
        pending = _pending(purchase_id)
        shown = {"done": address, "cancel": address, "subtitle": f"Purchase of {pending.email}"}
        return CommandPage(view=self, **(shown | parts))

    @command(f"{PURCHASE}/claim")
    def claim(self, purchase_id: int) -> ResponseReturnValue:
        user_id = request.values.get("user_id", "")

        def act(ctx: Ctx) -> str:
            result = claims.claim_for_user(
                ctx,
                pending_profile_id=purchase_id,
                user_id=user_id,
                reason=form_text("reason"),
                shown=form_text("fingerprint"),
                choices=choices_of(request.form),
            )
            done = "merged into the profile of" if result.outcome == "merged" else "claimed for"
            return f"The purchase is {done} {result.profile.email or user_id}."

        page = self._page(
            purchase_id,
            plan=lambda ctx: claims.plan_for_user(ctx, pending_profile_id=purchase_id, user_id=user_id),
            act=act,
            button="Claim the purchase",
            title="Claim the purchase",
            hidden={"user_id": user_id},
        )
        return page.respond()

    @command("/undo/<int(max=9223372036854775807):merge_id>")
    def undo(self, merge_id: int) -> ResponseReturnValue:
        purchase_id = _purchase_of(merge_id)

        def act(ctx: Ctx) -> str:
            pending = undo.undo(ctx, merge_id=merge_id, reason=form_text("reason"), shown=form_text("fingerprint"))
            return f"The claim is undone. The purchase of {pending.email} waits again."

        page = self._page(
            purchase_id,
            plan=lambda ctx: undo.plan(ctx, merge_id=merge_id),
            act=act,
            button="Undo the claim",
            title="Undo the claim",
            danger=True,
        )
        return page.respond()

    @command(f"{PURCHASE}/email")
    def email(self, purchase_id: int) -> ResponseReturnValue:
        typed = request.values.get("email", "")

        def plan(ctx: Ctx) -> Plan | None:
            if not typed:
                return None
            return pending_profiles.plan_email(ctx, pending_profile_id=purchase_id, email=typed)

        def act(ctx: Ctx) -> str:
            pending = pending_profiles.correct_email(
                ctx,
                pending_profile_id=purchase_id,
                email=typed,
                reason=form_text("reason"),
                shown=form_text("fingerprint"),
            )
            return f"The purchase now waits under {pending.email}."

        page = self._page(
            purchase_id,
            plan=plan,
            act=act,
            button="Correct the e-mail",
            title="Correct the e-mail",
            template="console/framework/email_then_plan.html",
            more={"email": typed, "label": "The right e-mail"},
        )
        return page.respond()

    @command(f"{PURCHASE}/delete")
    def delete(self, purchase_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            pending_profiles.delete(
                ctx, pending_profile_id=purchase_id, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return "The purchase is deleted. What it held stays in the audit."

        page = self._page(
            purchase_id,
            plan=lambda ctx: pending_profiles.plan_delete(ctx, pending_profile_id=purchase_id),
            act=act,
            done="/admin/purchases/",
            button="Delete the purchase",
            title="Delete the purchase",
            danger=True,
        )
        return page.respond()

    @command(f"{PURCHASE}/mail")
    def mail(self, purchase_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            claim_mails.resend(
                ctx, pending_profile_id=purchase_id, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return "The claim mail is on its way. It shows below once it is handed over."

        page = self._page(
            purchase_id,
            plan=lambda ctx: claim_mails.plan_resend(ctx, pending_profile_id=purchase_id),
            act=act,
            button="Send the claim mail",
            title="Send the claim mail",
        )
        return page.respond()

    @command("/extra/<int(max=9223372036854775807):extra_id>/settle")
    def settle(self, extra_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            pending_profiles.settle_extra(
                ctx, extra_id=extra_id, resolution=form_text("resolution"), reason=form_text("reason")
            )
            return "The extra purchase is off the worklist."

        page = CommandPage(
            view=self,
            plan=lambda ctx: None,
            act=act,
            cancel=record_address("extra-purchases", extra_id),
            done="/admin/extra-purchases/",
            button="Settle it",
            title="Settle the extra purchase",
            subtitle=_what_extra(extra_id),
            template="console/purchases/settle.html",
        )
        return page.respond()


class InboxCommandsView(ConsoleView):
    """What support does to an event that waits for a person."""

    permissions = MappingProxyType(dict.fromkeys(("attach_email", "release"), Permission.INBOX_RELEASE))

    def __init__(self) -> None:
        super().__init__(name="Inbox commands", endpoint="inbox", url="/admin/webhook-events")

    @command(f"{EVENT}/attach-email")
    def attach_email(self, event_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            inbox.attach_email(ctx, event_id=event_id, email=form_text("email"), reason=form_text("reason"))
            return "The address is attached and the event goes on. Look again in a moment."

        return self._page(
            event_id,
            act,
            button="Attach and release",
            title="Attach the buyer's e-mail",
            subtitle="The purchase of this event will wait under the address that you write here.",
            template="console/purchases/attach_email.html",
        ).respond()

    @command(f"{EVENT}/release")
    def release(self, event_id: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            inbox.release(ctx, event_id=event_id, reason=form_text("reason"))
            return "The event is released and tried again. Look again in a moment."

        return self._page(
            event_id,
            act,
            button="Release the event",
            title="Release the event",
            subtitle="It is applied again as it is. When nothing changed since, it parks for the same reason.",
            template="console/purchases/release.html",
        ).respond()

    def _page(self, event_id: int, act: Any, **parts: Any) -> CommandPage:
        address = record_address("webhook-events", event_id)
        return CommandPage(view=self, plan=lambda ctx: None, act=act, cancel=address, done=address, **parts)


def _pending(purchase_id: int) -> PendingProfile:
    pending = read_session().get(PendingProfile, purchase_id)
    if pending is None:
        raise NotFound("This purchase is not here any more. It may have been deleted.")
    return pending


def _purchase_of(merge_id: int) -> int:
    purchase_id = read_session().scalar(select(Merge.pending_profile_id).where(Merge.id == merge_id))
    if purchase_id is None:
        raise NotFound("There is no such claim or merge, or its purchase was deleted since.")
    return purchase_id


def _what_extra(extra_id: int) -> str:
    """Whose second purchase this is, and which."""
    row = (
        read_session()
        .execute(
            select(Profile.email, ExtraPurchase.user_id, PendingProfile.email, ExtraPurchase.replaced_membership_id)
            .select_from(ExtraPurchase)
            .outerjoin(Profile, Profile.user_id == ExtraPurchase.user_id)
            .outerjoin(PendingProfile, PendingProfile.id == ExtraPurchase.pending_profile_id)
            .where(ExtraPurchase.id == extra_id)
        )
        .one_or_none()
    )
    if row is None:
        raise NotFound("This item is not on the worklist any more.")
    email, user_id, bought, replaced = row
    what = f"the purchase of {bought}" if bought else f"the former membership {replaced}"
    return f"{email or user_id} is already pro; this is about {what}."
