"""The simulated Cal.com: event types, bookings, its API, and its controls."""
