"""The floor: the least that a Flask application can do to show the same table.

One connection, one indexed query, one compiled template; no sign-in, no shell, no filters of its own.
"""

from typing import Any

import psycopg
from flask import Flask, Response, abort, jsonify, render_template, request
from jinja2 import DictLoader
from psycopg.rows import namedtuple_row

PAGE = 50
PAGE_OF = """
SELECT b.id, b.starts_at, p.name AS practitioner, t.title AS session_type, b.client_name, b.client_email, b.status,
       b.price_amount, b.price_currency
FROM (SELECT * FROM bookings {where} ORDER BY starts_at DESC, id DESC LIMIT 50) AS b
JOIN practitioners p ON p.id = b.practitioner_id
JOIN session_types t ON t.id = b.session_type_id
ORDER BY b.starts_at DESC, b.id DESC
"""
RECORD = """
SELECT b.*, p.name AS practitioner, t.title AS session_type
FROM bookings b JOIN practitioners p ON p.id = b.practitioner_id JOIN session_types t ON t.id = b.session_type_id
WHERE b.id = %s
"""
CLIENT = "SELECT billing_status = 'active' AND onboarding_complete AS allowed FROM clients WHERE id = %s"
TEMPLATES = {
    "list.html": """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Bookings</title></head>
<body><h1>Bookings</h1>
<table>
<thead><tr><th>Id</th><th>Starts</th><th>Practitioner</th><th>Session type</th><th>Client</th><th>E-mail</th>
<th>Status</th><th>Price</th></tr></thead>
<tbody>
{%- for row in rows %}
<tr><td><a href="/bookings/{{ row.id }}">{{ row.id }}</a></td><td>{{ row.starts_at.strftime("%d %b %Y %H:%M") }}</td>
<td>{{ row.practitioner }}</td><td>{{ row.session_type }}</td><td>{{ row.client_name }}</td>
<td>{{ row.client_email }}</td><td>{{ row.status }}</td>
<td>{{ "%.2f" | format(row.price_amount / 100) }} {{ row.price_currency }}</td></tr>
{%- endfor %}
</tbody></table>
{%- if rows %}
<a href="?after={{ rows[-1].starts_at.isoformat() | urlencode }}&amp;id={{ rows[-1].id }}">Next</a>{% endif %}
</body></html>
""",
    "record.html": """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Booking {{ row.id }}</title></head>
<body><h1>Booking {{ row.id }}</h1>
<dl>
{%- for name, value in row._asdict().items() %}
<dt>{{ name }}</dt><dd>{{ value }}</dd>
{%- endfor %}
</dl>
</body></html>
""",
}


def create_app(database_url: str, cursor_factory: type[psycopg.Cursor[Any]] = psycopg.Cursor) -> Flask:
    app = Flask(__name__)
    app.jinja_loader = DictLoader(TEMPLATES)
    # The same rule as for the product: nothing prepared that a pooler could not carry from one server to the next.
    options: dict[str, Any] = {"prepare_threshold": None, "options": "-c timezone=UTC"}
    connection = psycopg.connect(database_url, autocommit=True, cursor_factory=cursor_factory, **options)
    connection.row_factory = namedtuple_row

    @app.get("/bookings")
    def bookings() -> str:
        where, values = _narrowed()
        rows = connection.execute(PAGE_OF.format(where=where).encode(), values).fetchall()
        return render_template("list.html", rows=rows)

    @app.get("/bookings/<int:booking_id>")
    def booking(booking_id: int) -> str:
        row = connection.execute(RECORD, [booking_id]).fetchone()
        return render_template("record.html", row=row) if row else abort(404)

    @app.get("/clients/<int:client_id>")
    def allowed(client_id: int) -> Response:
        row = connection.execute(CLIENT, [client_id]).fetchone()
        return jsonify(allowed=row.allowed) if row else abort(404)

    return app


def _narrowed() -> tuple[str, list[Any]]:
    """The one condition that the address asks for; each has its index."""
    args = request.args
    if "after" in args:
        return "WHERE (starts_at, id) < (%s, %s)", [args["after"], int(args["id"])]
    if "status" in args:
        return "WHERE status = %s", [args["status"]]
    if "part" in args:
        return "WHERE lower(client_email::text) LIKE %s", [f"%{args['part'].lower()}%"]
    if "email" in args:
        return "WHERE client_email = %s::citext", [args["email"]]
    return "", []
