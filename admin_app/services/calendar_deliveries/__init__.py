"""What Cal.com and Calendly tell of appointments, applied to our bookings in whatever order it comes.

Owns no table; what belongs to a calendar's booking is kept by `calendars`.
Others call `calcom_events` and `calendly_events`, the handlers of the inbox.
"""
