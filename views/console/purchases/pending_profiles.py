"""Every purchase that came before its account, waiting or claimed."""

from sqlalchemy import Text, case, func, literal_column

from admin_app.policies.permissions import Permission
from admin_app.services.purchases.purchase_numbers import WAITS, waited
from models import MembershipStatus, PaymentProvider, PendingProfile, PlanDuration
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days, Exactly, OneOf, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search, part_of

CLAIMED = Column("Claimed", PendingProfile.claimed, "yes_no")
STATUS = Column("Status", PendingProfile.status, "badge")
# What is over has no dates to come, whatever is stored.
LIVES = PendingProfile.status.is_distinct_from(MembershipStatus.INACTIVE)
CYCLE_ENDS = case((LIVES | (PendingProfile.billing_cycle_end <= func.now()), PendingProfile.billing_cycle_end)).label(
    "cycle_ends"
)
NEXT_RENEWAL = case((LIVES, PendingProfile.next_credit_renewal)).label("next_renewal")
# Written as the index has it, constants included, or the index is not used.
WHOP_IDS = literal_column(
    "lower((coalesce(pending_profiles.whop_user_id, '') || ' ') || coalesce(pending_profiles.whop_membership_id, ''))",
    Text,
)


class PendingProfilesView(ConsoleModelView):
    in_menu = Menu("Purchases", "All purchases", "receipt-2", 30)
    permissions = reads(Permission.PURCHASES_READ)
    listing = ListSpec(
        section="pending-profiles",
        title="All purchases",
        one="purchase",
        many="purchases",
        model=PendingProfile,
        lead="Purchases made before there was an account, waiting and claimed.",
        columns=(
            Column("E-mail", PendingProfile.email, link=("purchases", PendingProfile.id)),
            Column("Name", PendingProfile.name),
            CLAIMED,
            STATUS,
            Column("Plan", PendingProfile.plan_duration),
            Column("Credits", PendingProfile.usage_credits, "number"),
            Column("Whop membership", PendingProfile.whop_membership_id, "code"),
            Column("Received", PendingProfile.created_at, "time", sort="made"),
        ),
        sorts={
            "made": Sort("Received", PendingProfile.created_at, descending=True),
            "email": Sort("E-mail", PendingProfile.email),
        },
        filters=(
            YesNo("claimed", "Claimed", PendingProfile.claimed),
            Choice.of("status", "Status", PendingProfile.status, MembershipStatus),
            Choice.of("plan", "Plan", PendingProfile.plan_duration, PlanDuration),
            Choice.of("provider", "Paid through", PendingProfile.payment_provider, PaymentProvider),
            YesNo("legacy", "From a legacy row", PendingProfile.legacy_user_id.is_not(None)),
            Days("made", "Received", PendingProfile.created_at),
            Days("claimed_at", "Claimed on", PendingProfile.claimed_at),
            OneOf("waited", "Waited", {key: (label, waited(key)) for key, label, *_ in WAITS}),
            Exactly("email", "E-mail", PendingProfile.email),
            Exactly("claimed_by", "Claimed by", PendingProfile.claimed_by_user_id),
        ),
        search=Search(
            hint="Any part of the e-mail, the Whop user or the Whop membership",
            emails=(PendingProfile.email,),
            parts=(part_of(PendingProfile.email), WHOP_IDS),
            exact=(PendingProfile.claimed_by_user_id, PendingProfile.legacy_user_id),
            key=PendingProfile.id,
        ),
        empty="A purchase appears here when someone pays before signing up.",
    )
    record = RecordSpec(
        title=PendingProfile.email,
        badge=STATUS,
        groups=(
            Group(
                "Claim",
                (
                    CLAIMED,
                    Column(
                        "Claimed by",
                        PendingProfile.claimed_by_user_id,
                        link=("profiles", PendingProfile.claimed_by_user_id),
                    ),
                    Column("Claimed at", PendingProfile.claimed_at, "time"),
                    Column("Claim link valid until", PendingProfile.token_expires_at, "time"),
                    Column("Likely owners found", PendingProfile.likely_owners, "number"),
                ),
            ),
            Group(
                "Purchase",
                (
                    Column("E-mail", PendingProfile.email),
                    Column("Name", PendingProfile.name),
                    Column("Membership", PendingProfile.membership, "badge"),
                    STATUS,
                    Column("Plan", PendingProfile.plan_duration),
                    Column("Billing cycle starts", PendingProfile.billing_cycle_start, "time"),
                    Column("Billing cycle ends", CYCLE_ENDS, "time"),
                    Column("Cancels at period end", PendingProfile.cancel_at_period_end, "yes_no"),
                ),
            ),
            Group(
                "Credits",
                (
                    Column("Credits", PendingProfile.usage_credits, "number"),
                    Column("Credits used", PendingProfile.used_credits, "number"),
                    Column("Next renewal", NEXT_RENEWAL, "time"),
                ),
            ),
            Group(
                "Provider and record",
                (
                    Column("Paid through", PendingProfile.payment_provider),
                    Column("Whop user", PendingProfile.whop_user_id, "code"),
                    Column("Whop membership", PendingProfile.whop_membership_id, "code"),
                    Column("Legacy row", PendingProfile.legacy_user_id, "code"),
                    Column("Last provider event", PendingProfile.provider_event_at, "time"),
                    Column("Received", PendingProfile.created_at, "time"),
                    Column("Last changed", PendingProfile.updated_at, "time"),
                ),
            ),
        ),
        related=(
            Related("Memberships", "memberships", "purchase", PendingProfile.id),
            Related("Claims and merges", "merges", "purchase", PendingProfile.id),
            Related("Extra purchase", "extra-purchases", "purchase", PendingProfile.id),
            Related("Mails about it", "sent-emails", "purchase", PendingProfile.id),
            Related(
                "Provider events of this membership", "webhook-events", "subject", PendingProfile.whop_membership_id
            ),
        ),
        commands=(
            Command(
                label="Work on this purchase",
                permission=Permission.PURCHASES_READ,
                address=lambda key: f"/admin/purchases/{key}",
                tone="primary",
            ),
        ),
        audited_as="pending_profile",
    )
