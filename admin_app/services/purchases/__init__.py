"""Purchases: what providers tell of a membership, and the people that it may belong to.

Owns `pending_profiles`, `person_addresses`, `claim_tokens` and the mark of a deleted account on `profiles`; the
memberships themselves are the room `memberships`. `record`, `end` and `set_cancellation` bring a provider's news in.
The modules of people: `identities` (who comes in), `person_addresses` (whose an address is), `accounts` (which account
support means), `account_deletion` and `waiting_again`.
"""

from admin_app.services.purchases.recording import Applied, PurchaseFacts, end, record, set_cancellation

__all__ = ["Applied", "PurchaseFacts", "end", "record", "set_cancellation"]
