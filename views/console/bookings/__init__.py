"""Bookings and meetings: the page of one with its story, and the commands on it."""
