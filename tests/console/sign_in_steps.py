"""What a person does to sign in, step by step, for the tests about just that."""

import re

from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from admin_app.context import Job

EMAIL = "mara@example.com"
PASSWORD = "glass-kettle-orbit-29"
OPERATOR = Job("flask staff")


def form_token(client: FlaskClient, page: str = "/login") -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page).text)
    assert found, f"{page} holds no form"
    return found[1]


def post(client: FlaskClient, address: str, *, page: str = "/login", **fields: str) -> TestResponse:
    """Send a form with the token that `page` carries."""
    return client.post(address, data={"csrf_token": form_token(client, page), **fields})


def sign_in(client: FlaskClient, password: str = PASSWORD, **fields: str) -> TestResponse:
    return post(client, "/login", **{"email": EMAIL, "password": password, **fields})


def parsed(response: TestResponse) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html5lib")
