"""Profiles: what each account owns, legacy `temp_` rows included."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from sqlalchemy import case, func

from admin_app.policies.permissions import Permission
from admin_app.services.attention import unanswered
from models import LEGACY_PREFIX, Membership, MembershipStatus, PaymentProvider, PlanDuration, Profile
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column, record_address
from views.console.framework.filters import Choice, Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search, part_of
from views.console.memberships.canceling import OF_PROFILE
from views.console.people import address_commands

MEMBERSHIP = Column("Membership", Profile.membership, "badge")
DELETED = Column("Account deleted at the sign-in provider", Profile.account_deleted_at, "time")
STATUS = Column("Status", Profile.status, "badge")


def _attention(values: Mapping[str, Any]) -> str | None:
    if values["account_deleted_at"] is None:
        return unanswered.in_words(values["unanswered"]) if values["unanswered"] else None
    return (
        "This account was deleted at the sign-in provider. What it held waits for its person, who gets it when they "
        "sign in with another account that has the same verified address. The list “Waits under its last address” "
        "below leads to it."
    )


def is_there(values: Mapping[str, Any]) -> bool:
    """Whether its account was not deleted: what a deleted one held waits elsewhere, and nothing can be given to it."""
    return values["account_deleted_at"] is None


def is_account(values: Mapping[str, Any]) -> bool:
    """Whether it is an account that is there, and not a purchase of the earlier system."""
    return is_there(values) and not str(values["user_id"]).startswith(LEGACY_PREFIX)


def _while_there(command: Command) -> Command:
    return replace(command, when=lambda values: is_there(values) and command.when(values))


# What is over has no dates to come, whatever is stored.
LIVES = Profile.status.is_distinct_from(MembershipStatus.INACTIVE)
CYCLE_ENDS = case((LIVES | (Profile.billing_cycle_end <= func.now()), Profile.billing_cycle_end)).label("cycle_ends")
NEXT_RENEWAL = case((LIVES, Profile.next_credit_renewal)).label("next_renewal")
WAITS_UNDER = case((Profile.account_deleted_at.is_not(None), Profile.email)).label("waits_under")


class ProfilesView(ConsoleModelView):
    in_menu = Menu("Customers", "Profiles", "id-badge-2", 90)
    permissions = reads(Permission.PROFILES_READ)
    listing = ListSpec(
        section="profiles",
        title="Profiles",
        one="profile",
        model=Profile,
        columns=(
            Column("Account", Profile.user_id, "code", link=("profiles", Profile.user_id)),
            Column("E-mail", Profile.email),
            Column("Name", Profile.name),
            MEMBERSHIP,
            STATUS,
            Column("Plan", Profile.plan_duration),
            Column("Credits", Profile.usage_credits, "number"),
            Column("Used", Profile.used_credits, "number"),
            Column("Made", Profile.created_at, "time", sort="made"),
        ),
        sorts={
            "made": Sort("Made", Profile.created_at, descending=True),
            "account": Sort("Account", Profile.user_id),
        },
        filters=(
            Choice.of("membership", "Membership", Profile.membership, Membership),
            Choice.of("status", "Status", Profile.status, MembershipStatus),
            Choice.of("provider", "Paid through", Profile.payment_provider, PaymentProvider),
            Choice.of("plan", "Plan", Profile.plan_duration, PlanDuration),
            YesNo("deleted", "Account deleted", Profile.account_deleted_at.is_not(None)),
            YesNo("legacy", "Legacy row", Profile.user_id.startswith(LEGACY_PREFIX, autoescape=True)),
            Days("made", "Made", Profile.created_at),
            Exactly("email", "E-mail", Profile.email),
            Exactly("account", "Account", Profile.user_id),
        ),
        search=Search(
            hint="E-mail or part of it, account, Whop user or membership, Stripe customer",
            emails=(Profile.email,),
            parts=(part_of(Profile.email),),
            exact=(
                Profile.user_id,
                Profile.whop_user_id,
                Profile.whop_membership_id,
                Profile.stripe_customer_id,
            ),
        ),
        empty="A profile appears when someone signs in or a purchase is claimed.",
    )
    record = RecordSpec(
        title=Profile.user_id,
        badge=MEMBERSHIP,
        groups=(
            Group(
                "Person",
                (
                    Column("Account", Profile.user_id, "code"),
                    Column("E-mail", Profile.email),
                    Column("Name", Profile.name),
                    DELETED,
                    address_commands.asked_of_clerk(Profile.user_id),
                ),
            ),
            Group(
                "Membership",
                (
                    MEMBERSHIP,
                    STATUS,
                    Column("Plan", Profile.plan_duration),
                    Column("Paid through", Profile.payment_provider),
                    Column("Billing cycle starts", Profile.billing_cycle_start, "time"),
                    Column("Billing cycle ends", CYCLE_ENDS, "time"),
                    Column("Cancels at period end", Profile.cancel_at_period_end, "yes_no"),
                ),
            ),
            Group(
                "Credits",
                (
                    Column("Credits", Profile.usage_credits, "number"),
                    Column("Credits used", Profile.used_credits, "number"),
                    Column("Next renewal", NEXT_RENEWAL, "time"),
                ),
            ),
            Group(
                "Providers and record",
                (
                    Column("Whop user", Profile.whop_user_id, "code"),
                    Column("Whop membership", Profile.whop_membership_id, "code"),
                    Column("Stripe customer", Profile.stripe_customer_id, "code"),
                    Column("Stripe subscription", Profile.stripe_subscription_id, "code"),
                    Column("Last provider event", Profile.provider_event_at, "time"),
                    Column("Made", Profile.created_at, "time"),
                    Column("Last changed", Profile.updated_at, "time"),
                ),
            ),
        ),
        related=(
            Related("Waits under its last address", "pending-profiles", "email", WAITS_UNDER),
            Related("Addresses", "person-addresses", "account", Profile.user_id),
            Related("Memberships", "memberships", "account", Profile.user_id),
            Related("Membership payments", "membership-payments", "account", Profile.user_id),
            Related("Credits granted", "credit-renewals", "account", Profile.user_id),
            Related("Adjustments by hand", "adjustments", "account", Profile.user_id),
            Related("Purchases claimed", "pending-profiles", "claimed_by", Profile.user_id),
            Related("Claims and merges", "merges", "account", Profile.user_id),
            Related("Extra purchases", "extra-purchases", "account", Profile.user_id),
            Related("Users with this e-mail", "users", "email", Profile.email),
            Related("Bookings with this e-mail", "bookings", "email", Profile.email),
            Related("Provider events of this membership", "webhook-events", "subject", Profile.whop_membership_id),
        ),
        audited_as="profile",
        attention=_attention,
        commands=(
            *map(_while_there, OF_PROFILE),
            Command(
                label="Refund a membership payment",
                permission=Permission.REFUNDS_REQUEST,
                address=lambda key: f"/admin/membership-payments/of-account/{quote(key, safe='')}",
                when=lambda values: is_there(values) and values["payment_provider"] is not None,
            ),
            Command(
                label="Give a membership",
                permission=Permission.MEMBERSHIPS_ADJUST,
                address=lambda key: f"{record_address('profiles', key)}/give",
                when=is_account,
            ),
            Command(
                label="Adjust credits",
                permission=Permission.MEMBERSHIPS_ADJUST,
                address=lambda key: f"{record_address('profiles', key)}/credits",
                when=is_account,
            ),
            *(replace(each, when=is_account) for each in address_commands.OF_PROFILE),
        ),
    )
