"""The calendar file that goes with a mail: the appointment as calendars keep it (RFC 5545), in UTC."""

from datetime import datetime
from email.utils import parseaddr
from urllib.parse import urlsplit

from icalendar import Calendar, Event, vCalAddress

from admin_app.services.appointments import Appointment


def calendar_file(appointment: Appointment, *, now: datetime, base_url: str, sender: str, called_off: bool) -> str:
    """The one event of this appointment: a later file with the same UID moves it, or takes it out again."""
    event = Event()
    event.add("uid", f"{appointment.kind}-{appointment.number}@{urlsplit(base_url).hostname or 'backdesk'}")
    # Counts up with every change, by which calendars know the newest.
    event.add("sequence", appointment.row.version)
    event.add("dtstamp", now)
    event.add("dtstart", appointment.row.starts_at)
    event.add("dtend", appointment.row.ends_at)
    event.add("summary", f"{appointment.title} with {appointment.practitioner.name}")
    event.add("status", "CANCELLED" if called_off else "CONFIRMED")
    # Calendars believe a file only from the address that the mail itself comes from.
    event.add("organizer", _person(parseaddr(sender)[1], appointment.practitioner.name))
    attendee = _person(appointment.email or "", appointment.name)
    attendee.params["PARTSTAT"], attendee.params["RSVP"] = "ACCEPTED", "FALSE"
    event.add("attendee", attendee)
    calendar = Calendar()
    calendar.add("prodid", "-//Backdesk//Backdesk//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if called_off else "REQUEST")
    calendar.add_component(event)
    file: bytes = calendar.to_ical()
    return file.decode()


def _person(address: str, name: str | None) -> vCalAddress:
    person = vCalAddress(f"mailto:{address}")
    if name:
        person.params["CN"] = name
    return person
