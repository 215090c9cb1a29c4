"""Memberships of providers: who holds each, which are paid, and the command that moves one to another account."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import Text, case, cast, exists, func, literal, select

from admin_app.policies.permissions import Permission
from admin_app.services.attention import unanswered
from admin_app.services.core.records import membership_key
from admin_app.services.memberships import moving
from models import (
    Adjustment,
    AdjustmentKind,
    MembershipPayment,
    MembershipStatus,
    PaymentProvider,
    PendingProfile,
    Profile,
    ProviderMembership,
    Rhythm,
)
from views.console.framework.base import ConsoleModelView, ConsoleView, command, reads
from views.console.framework.columns import Column, record_address
from views.console.framework.filters import Choice, Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.plan_pages import CommandPage, confirmed
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search
from views.console.memberships import canceling
from views.reading import known

MEMBERSHIP = "/<int(max=9223372036854775807):membership_id>"
NUMBER = Column("Number", ProviderMembership.id, link=("memberships", ProviderMembership.id))
EXTERNAL = Column("Provider’s id", ProviderMembership.external_id, "code")
GIVEN = "complimentary"
IS_GIVEN = ProviderMembership.provider.is_(None)
SELLER = case((IS_GIVEN, literal(GIVEN, Text)), else_=cast(ProviderMembership.provider, Text)).label("seller")
PROVIDER = Column("Provider", SELLER)
TITLE = case(
    (IS_GIVEN, literal("Complimentary membership ", Text) + cast(ProviderMembership.id, Text)),
    else_=ProviderMembership.external_id,
).label("title")
STATUS = Column("Status", ProviderMembership.status, "badge")
ACCOUNT = Column("Account", ProviderMembership.profile_user_id, link=("profiles", ProviderMembership.profile_user_id))
PURCHASE = Column(
    "Purchase",
    PendingProfile.email,
    through=ProviderMembership.pending_profile_id,
    link=("purchases", ProviderMembership.pending_profile_id),
)
COUNTS = Column(
    "Whop membership that counts", Profile.whop_membership_id, "code", through=ProviderMembership.profile_user_id
)


def is_given(values: Mapping[str, Any]) -> bool:
    """Whether it is complimentary, lives and is somebody's or waits for its owner, so that its end is ours."""
    is_held = values["profile_user_id"] is not None or values["pending_profile_id"] is not None
    return _was_given(values) and is_held and _lives(values)


def _lives(values: Mapping[str, Any]) -> bool:
    return values["status"] == MembershipStatus.ACTIVE and values["ignored_because"] is None


def _was_given(values: Mapping[str, Any]) -> bool:
    return bool(values["seller"] == GIVEN)


def _was_sold(values: Mapping[str, Any]) -> bool:
    return not _was_given(values)


def _names(values: Mapping[str, Any]) -> list[str]:
    """As the audit calls it besides our number: by the provider's id, so that its story begins before its row."""
    return [membership_key(values["external_id"] or f"membership {values['id']}")]


# A call about it that has no answer yet, or did not come to what it was to.
SUBJECT = literal("membership:", Text) + cast(ProviderMembership.id, Text)
LIVES = (ProviderMembership.status == MembershipStatus.ACTIVE) & ProviderMembership.ignored_because.is_(None)
# When access ends without anything being done: none while it is renewed, and none where it is over.
ENDS = case(
    (
        LIVES & (ProviderMembership.cancel_at_period_end | IS_GIVEN | (ProviderMembership.rhythm == Rhythm.ONE_TIME)),
        ProviderMembership.period_end,
    )
).label("ends")
# What is over has no dates to come, whatever is stored.
NEXT_CREDITS = Column("Next credits", case((LIVES, ProviderMembership.next_credits_at)).label("next_credits"), "time")
PERIOD_ENDS = case((LIVES | (ProviderMembership.period_end <= func.now()), ProviderMembership.period_end)).label(
    "period_ends"
)
GIVEN_BY = (
    select(Adjustment.made_by)
    .where(Adjustment.membership_id == ProviderMembership.id, Adjustment.kind == AdjustmentKind.GIVEN)
    .order_by(Adjustment.id)
    .limit(1)
    .correlate(ProviderMembership)
    .scalar_subquery()
    .label("given_by")
)
KNOWS_NONE = case(
    (
        ProviderMembership.payments_asked_at.is_not(None)
        & ~exists().where(MembershipPayment.membership_id == ProviderMembership.id),
        literal("the provider knows no payment", Text),
    )
).label("knows_none")
UNANSWERED = Column("Asked of it", unanswered.of(SUBJECT).label("unanswered"), text=unanswered.in_words)


