"""The simulated Whop: memberships and payments, its API, and what it tells."""
