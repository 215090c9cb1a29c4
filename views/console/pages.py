"""Every page of the console, in one list."""

from flask import Flask

from views.console import base
from views.console.base import ConsoleModelView, ConsoleView
from views.console.bookings.commands import BookingCommandsView, MeetingCommandsView
from views.console.bulk.commands import BulkRunCommandsView
from views.console.clients.billing_commands import BillingCommandsView, BillingOverrideCommandsView
from views.console.clients.customer_commands import CustomerCommandsView
from views.console.clients.emergency import EmergencyStopView
from views.console.clients.onboarding_commands import OnboardingCommandsView
from views.console.clients.switch_commands import FlagChangeCommandsView, SwitchCommandsView
from views.console.core.system import SystemView
from views.console.drift.commands import DriftFindingCommandsView, DriftRunCommandsView
from views.console.exporting import ListTables
from views.console.finance.home import FinanceView
from views.console.finance.months import MonthsView
from views.console.home import HomeView
from views.console.inbox.failed_jobs import FailedJobsView
from views.console.meetings.commands import MeetingGuestView
from views.console.money.commands import PaymentCommandsView, RefundCommandsView
from views.console.money.membership_refunds import MembershipPaymentCommandsView
from views.console.purchases.addresses import AddressCommandsView
from views.console.purchases.canceling import MembershipCancelingView
from views.console.purchases.commands import InboxCommandsView, PurchaseCommandsView
from views.console.purchases.given import AccountCommandsView, GivenMembershipCommandsView
from views.console.purchases.memberships import MembershipCommandsView, MembershipsView
from views.console.purchases.numbers import PurchaseNumbersView
from views.console.purchases.pro import WhatMakesProView
from views.console.purchases.waiting import UnclaimedPurchasesView
from views.console.schedule.calendar import WeekCalendarView
from views.console.schedule.forms import PractitionerFormsView, SessionTypeFormsView
from views.console.search import SearchView
from views.console.sections.adjustments import AdjustmentCommandsView, AdjustmentsView
from views.console.sections.approvals import ApprovalsView
from views.console.sections.audit_entries import AuditEntriesView
from views.console.sections.billing_changes import BillingChangesView
from views.console.sections.billing_overrides import BillingOverridesView
from views.console.sections.bookings import BookingsView
from views.console.sections.bulk_runs import BulkItemsView, BulkRunsView
from views.console.sections.cancellations import CancellationsView
from views.console.sections.client_customers import ClientCustomersView
from views.console.sections.clients import ClientsView
from views.console.sections.credit_renewals import CreditRenewalsView
from views.console.sections.disputes import DisputesView
from views.console.sections.drift_findings import DriftFindingsView
from views.console.sections.drift_runs import DriftRunsView
from views.console.sections.exports import ExportsView
from views.console.sections.extra_purchases import ExtraPurchasesView
from views.console.sections.flag_changes import FlagChangesView
from views.console.sections.guests import GuestsView
from views.console.sections.meetings import MeetingsView
from views.console.sections.membership_payments import MembershipPaymentsView
from views.console.sections.merges import MergesView
from views.console.sections.month_lines import MonthLinesView
from views.console.sections.my_account import MyAccountView
from views.console.sections.onboarding_states import OnboardingStatesView
from views.console.sections.organizations import OrganizationsView
from views.console.sections.past_due import PastDueView
from views.console.sections.payments import PaymentsView
from views.console.sections.pending_profiles import PendingProfilesView
from views.console.sections.person_addresses import PersonAddressesView
from views.console.sections.practitioners import PractitionersView
from views.console.sections.profiles import ProfilesView
from views.console.sections.provider_calls import ProviderCallCommandsView, ProviderCallsView
from views.console.sections.refunds import RefundsView
from views.console.sections.sent_emails import SentEmailCommandsView, SentEmailsView
from views.console.sections.service_key_commands import ServiceKeyCommandsView
from views.console.sections.service_keys import ServiceKeysView
from views.console.sections.session_types import SessionTypesView
from views.console.sections.staff_commands import StaffCommandsView
from views.console.sections.staff_members import StaffMembersView
from views.console.sections.staff_sessions import StaffSessionsView
from views.console.sections.subscriptions import SubscriptionsView
from views.console.sections.users import UsersView
from views.console.sections.webhook_events import WebhookEventsView

SECTIONS: tuple[type[ConsoleModelView], ...] = (
    UnclaimedPurchasesView,
    PendingProfilesView,
    ExtraPurchasesView,
    MembershipsView,
    MergesView,
    ProfilesView,
    AdjustmentsView,
    UsersView,
    PersonAddressesView,
    ClientsView,
    BulkRunsView,
    BulkItemsView,
    OnboardingStatesView,
    FlagChangesView,
    BookingsView,
    MeetingsView,
    GuestsView,
    PractitionersView,
    SessionTypesView,
    OrganizationsView,
    PastDueView,
    CancellationsView,
    BillingChangesView,
    MonthLinesView,
    PaymentsView,
    MembershipPaymentsView,
    RefundsView,
    DisputesView,
    ApprovalsView,
    SubscriptionsView,
    ClientCustomersView,
    BillingOverridesView,
    CreditRenewalsView,
    ProviderCallsView,
    WebhookEventsView,
    DriftFindingsView,
    DriftRunsView,
    SentEmailsView,
    AuditEntriesView,
    ExportsView,
    ServiceKeysView,
    StaffMembersView,
    StaffSessionsView,
)
PAGES: tuple[type[ConsoleView], ...] = (
    FinanceView,
    MonthsView,
    SwitchCommandsView,
    FlagChangeCommandsView,
    EmergencyStopView,
    BillingCommandsView,
    BillingOverrideCommandsView,
    CustomerCommandsView,
    MyAccountView,
    PurchaseCommandsView,
    MembershipCommandsView,
    AccountCommandsView,
    GivenMembershipCommandsView,
    AdjustmentCommandsView,
    MembershipCancelingView,
    AddressCommandsView,
    WhatMakesProView,
    InboxCommandsView,
    PurchaseNumbersView,
    SystemView,
    WeekCalendarView,
    BookingCommandsView,
    MeetingCommandsView,
    PractitionerFormsView,
    SessionTypeFormsView,
    MeetingGuestView,
    PaymentCommandsView,
    RefundCommandsView,
    MembershipPaymentCommandsView,
    ProviderCallCommandsView,
    FailedJobsView,
    SentEmailCommandsView,
    BulkRunCommandsView,
    DriftRunCommandsView,
    DriftFindingCommandsView,
    SearchView,
    StaffCommandsView,
    ServiceKeyCommandsView,
    OnboardingCommandsView,
)


def lists() -> ListTables:
    """Every list, as it is exported."""
    return ListTables({section.listing.section: section for section in SECTIONS})


def register(app: Flask) -> None:
    """Put the console on the application."""
    base.register(app, HomeView(), [*(section() for section in SECTIONS), *(page() for page in PAGES)])
