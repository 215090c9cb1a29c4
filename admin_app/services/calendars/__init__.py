"""What Cal.com and Calendly have of our bookings, and the calls to them.

Owns `booking_links`, `booking_attendees` and `booking_hosts`. What they tell of theirs is applied in
`calendar_deliveries`.
Others call `calendar_entries` (one form for both), `booking_links` (the ids of a booking there), `calcom_mapping` and
`hosts` (whose calendar it is), `attendees` and `people` (who comes), `calendar_sync` and `planned_calls` (what they
are told), `calendar_calls` and `waiting_deliveries` (what waits), and `calendar_files` for mails.
"""
