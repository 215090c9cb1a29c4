#!/usr/bin/env bash
# Version: Flask-Admin 2.2.1 (Flask 3.1.3, Flask-SQLAlchemy 3.1.1, SQLAlchemy 2.1.9)
#
# Usual guess: a filter whose value cannot be read (a bookmark with a typing error, `flt0_0=abc` for a number), or
#   which no longer exists, gives an error, or no rows.
# Behaviour: the filter is left out, and the answer is 200 with ALL rows. About a value that cannot be read a message is
#   shown on the page, or after an export on whichever page comes next; an unknown filter is passed over in silence.
#   The exported file looks like any other.
#
# Output seen:
#   export with flt0_total_equals=20: 200, 1 rows
#   export with flt0_total_equals=twenty: 200, 3 rows
#   export with flt0_amount_equals=20: 200, 3 rows
#   As found: what cannot be read does not filter.
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

app = Flask("shop")
app.config.update(SECRET_KEY="x", SQLALCHEMY_DATABASE_URI="sqlite://")
db = SQLAlchemy(app)


class Sale(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    total = db.Column(db.Integer)


class Sales(ModelView):
    column_filters = ["total"]
    named_filter_urls = True
    can_export = True


Admin(app).add_view(Sales(Sale, db, endpoint="sale"))
with app.app_context():
    db.create_all()
    db.session.add_all(Sale(total=total) for total in (10, 20, 30))
    db.session.commit()


def exported(query):
    answer = app.test_client().get("/admin/sale/export/csv/?" + query)
    rows = answer.text.splitlines()[1:]
    print(f"export with {query}: {answer.status_code}, {len(rows)} rows")
    return answer.status_code, len(rows)


seen = [exported(f"flt0_{query}") for query in ("total_equals=20", "total_equals=twenty", "amount_equals=20")]
assert seen[0] == (200, 1), "the filter itself does not work here"
assert seen[1:] == [(200, 3), (200, 3)], "a filter that cannot be read is no longer left out"
print("As found: what cannot be read does not filter.")
PY
