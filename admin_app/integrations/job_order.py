"""What goes first: in which queue each task waits and how urgent it is there. The only place that says so.

A worker serves each queue with slots of its own, so that no backlog of one holds up another. Within a queue the higher
priority goes first, then the older job.
"""

from dataclasses import dataclass

# How many jobs of each queue one worker does at a time. `safety` is what finds and repairs: it must run under any
# backlog. `clock` is what may be due for thousands at one moment. `long` may take minutes and `comparisons` hours: none
# of them may hold the slots of safety, nor those that a person's mail waits for.
SLOTS = {"safety": 2, "clock": 2, "default": 4, "long": 2, "comparisons": 1}

# Thousands may be due at one moment: whatever comes of what somebody just did goes before them.
AT_A_MOMENT = -1


@dataclass(frozen=True)
class Place:
    """Where a task waits: its queue, and its priority there, the higher the sooner."""

    queue: str
    priority: int


# A person looks at the screen until it is there.
_AT_ONCE = Place("default", 30)
# A person waits for it, or money and calendars are wrong until it is done.
_SOON = Place("default", 20)
# What a provider told. Also the place of a job that an earlier release queued: 'default', 0.
_EVENTS = Place("default", 0)
# Checks of what is probably right already.
_CHECKS = Place("default", -10)
_SAFETY = Place("safety", 0)
_CLOCK = Place("clock", 0)
# First in its queue is what somebody asked for or lives by; then what is cut into many short jobs.
_LONG_FIRST, _LONG = Place("long", 10), Place("long", 0)
_COMPARISONS = Place("comparisons", 0)

PLACES: dict[str, Place] = {
    "send_guest_code": _AT_ONCE,
    "send_claim_mail": _SOON,
    "send_appointment_mail": _SOON,
    "send_switch_mail": _SOON,
    "send_refund": _SOON,
    "ask_about_refund": _SOON,
    "follow_refunds": _SOON,
    "settle_canceled": _SOON,
    "expire_checkout": _SOON,
    "settle_call": _SOON,
    "sync_calendar": _SOON,
    "register_guest": _SOON,
    "settle_finding": _SOON,
    "ask_about_billing": _SOON,
    "ask_about_subscription": _SOON,
    "extend_trial": _SOON,
    "change_membership": _SOON,
    "change_address": _SOON,
    "refresh_billing": _SOON,
    "follow_switch": _SOON,
    "process_event": _EVENTS,
    "ask_about_person": _EVENTS,
    "compare_membership": _CHECKS,
    "ask_what_was_paid": _CHECKS,
    # Each minute or few: what was lost is found, what is over ends.
    "sweep": _SAFETY,
    "expire_holds": _SAFETY,
    "queue_unfinished_refunds": _SAFETY,
    "queue_pending_refunds": _SAFETY,
    "queue_waiting_subscriptions": _SAFETY,
    "settle_calls": _SAFETY,
    "settle_mails": _SAFETY,
    "settle_calendars": _SAFETY,
    "continue_bulk_runs": _SAFETY,
    "queue_comparisons": _SAFETY,
    "queue_unfinished_comparisons": _SAFETY,
    # Whoever is due, each in turn.
    "follow_switches": _CLOCK,
    "refresh_billing_due": _CLOCK,
    "end_memberships": _CLOCK,
    "send_reminders": _CLOCK,
    "refresh_owners": _CLOCK,
    # As long as there are members who are due, rows to write, files to delete.
    "renew_credits": _LONG_FIRST,
    "make_export": _LONG_FIRST,
    "run_bulk": _LONG,
    "expire_exports": _LONG,
    "forget_failed_jobs": _LONG,
    "check_invariants": _LONG,
    "ask_about_never_asked": _LONG,
    "compare_with": _COMPARISONS,
    "reconcile_whop": _COMPARISONS,
}


def place_of(task: str, *, at_a_moment: bool = False) -> Place:
    """Where a job of `task` waits; `at_a_moment` when it is queued for a later moment rather than for now.

    A task that the table does not name waits among the events: its job must not be lost for a missing line.
    """
    place = PLACES.get(task, _EVENTS)
    return Place(place.queue, min(place.priority, AT_A_MOMENT)) if at_a_moment else place