def _attention(values: Mapping[str, Any]) -> str | None:
    """What was asked of the provider about it last, where that has no good answer."""
    return unanswered.in_words(values["unanswered"]) if values["unanswered"] else None


class MembershipsView(ConsoleModelView):
    in_menu = Menu("Purchases", "Memberships", "id-badge-2", 50)
    permissions = reads(Permission.PURCHASES_READ)
    listing = ListSpec(
        section="memberships",
        title="Memberships",
        one="membership",
        model=ProviderMembership,
        lead="What Whop and Stripe sold, or staff gave, and who holds it here. The best live one of an account counts.",
        columns=(
            NUMBER,
            PROVIDER,
            Column("Id", ProviderMembership.external_id, "code"),
            STATUS,
            replace(ACCOUNT, kind="code"),
            PURCHASE,
            Column("Ends", ENDS, "time"),
            Column("Received", ProviderMembership.created_at, "time", sort="made"),
        ),
        sorts={"made": Sort("Received", ProviderMembership.created_at, descending=True)},
        filters=(
            Choice.of("provider", "Provider", ProviderMembership.provider, PaymentProvider),
            Choice.of("status", "Status", ProviderMembership.status, MembershipStatus),
            Choice.of("rhythm", "Rhythm", ProviderMembership.rhythm, Rhythm),
            YesNo("complimentary", "Complimentary", ProviderMembership.provider.is_(None)),
            YesNo("ignored", "Ignored", ProviderMembership.ignored_at.is_not(None)),
            Days("made", "Received", ProviderMembership.created_at),
            Exactly("account", "Account", ProviderMembership.profile_user_id),
            Exactly("purchase", "Purchase", ProviderMembership.pending_profile_id),
        ),
        search=Search(
            hint="Provider's id, provider's user, account or provider e-mail, or our number",
            emails=(ProviderMembership.email,),
            exact=(
                ProviderMembership.external_id,
                ProviderMembership.provider_user_id,
                ProviderMembership.profile_user_id,
            ),
            key=ProviderMembership.id,
        ),
        empty="A membership appears when somebody pays.",
    )
    record = RecordSpec(
        title=TITLE,
        badge=STATUS,
        groups=(
            Group(
                "Held by", (ACCOUNT, PURCHASE, COUNTS, Column("Ignored because", ProviderMembership.ignored_because))
            ),
            Group(
                "Given",
                (
                    Column("Given by", GIVEN_BY),
                    Column("From", ProviderMembership.period_start, "time"),
                    Column("Until", ProviderMembership.period_end, "time"),
                    NEXT_CREDITS,
                ),
                when=_was_given,
            ),
            Group(
                "Paid",
                (
                    STATUS,
                    Column(
                        "Paid last", ProviderMembership.paid_amount, "money", currency=ProviderMembership.paid_currency
                    ),
                    Column("Payments last asked for", ProviderMembership.payments_asked_at, "time"),
                    Column("Answer", KNOWS_NONE),
                    Column("Rhythm", ProviderMembership.rhythm),
                    Column("Every", ProviderMembership.interval_count, "number"),
                    Column("Unit", ProviderMembership.interval_unit),
                    Column("Period starts", ProviderMembership.period_start, "time"),
                    Column("Period ends", PERIOD_ENDS, "time"),
                    Column("Cancels at period end", ProviderMembership.cancel_at_period_end, "yes_no"),
                    Column("Ends on, not renewed", ENDS, "time"),
                    NEXT_CREDITS,
                ),
                when=_was_sold,
            ),
            Group(
                "At the provider",
                (
                    PROVIDER,
                    EXTERNAL,
                    Column("Provider status", ProviderMembership.provider_status),
                    UNANSWERED,
                    Column("Product", ProviderMembership.product_id, "code"),
                    Column("Plan", ProviderMembership.plan_id, "code"),
                    Column("User", ProviderMembership.provider_user_id, "code"),
                    Column("Customer", ProviderMembership.provider_customer_id, "code"),
                    Column("Provider e-mail", ProviderMembership.email),
                    Column("Provider name", ProviderMembership.name),
                ),
                when=_was_sold,
            ),
            Group(
                "Record",
                (
                    Column("Number", ProviderMembership.id),
                    Column("Moved from", ProviderMembership.moved_from, "code"),
                    Column("Moved", ProviderMembership.moved_at, "time"),
                    Column("Chosen to count", ProviderMembership.preferred_at, "time"),
                    Column("Last provider event", ProviderMembership.provider_event_at, "time"),
                    Column("Received", ProviderMembership.created_at, "time"),
                    Column("Last changed", ProviderMembership.updated_at, "time"),
                ),
            ),
        ),
        related=(
            Related("Payments", "membership-payments", "membership", ProviderMembership.id),
            Related("Credits granted", "credit-renewals", "membership", ProviderMembership.id),
            Related("Adjustments by hand", "adjustments", "membership", ProviderMembership.id),
            Related("Provider events", "webhook-events", "subject", ProviderMembership.external_id),
            Related("Provider calls", "provider-calls", "about", SUBJECT),
        ),
        audited_as="membership",
        also_audited_as=_names,
        attention=_attention,
        commands=(
            Command(
                label="Move to another account",
                permission=Permission.PURCHASES_CLAIM,
                address=lambda key: f"/admin/memberships/{key}/move",
                when=lambda values: values["ignored_because"] is None,
                tone="primary",
            ),
            Command(
                label="Move it back",
                permission=Permission.PURCHASES_UNDO,
                address=lambda key: f"/admin/memberships/{key}/move-back",
                when=lambda values: values["moved_from"] is not None,
            ),
            Command(
                label="Change its end",
                permission=Permission.MEMBERSHIPS_ADJUST,
                address=lambda key: f"/admin/memberships/{key}/change-end",
                when=is_given,
            ),
            Command(
                label="End it now",
                permission=Permission.MEMBERSHIPS_ADJUST,
                address=lambda key: f"/admin/memberships/{key}/end",
                when=is_given,
            ),
            *canceling.COMMANDS,
            Command(
                label="Refund a payment",
                permission=Permission.REFUNDS_REQUEST,
                address=lambda key: f"/admin/membership-payments/of-membership/{key}",
                when=lambda values: values["paid_amount"] is not None,
            ),
            Command(
                label="Ask what was paid",
                permission=Permission.REFUNDS_REQUEST,
                address=lambda key: f"/admin/membership-payments/of-membership/{key}/ask",
                when=lambda values: values["external_id"] is not None,
            ),
        ),
    )


