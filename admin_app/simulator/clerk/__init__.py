"""The simulated Clerk: people, keys and tokens, and its API."""
