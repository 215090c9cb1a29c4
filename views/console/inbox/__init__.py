"""Pages about what comes in and what is done about it."""
