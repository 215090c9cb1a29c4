"""Bookings and meetings: their lists, the page of one with its story, and the commands on it."""
