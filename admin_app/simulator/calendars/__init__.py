"""The pages on which both simulated calendars are played."""
