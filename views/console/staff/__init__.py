"""Staff members, their sessions and their own account, and the keys of the business's programs."""
