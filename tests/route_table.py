"""Every route of the product and who may use it: one row each, written independently of the role model.

A new route fails `tests/test_route_matrix.py` until it has a row here. A console page belongs to an area, and
`AREAS` says which role may enter which area; a public route says what an empty request gets and why it is open.
"""

from dataclasses import dataclass, field

from models import Role

LOOKS_AT = frozenset(
    {"home", "purchases", "profiles", "users", "clients", "bookings", "meetings", "payments", "inbox", "mails", "audit"}
) | {"billing", "exports", "drift"}
RESOLVES = frozenset({"purchases: resolve", "addresses: change", "inbox: release", "appointments: manage"})
SWITCHES = frozenset({"clients: switch", "clients: stop everyone", "onboarding: decide"})
KEEPS_BILLING = frozenset({"billing: override", "trials: grant", "providers: ask"})

AREAS: dict[Role, frozenset[str]] = {
    Role.SUPPORT: LOOKS_AT
    | RESOLVES
    | {"purchases: cancel", "guests: resolve", "refunds: ask", "failures: settle", "memberships: adjust"},
    Role.OPS: LOOKS_AT
    | SWITCHES
    | {
        "providers: ask",
        "drift: run",
        "appointments: manage",
        "guests: resolve",
        "schedule: manage",
        "failures: settle",
    },
    Role.FINANCE: LOOKS_AT
    | KEEPS_BILLING
    | {"purchases: cancel", "memberships: adjust"}
    | {"refunds: ask", "refunds: decide", "months: close", "drift: run", "drift: resolve", "failures: settle"},
    Role.ADMIN: LOOKS_AT
    | RESOLVES
    | SWITCHES
    | KEEPS_BILLING
    | {
        "purchases: cancel",
        "guests: resolve",
        "schedule: manage",
        "refunds: ask",
        "refunds: decide",
        "months: close",
        "drift: run",
        "drift: resolve",
        "failures: settle",
        "memberships: adjust",
        "staff",
        "staff: manage",
        "service keys",
        "service keys: manage",
    },
    Role.AUDITOR: LOOKS_AT | {"staff", "service keys"},
}

# What fills the parts of an address: no record has this number, so whoever is let in finds nothing there.
NOBODY = 999_999
PARTS: dict[str, object] = {"filename": "console/icon.svg", "provider": "whop", "flag": "ai_disabled"}


@dataclass(frozen=True)
class Row:
    """A console route: its area, and what an empty request gets once inside."""

    area: str
    inside: dict[str, int]


@dataclass(frozen=True)
class Open:
    """A public route: what an empty request gets, why it needs no staff session, what differs with one."""

    answers: dict[str, int]
    why: str
    signed_in: dict[str, int] = field(default_factory=dict)


def section(name: str, area: str) -> dict[str, Row]:
    """A list and a page per record, read only."""
    return {
        f"{name}.index_view": Row(area, {"GET": 200}),
        f"{name}.details_view": Row(area, {"GET": 404}),
    }


def commands(view: str, area: str, *names: str) -> dict[str, Row]:
    """Commands on one record: the plan by GET, the act by POST."""
    return {f"{view}.{name}": Row(area, {"GET": 404, "POST": 404}) for name in names}


