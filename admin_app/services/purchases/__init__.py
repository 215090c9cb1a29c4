"""Purchases: what providers sold, who holds it, and how it comes to the person whose it is.

Owns `profiles`, `pending_profiles`, `claim_tokens`, `extra_purchases`, `merges` and `credit_renewals`.
What a provider says of a membership is a `MembershipSnapshot`; `deciding` says what follows from it.
Others call `record`, `end` and `set_cancellation` for a provider's news, and `holders` for who holds it. A provider's
word comes by `whop_events`, `clerk_events`, `stripe_subscriptions` and `reconcile`; people act by `claims`,
`claim_links`, `claim_mails`, `pending_profiles`, `owners`, `undo`, `legacy`, `canceling`, `address_changes` and
`account_deletion`; `cancel_actions`, `cancel_sending`, `address_actions` and `address_sending` ask the provider;
`credit_renewals` and `purchase_numbers` go by the calendar.
"""

from admin_app.services.purchases.recording import Applied, MembershipSnapshot, end, record, set_cancellation

__all__ = ["Applied", "MembershipSnapshot", "end", "record", "set_cancellation"]