class MembershipCommandsView(ConsoleView):
    """Move a membership to another account, and back."""

    permissions = MappingProxyType({"move": Permission.PURCHASES_CLAIM, "move_back": Permission.PURCHASES_UNDO})

    def __init__(self) -> None:
        super().__init__(name="Membership commands", endpoint="membership-commands", url="/admin/memberships")

    @command(f"{MEMBERSHIP}/move")
    def move(self, membership_id: int) -> ResponseReturnValue:
        user_id = request.values.get("user_id", "").strip()

        return self._page(
            membership_id,
            plan=lambda ctx: moving.plan_move(ctx, membership_id=membership_id, user_id=user_id) if user_id else None,
            act=lambda ctx: moving.held_by(
                ctx.session, moving.move(ctx, membership_id=membership_id, user_id=user_id, **confirmed())
            ),
            said=lambda holder: f"The membership is held by {holder} now.",
            button="Move the membership",
            title="Move to another account",
            template="console/memberships/move.html",
            hidden={"user_id": user_id},
            more={"user_id": user_id},
        )

    @command(f"{MEMBERSHIP}/move-back")
    def move_back(self, membership_id: int) -> ResponseReturnValue:
        return self._page(
            membership_id,
            plan=lambda ctx: moving.plan_back(ctx, membership_id=membership_id),
            act=lambda ctx: moving.held_by(
                ctx.session, moving.move_back(ctx, membership_id=membership_id, **confirmed())
            ),
            said=lambda holder: f"The membership is held by {holder} again.",
            button="Move it back",
            title="Move the membership back",
        )

    def _page(self, membership_id: int, **parts: Any) -> ResponseReturnValue:
        address = record_address("memberships", membership_id)
        row = known(ProviderMembership, membership_id, moving.GONE)
        subtitle = f"Membership {row.external_id or row.id}"
        return CommandPage(view=self, cancel=address, subtitle=subtitle, **parts).respond()