CONSOLE: dict[str, Row] = {
    "admin.index": Row("home", {"GET": 200}),
    "search.index": Row("home", {"GET": 200}),
    "my-account.index": Row("home", {"GET": 200}),
    "my-account.password": Row("home", {"GET": 200, "POST": 422}),
    "my-account.time_zone": Row("home", {"GET": 200, "POST": 422}),
    "my-account.end_session": Row("home", {"POST": 404}),
    "my-account.end_others": Row("home", {"POST": 303}),
    **section("purchases", "purchases"),
    **section("pending-profiles", "purchases"),
    **section("extra-purchases", "purchases"),
    **section("memberships", "purchases"),
    **section("merges", "purchases"),
    **commands("purchase", "purchases: resolve", "claim", "undo", "email", "delete", "mail", "settle"),
    **commands("membership-commands", "purchases: resolve", "move", "move_back"),
    **commands("membership-canceling", "purchases: cancel", "at_end", "now", "back"),
    "membership-canceling.of_account": Row("purchases: cancel", {"GET": 404}),
    "what-makes-pro.index": Row("purchases", {"GET": 200}),
    "purchase-numbers.index": Row("purchases", {"GET": 200}),
    "system.index": Row("inbox", {"GET": 200}),
    **section("profiles", "profiles"),
    **section("adjustments", "profiles"),
    **commands("account-commands", "memberships: adjust", "give", "credits"),
    **commands("given-membership-commands", "memberships: adjust", "change_end", "end"),
    **commands("adjustment-commands", "memberships: adjust", "undo"),
    **section("users", "users"),
    **section("person-addresses", "users"),
    **commands("address-commands", "addresses: change", "correct", "make_primary", "unlink", "add"),
    "address-commands.of_account": Row("addresses: change", {"GET": 404}),
    **section("clients", "clients"),
    **section("bulk-runs", "clients"),
    **section("bulk-items", "clients"),
    **commands("bulk-run-commands", "clients: switch", "choose", "start", "discard", "stop", "undo"),
    **section("onboarding-states", "clients"),
    **section("flag-changes", "clients"),
    **commands("switch-commands", "clients: switch", "turn_on", "turn_off"),
    **commands("flag-change-commands", "clients: switch", "cancel"),
    "emergency-stop.index": Row("clients", {"GET": 200}),
    "emergency-stop.start": Row("clients: stop everyone", {"GET": 200, "POST": 422}),
    "emergency-stop.end": Row("clients: stop everyone", {"GET": 200, "POST": 422}),
    **section("subscriptions", "billing"),
    **section("client-customers", "billing"),
    **commands("customer-commands", "drift: resolve", "link"),
    **section("billing-overrides", "billing"),
    **section("credit-renewals", "billing"),
    **commands("billing-commands", "billing: override", "override", "lift"),
    **commands("billing-commands", "trials: grant", "trial", "extend"),
    **commands("billing-commands", "providers: ask", "ask"),
    "billing-override-commands.lift": Row("billing: override", {"GET": 404}),
    **section("bookings", "bookings"),
    **section("practitioners", "bookings"),
    **section("session-types", "bookings"),
    **commands("booking-commands", "appointments: manage", "cancel", "reschedule", "complete", "no_show", "resend"),
    **commands("meeting-commands", "appointments: manage", "cancel", "reschedule", "complete", "no_show", "resend"),
    "calendar.index": Row("bookings", {"GET": 200}),
    "practitioner-forms.create": Row("schedule: manage", {"GET": 200, "POST": 422}),
    **commands("practitioner-forms", "schedule: manage", "edit", "activate", "deactivate"),
    "session-type-forms.create": Row("schedule: manage", {"GET": 200, "POST": 422}),
    **commands("session-type-forms", "schedule: manage", "edit", "activate", "deactivate"),
    **section("meetings", "meetings"),
    **section("organizations", "meetings"),
    **section("guests", "meetings"),
    **commands("meeting-guest", "guests: resolve", "link", "register"),
    "finance.index": Row("billing", {"GET": 200}),
    **section("past-due", "billing"),
    **section("cancellations", "billing"),
    **section("billing-changes", "billing"),
    **section("month-lines", "billing"),
    "months.index": Row("billing", {"GET": 200}),
    "months.show": Row("billing", {"GET": 404}),
    **commands("months", "months: close", "close"),
    "months.export": Row("billing", {"POST": 404}),
    **section("payments", "payments"),
    **section("refunds", "payments"),
    **section("disputes", "payments"),
    **section("approvals", "payments"),
    **section("provider-calls", "payments"),
    **section("membership-payments", "payments"),
    **commands("membership-payment-commands", "refunds: ask", "refund", "ask"),
    "membership-payment-commands.of_membership": Row("refunds: ask", {"GET": 404}),
    "membership-payment-commands.of_account": Row("refunds: ask", {"GET": 404}),
    **commands("payment-commands", "refunds: ask", "refund", "keep"),
    "payment-commands.of_booking": Row("refunds: ask", {"GET": 404}),
    "payment-commands.of_meeting": Row("refunds: ask", {"GET": 404}),
    "failed-jobs.index": Row("inbox", {"GET": 200}),
    **commands("failed-jobs", "failures: settle", "retry", "settle"),
    **commands("provider-call-commands", "failures: settle", "retry", "settle"),
    **commands("refund-commands", "refunds: ask", "ask", "put_right"),
    **commands("refund-commands", "refunds: decide", "approve", "decline"),
    **section("drift-findings", "drift"),
    **section("drift-runs", "drift"),
    "drift-run-commands.start": Row("drift: run", {"GET": 200, "POST": 404}),
    **commands("drift-finding-commands", "drift: resolve", "adopt", "push", "ignore", "assign"),
    **section("webhook-events", "inbox"),
    "inbox.attach_email": Row("inbox: release", {"GET": 200, "POST": 422}),
    "inbox.release": Row("inbox: release", {"GET": 200, "POST": 422}),
    **section("sent-emails", "mails"),
    **commands("sent-email-commands", "failures: settle", "again", "settle"),
    "sent-emails.html_view": Row("mails", {"GET": 404}),
    "sent-emails.calendar_view": Row("mails", {"GET": 404}),
    **commands("onboarding-commands", "onboarding: decide", "complete", "reopen"),
    **section("service-keys", "service keys"),
    "service-key-commands.create": Row("service keys: manage", {"GET": 200, "POST": 422}),
    **commands("service-key-commands", "service keys: manage", "revoke"),
    **section("audit-entries", "audit"),
    **section("exports", "exports"),
    "exports.make": Row("exports", {"POST": 404}),
    "exports.download": Row("exports", {"POST": 404}),
    **section("staff", "staff"),
    **section("staff-sessions", "staff"),
    "staff-commands.create": Row("staff: manage", {"GET": 200, "POST": 422}),
    **commands("staff-commands", "staff: manage", "disable", "enable", "role", "password", "sign_out"),
}

