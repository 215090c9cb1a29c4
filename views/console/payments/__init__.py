"""Payments for appointments, and their disputes."""
