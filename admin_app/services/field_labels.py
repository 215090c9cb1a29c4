"""What people call the fields, in plans, histories and forms."""

LABELS = {
    "user_id": "Account",
    "email": "E-mail",
    "name": "Name",
    "membership": "Membership",
    "payment_provider": "Paid through",
    "whop_user_id": "Whop user",
    "whop_membership_id": "Whop membership",
    "stripe_customer_id": "Stripe customer",
    "stripe_subscription_id": "Stripe subscription",
    "plan_duration": "Plan",
    "billing_cycle_start": "Billing cycle starts",
    "billing_cycle_end": "Billing cycle ends",
    "next_credit_renewal": "Next credit renewal",
    "usage_credits": "Credits",
    "used_credits": "Credits used",
    "status": "Status",
    "cancel_at_period_end": "Cancels at period end",
    "provider_event_at": "Last provider event",
    "claimed": "Claimed",
    "claimed_by_user_id": "Claimed by",
    "claimed_at": "Claimed at",
    "token": "Claim link",
    "token_expires_at": "Claim link valid until",
    "role": "Role",
    "disabled_at": "Disabled at",
    "locked_until": "Locked until",
    "attached_email": "Attached e-mail",
    "state": "State",
    "parked_because": "Parked because",
}


def label_of(field: str) -> str:
    """The field's name for people; an unknown one is read from its own name."""
    return LABELS.get(field) or field.replace("_", " ").capitalize()
