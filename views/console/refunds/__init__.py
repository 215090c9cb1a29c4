"""Refunds: the forms that ask for them, the second person's decision, and what came back."""
