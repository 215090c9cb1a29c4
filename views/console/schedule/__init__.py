"""Practitioners, session types and the week's calendar."""
