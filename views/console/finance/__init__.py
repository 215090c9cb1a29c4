"""The books: the morning's numbers, and months that are closed."""
