"""The floor of the intake: a bare Flask endpoint that inserts and commits the same row, and does nothing else.

It proves no signature, queues no job and logs nothing. Served like ours: `gunicorn tests.bench.bare_intake:app`.
"""

import json
import os
import threading

import psycopg
from flask import Flask, request
from flask.typing import ResponseReturnValue

INSERT = """
INSERT INTO webhook_events (provider, external_id, type, body, received_at, occurred_at, subject)
VALUES (%s, %s, %s, %s, now(), %s, %s)
"""


def create_app(database_url: str) -> Flask:
    """One connection per thread, each INSERT a transaction by itself: the fewest round trips there are."""
    bare = Flask(__name__)
    mine = threading.local()

    def connection() -> psycopg.Connection:
        if not hasattr(mine, "connection"):
            # The same rule as for the product: nothing prepared that a pooler could not carry.
            mine.connection = psycopg.connect(database_url, autocommit=True, prepare_threshold=None)
        held: psycopg.Connection = mine.connection
        return held

    @bare.post("/api/webhooks/<provider>")
    def receive(provider: str) -> ResponseReturnValue:
        raw = request.get_data()
        event = json.loads(raw)
        about = event["data"]["id"]
        row = (provider, request.headers["Webhook-Id"], event["type"], raw, event["timestamp"], about)
        connection().execute(INSERT, row)
        return {"status": "ok"}

    @bare.get("/health")
    def health() -> ResponseReturnValue:
        return {"status": "ok"}

    return bare


app = create_app(os.environ["DATABASE_URL"]) if "DATABASE_URL" in os.environ else None
