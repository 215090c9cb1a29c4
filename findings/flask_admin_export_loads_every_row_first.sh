#!/usr/bin/env bash
# Version: Flask-Admin 2.2.1 (Flask 3.1.3, Flask-SQLAlchemy 3.1.1, SQLAlchemy 2.1.9)
#
# Usual guess: the CSV export is a streamed answer made by a generator, so its rows come from the database as they are
#   sent, and a table of a million rows needs little memory and answers at once.
# Behaviour: only the text is streamed. Every row is loaded as an object (there is no limit by default), and counted
#   besides, before the first byte leaves.
#
# Output seen:
#   streamed: True - first chunk: b'Total\r\n'
#   objects loaded by then: 2000 of 2000; chunks in all: 2001
#   As found: all rows are in memory before the first line leaves.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q flask-admin==2.2.1 flask==3.1.3 flask-sqlalchemy==3.1.1 sqlalchemy==2.1.9 2>"$work/pip.log" \
    || { cat "$work/pip.log" >&2; exit 1; }

"$work/venv/bin/python" - <<'PY'
from flask import Flask
from flask_admin import Admin
from flask_admin.contrib.sqla import ModelView
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event

app = Flask("shop")
app.config.update(SECRET_KEY="x", SQLALCHEMY_DATABASE_URI="sqlite://")
db = SQLAlchemy(app)
ROWS = 2000


class Sale(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    total = db.Column(db.Integer)


class Sales(ModelView):
    can_export = True


Admin(app).add_view(Sales(Sale, db, endpoint="sale"))
loaded = 0


@event.listens_for(Sale, "load")
def count(*_):
    global loaded
    loaded += 1


with app.app_context():
    db.create_all()
    db.session.execute(db.insert(Sale), [{"total": number} for number in range(ROWS)])
    db.session.commit()

answer = app.test_client().get("/admin/sale/export/csv/", buffered=False)
chunks = iter(answer.response)
first = next(chunks)
before = loaded
lines = 1 + sum(1 for _ in chunks)
print("streamed:", answer.is_streamed, "- first chunk:", repr(first))
print(f"objects loaded by then: {before} of {ROWS}; chunks in all: {lines}")
assert answer.is_streamed and lines == ROWS + 1
assert before == ROWS, "rows are now loaded as they are sent"
print("As found: all rows are in memory before the first line leaves.")
PY