PUBLIC: dict[str, Open] = {
    "root": Open({"GET": 302}, "leads to the console"),
    "static": Open({"GET": 200}, "styles and scripts, the same for everyone"),
    "health.health": Open({"GET": 200}, "asked by whatever watches the server"),
    "metrics.metrics": Open({"GET": 404}, "answers only to a caller on the same machine"),
    "csp_reports": Open({"POST": 204}, "browsers report without cookies"),
    "sign_in.show": Open({"GET": 200}, "before one is signed in", signed_in={"GET": 303}),
    "sign_in.sign_in": Open({"POST": 422}, "before one is signed in"),
    "sign_in.sign_out": Open({"POST": 303}, "harmless without a session"),
    "openapi.document": Open({"GET": 200}, "describes the public endpoints"),
    "webhooks.receive": Open({"POST": 400}, "the provider's signature decides"),
    "claims.claim": Open({"POST": 401}, "the customer's token decides"),
    "claims.sign_in": Open({"POST": 401}, "the customer's token decides"),
    "availability.practitioners": Open({"GET": 200}, "who can be booked is on the web site as well"),
    "availability.slots": Open({"GET": 404}, "free times are on the web site as well"),
    "booking.book": Open({"POST": 415}, "whoever books has no account here"),
    "booking.show": Open({"GET": 404}, "the checkout session that it was paid by decides"),
    "booking_page.show": Open({"GET": 200}, "where Stripe leads a payer back to; without a session it shows nothing"),
    "guest.book": Open({"POST": 415}, "whoever books has no account here"),
    "guest.magic_code": Open({"POST": 415}, "the mail goes to the guest alone, and the answer tells nothing"),
    "guest.session": Open({"POST": 415}, "the code of the mail decides"),
    "guest.me": Open({"GET": 401}, "the guest's token decides"),
    "guest.my_meetings": Open({"GET": 401}, "the guest's token decides"),
    "client.show": Open({"GET": 401}, "the service key decides"),
    "client.ask": Open({"GET": 401}, "the service key decides"),
    "client.report": Open({"PATCH": 401}, "the service key decides"),
    "claim_page.show": Open({"GET": 403}, "the link of the claim mail, whose token decides"),
    "claim_page.claim": Open({"POST": 403}, "the form of that page, whose token decides"),
}
