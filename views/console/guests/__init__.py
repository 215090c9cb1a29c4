"""Guests of meetings and their organizations."""
