"""Memberships: their payments, moves and cancellations, what staff give by hand, and what makes somebody pro."""
