"""People: their accounts, and the addresses that the identity provider calls theirs.

Owns `users` and `person_addresses`.
Others call `users`, `accounts` (which account support means), `people_search`, `person_addresses` and
`address_likeness`.
"""
