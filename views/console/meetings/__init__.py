"""What can be done about a meeting's guest."""
