"""Giving money back, and deciding about it."""
