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
from admin_app.services.purchases import claim_mails, claims, pending_profiles, undo
from models import ExtraPurchase, Merge, PendingProfile, Profile
from views.console.framework.base import ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage, choices_of, confirmed, form_text
from views.reading import known, read_session

# Larger numbers would not fit the column, and the database would refuse the query.
PURCHASE = "/<int(max=9223372036854775807):purchase_id>"
EVENT = "/<int(max=9223372036854775807):event_id>"


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

    def _page(self, purchase_id: int, **parts: Any) -> ResponseReturnValue:
        address = record_address("purchases", purchase_id)
        pending = _pending(purchase_id)
        return CommandPage(view=self, cancel=address, subtitle=f"Purchase of {pending.email}", **parts).respond()

    @command(f"{PURCHASE}/claim")
    def claim(self, purchase_id: int) -> ResponseReturnValue:
        user_id = request.values.get("user_id", "")

        def act(ctx: Ctx) -> str:
            result = claims.claim_for_user(
                ctx,
                pending_profile_id=purchase_id,
                user_id=user_id,
                **confirmed(),
                choices=choices_of(request.form),
            )
            done = "merged into the profile of" if result.outcome == "merged" else "claimed for"
            return f"The purchase is {done} {result.profile.email or user_id}."

        return self._page(
            purchase_id,
            plan=lambda ctx: claims.plan_for_user(ctx, pending_profile_id=purchase_id, user_id=user_id),
            act=act,
            button="Claim the purchase",
            title="Claim the purchase",
            hidden={"user_id": user_id},
        )

    @command("/undo/<int(max=9223372036854775807):merge_id>")
    def undo(self, merge_id: int) -> ResponseReturnValue:
        purchase_id = _purchase_of(merge_id)

        return self._page(
            purchase_id,
            plan=lambda ctx: undo.plan(ctx, merge_id=merge_id),
            act=lambda ctx: undo.undo(ctx, merge_id=merge_id, **confirmed()),
            said=lambda pending: f"The claim is undone. The purchase of {pending.email} waits again.",
            button="Undo the claim",
            title="Undo the claim",
            danger=True,
        )

    @command(f"{PURCHASE}/email")
    def email(self, purchase_id: int) -> ResponseReturnValue:
        typed = request.values.get("email", "")

        return self._page(
            purchase_id,
            plan=lambda ctx: (
                pending_profiles.plan_email(ctx, pending_profile_id=purchase_id, email=typed) if typed else None
            ),
            act=lambda ctx: pending_profiles.correct_email(
                ctx, pending_profile_id=purchase_id, email=typed, **confirmed()
            ),
            said=lambda pending: f"The purchase now waits under {pending.email}.",
            button="Correct the e-mail",
            title="Correct the e-mail",
            template="console/framework/email_then_plan.html",
            more={"email": typed, "label": "The right e-mail"},
        )

    @command(f"{PURCHASE}/delete")
    def delete(self, purchase_id: int) -> ResponseReturnValue:
        return self._page(
            purchase_id,
            plan=lambda ctx: pending_profiles.plan_delete(ctx, pending_profile_id=purchase_id),
            act=lambda ctx: pending_profiles.delete(ctx, pending_profile_id=purchase_id, **confirmed()),
            said="The purchase is deleted. What it held stays in the audit.",
            done="/admin/purchases/",
            button="Delete the purchase",
            title="Delete the purchase",
            danger=True,
        )

    @command(f"{PURCHASE}/mail")
    def mail(self, purchase_id: int) -> ResponseReturnValue:
        return self._page(
            purchase_id,
            plan=lambda ctx: claim_mails.plan_resend(ctx, pending_profile_id=purchase_id),
            act=lambda ctx: claim_mails.resend(ctx, pending_profile_id=purchase_id, **confirmed()),
            said="The claim mail is on its way. It shows below once it is handed over.",
            button="Send the claim mail",
            title="Send the claim mail",
        )

    @command("/extra/<int(max=9223372036854775807):extra_id>/settle")
    def settle(self, extra_id: int) -> ResponseReturnValue:
        return CommandPage(
            view=self,
            act=lambda ctx: pending_profiles.settle_extra(
                ctx, extra_id=extra_id, resolution=form_text("resolution"), reason=form_text("reason")
            ),
            said="The extra purchase is off the worklist.",
            cancel=record_address("extra-purchases", extra_id),
            done="/admin/extra-purchases/",
            button="Settle it",
            title="Settle the extra purchase",
            subtitle=_what_extra(extra_id),
            template="console/purchases/settle.html",
        ).respond()


class InboxCommandsView(ConsoleView):
    """What support does to an event that waits for a person."""

    permissions = MappingProxyType(dict.fromkeys(("attach_email", "release"), Permission.INBOX_RELEASE))

    def __init__(self) -> None:
        super().__init__(name="Inbox commands", endpoint="inbox", url="/admin/webhook-events")

    @command(f"{EVENT}/attach-email")
    def attach_email(self, event_id: int) -> ResponseReturnValue:
        return self._page(
            event_id,
            act=lambda ctx: inbox.attach_email(
                ctx, event_id=event_id, email=form_text("email"), reason=form_text("reason")
            ),
            said="The address is attached and the event goes on. Look again in a moment.",
            button="Attach and release",
            title="Attach the buyer's e-mail",
            subtitle="The purchase of this event will wait under the address that you write here.",
            template="console/purchases/attach_email.html",
        )

    @command(f"{EVENT}/release")
    def release(self, event_id: int) -> ResponseReturnValue:
        return self._page(
            event_id,
            act=lambda ctx: inbox.release(ctx, event_id=event_id, reason=form_text("reason")),
            said="The event is released and tried again. Look again in a moment.",
            button="Release the event",
            title="Release the event",
            subtitle="It is applied again as it is. When nothing changed since, it parks for the same reason.",
            template="console/purchases/release.html",
        )

    def _page(self, event_id: int, **parts: Any) -> ResponseReturnValue:
        address = record_address("webhook-events", event_id)
        return CommandPage(view=self, cancel=address, **parts).respond()


def _pending(purchase_id: int) -> PendingProfile:
    return known(PendingProfile, purchase_id, "This purchase is not here any more. It may have been deleted.")


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
