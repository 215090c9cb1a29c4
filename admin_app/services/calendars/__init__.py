"""What Cal.com and Calendly have of our bookings, and the calls to them that wait."""
