"""The tests that go through every endpoint and every job; chosen to be few and short."""

_BY_FILE: dict[str, tuple[str, ...]] = {
    "tests/plans/walk.py": ("",),
    "tests/public/test_availability.py": ("test_who_can_be_booked", "test_what_is_booked_is_not_offered"),
    "tests/public/test_bookings.py": ("test_from_the_request_to_the_confirmation", "test_a_time_that_is_taken"),
    "tests/public/test_booking_page.py": ("test_called_off_while_it_was_paid",),
    "tests/public/test_stripe_order.py": ("test_a_payment_that_comes_too_late_goes_back",),
    "tests/public/test_calendar_hints.py": (
        "test_one_delivery_tells_all[Calendly-4]",
        "test_a_cancellation_that_was_never_told[Calcom]",
        "test_a_booking_of_ours_is_followed_through_moves_at_cal_com",
    ),
    "tests/public/test_service_doors.py": ("test_health_is_fine", "test_metrics_count_what_is_unfinished"),
    "tests/public/test_claims.py": ("test_sign_in_claims_what_waits", "test_refusals_of_the_claim"),
    "tests/public/test_claim_page.py": ("test_the_signed_in_buyer_claims_by_the_button_and_may_press_twice",),
    "tests/public/test_clerk_tells.py": ("test_a_new_account_gets_its_purchase",),
    "tests/public/test_clients.py": (
        "test_each_scope_opens_its_own_door_and_no_other",
        "test_a_report_changes_what_it_says_and_nothing_else",
    ),
    "tests/guests/test_meetings.py": ("test_the_same_request_again_gets_the_same_meeting[True]",),
    "tests/guests/test_registration.py": ("test_a_clear_no_about_the_code_is_sent_again_later",),
    "tests/guests/test_sign_in.py": (
        "test_the_code_of_the_first_mail_shows_the_guest_their_own",
        "test_a_new_code_is_asked_for_and_mailed_once",
    ),
    "tests/jobs/test_appointments.py": (
        "test_a_hold_ends_with_its_time",
        "test_a_hold_without_a_page_ends_too",
        "test_what_a_crash_left_is_settled[True]",
        "test_reminders_go_out_once",
        "test_a_refund_of_everything_ends_the_booking_without_an_event",
    ),
    "tests/jobs/test_billing.py": (
        "test_a_trial_is_extended_at_stripe_once",
        "test_stripe_is_asked_when_no_delivery_came",
    ),
    "tests/jobs/test_client_customers.py": ("test_a_customer_at_each_checkout_and_the_live_one_counts",),
    "tests/jobs/test_canceling.py": ("test_now_and_what_the_plan_says_of_it",),
    "tests/jobs/test_address_changes.py": ("test_a_wrong_address_is_corrected",),
    "tests/jobs/test_membership_payments.py": (
        "test_a_subscription_that_is_a_members_has_its_invoices_payments_and_their_periods",
    ),
    "tests/jobs/test_membership_refunds.py": ("test_what_was_lost_is_unknown_and_settled_by_asking",),
    "tests/jobs/test_bulk_runs.py": ("test_a_long_run_is_a_chain_of_short_jobs_and_a_lost_one_is_found",),
    "tests/jobs/test_exports.py": ("test_a_file_is_whole_after_any_crash_and_belongs_to_who_asked",),
    "tests/jobs/test_switches.py": ("test_a_start_an_end_and_a_mail_come_at_their_moments",),
    "tests/services/refunds/test_called_off.py": ("test_otherwise_it_waits_until_somebody_decides",),
    "tests/faults/test_calendars.py": (
        "TestCalcom::test_it_moves_and_ends_with_the_booking",
        "TestCalcom::test_the_unsettled_are_queued_again",
    ),
    "tests/faults/test_drift.py": (
        "test_a_time_that_differs_is_taken_over_or_pushed[push]",
        "test_a_cancellation_that_stripe_does_not_have_is_pushed_after_it_was_repaired",
        "test_a_plan_that_differs_at_whop_is_taken_over",
    ),
}
FLOWS = tuple(f"{path}::{name}" if name else path for path, names in _BY_FILE.items() for name in names)
