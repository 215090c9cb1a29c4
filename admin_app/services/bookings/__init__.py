"""Bookings: the life of an appointment, a booking or a meeting, from the moment its time is taken.

Owns `bookings` and `meetings`: each step of their life, and what a step means in the plan of the command that takes
it.
Others call the steps that are named here, with a locked appointment; `step_plans` says what a step means, `holds`
takes a time, `rescheduling` and `attendance` are commands, `appointment_mails` the mails, `booking_limits` limits how
often a network may hold.
"""

from admin_app.services.bookings.steps import (
    BECAUSE,
    REMIND_BEFORE,
    STAFF,
    UNPAID_ENDS,
    Step,
    attending,
    cancel,
    cancel_unpaid,
    canceling,
    carry_out,
    close_checkout,
    closing_key,
    confirm,
    correct_email,
    end,
    gives_way,
    hand_over,
    move,
    moving,
    record,
    refund_came_back,
    refunding,
    remind_later,
    send_mail,
    sync_calendar,
    touch,
)

__all__ = [
    "BECAUSE",
    "REMIND_BEFORE",
    "STAFF",
    "UNPAID_ENDS",
    "Step",
    "attending",
    "cancel",
    "cancel_unpaid",
    "canceling",
    "carry_out",
    "close_checkout",
    "closing_key",
    "confirm",
    "correct_email",
    "end",
    "gives_way",
    "hand_over",
    "move",
    "moving",
    "record",
    "refund_came_back",
    "refunding",
    "remind_later",
    "send_mail",
    "sync_calendar",
    "touch",
]
