"""Clients: their flags and the gate, onboarding, runs over many of them, and the emergency stop."""
