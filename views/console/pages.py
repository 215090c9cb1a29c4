"""Every page of the console, in one list."""

from flask import Flask

from views.console.billing.billing_changes import BillingChangesView
from views.console.billing.billing_commands import BillingCommandsView, BillingOverrideCommandsView
from views.console.billing.billing_overrides import BillingOverridesView
from views.console.billing.cancellations import CancellationsView
from views.console.billing.client_customers import ClientCustomersView
from views.console.billing.customer_commands import CustomerCommandsView
from views.console.billing.past_due import PastDueView
from views.console.billing.subscriptions import SubscriptionsView
from views.console.bookings.bookings import BookingsView
from views.console.bookings.commands import BookingCommandsView, MeetingCommandsView
from views.console.bookings.meeting_commands import MeetingGuestView
from views.console.bookings.meetings import MeetingsView
from views.console.clients.bulk_commands import BulkRunCommandsView
from views.console.clients.bulk_runs import BulkItemsView, BulkRunsView
from views.console.clients.clients import ClientsView
from views.console.clients.emergency import EmergencyStopView
from views.console.clients.flag_changes import FlagChangesView
from views.console.clients.flag_commands import FlagChangeCommandsView, SwitchCommandsView
from views.console.clients.onboarding_commands import OnboardingCommandsView
from views.console.clients.onboarding_states import OnboardingStatesView
from views.console.core.audit_entries import AuditEntriesView
from views.console.core.exports import ExportsView
from views.console.core.home import HomeView
from views.console.core.search import SearchView
from views.console.core.system import SystemView
from views.console.drift.commands import DriftFindingCommandsView, DriftRunCommandsView
from views.console.drift.drift_findings import DriftFindingsView
from views.console.drift.drift_runs import DriftRunsView
from views.console.finance.home import FinanceView
from views.console.finance.month_lines import MonthLinesView
from views.console.finance.months import MonthsView
from views.console.framework import base
from views.console.framework.base import ConsoleModelView, ConsoleView
from views.console.framework.exporting import ListTables
from views.console.guests.guests import GuestsView
from views.console.guests.organizations import OrganizationsView
from views.console.inbox.failed_jobs import FailedJobsView
from views.console.inbox.provider_calls import ProviderCallCommandsView, ProviderCallsView
from views.console.inbox.sent_emails import SentEmailCommandsView, SentEmailsView
from views.console.inbox.webhook_events import WebhookEventsView
from views.console.memberships.adjustments import AdjustmentCommandsView, AdjustmentsView
from views.console.memberships.canceling import MembershipCancelingView
from views.console.memberships.given import AccountCommandsView, GivenMembershipCommandsView
from views.console.memberships.membership_payments import MembershipPaymentsView
from views.console.memberships.memberships import MembershipCommandsView, MembershipsView
from views.console.memberships.pro import WhatMakesProView
from views.console.payments.disputes import DisputesView
from views.console.payments.payments import PaymentsView
from views.console.people.address_commands import AddressCommandsView
from views.console.people.person_addresses import PersonAddressesView
from views.console.people.users import UsersView
from views.console.purchases.commands import InboxCommandsView, PurchaseCommandsView
from views.console.purchases.credit_renewals import CreditRenewalsView
from views.console.purchases.extra_purchases import ExtraPurchasesView
from views.console.purchases.merges import MergesView
from views.console.purchases.numbers import PurchaseNumbersView
from views.console.purchases.pending_profiles import PendingProfilesView
from views.console.purchases.profiles import ProfilesView
from views.console.purchases.waiting import UnclaimedPurchasesView
from views.console.refunds.approvals import ApprovalsView
from views.console.refunds.commands import PaymentCommandsView, RefundCommandsView
from views.console.refunds.membership_refunds import MembershipPaymentCommandsView
from views.console.refunds.refunds import RefundsView
from views.console.schedule.calendar import WeekCalendarView
from views.console.schedule.forms import PractitionerFormsView, SessionTypeFormsView
from views.console.schedule.practitioners import PractitionersView
from views.console.schedule.session_types import SessionTypesView
from views.console.staff.my_account import MyAccountView
from views.console.staff.service_key_commands import ServiceKeyCommandsView
from views.console.staff.service_keys import ServiceKeysView
from views.console.staff.staff_commands import StaffCommandsView
from views.console.staff.staff_members import StaffMembersView
from views.console.staff.staff_sessions import StaffSessionsView

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
