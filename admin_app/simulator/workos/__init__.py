"""The simulated WorkOS: users, organizations, codes, its API, and its controls."""
