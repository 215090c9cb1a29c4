"""Jobs, and where what the services leave open is wired."""

from admin_app.jobs import event_handlers

event_handlers.wire()
