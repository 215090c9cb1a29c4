"""No call of a provider goes another way than through the guard, and none waits without an end."""

import ast
from pathlib import Path

from admin_app import integrations

FOLDER = Path(integrations.__file__).parent
# The transport itself, and the adapter without an SDK, which hands it to its client.
MAY_MAKE_CLIENTS = {"transport.py", "provider_http.py"}
GOES_OUT = {
    *("httpx.Client", "httpx.AsyncClient", "httpx.HTTPTransport", "httpx.get", "httpx.post", "httpx.request"),
    *("httpx.put", "httpx.patch", "httpx.delete", "httpx.stream", "requests.Session", "requests.get", "requests.post"),
    *("requests.request", "urllib.request.urlopen", "socket.create_connection", "stripe.RequestsClient"),
    *("stripe.HTTPXClient", "http.client.HTTPConnection", "http.client.HTTPSConnection"),
}
# Of each SDK: what makes its client, and what must be said so that it goes our way.
SDKS = {"StripeClient": "http_client", "WorkOSClient": "http_client", "Whop": "httpx_client"}
# Of smtplib only the classes with an end are made, and those only with a time-out for each step.
MAILERS = {"SMTP", "SMTP_SSL", "LMTP"}


def calls() -> list[tuple[str, str, ast.Call]]:
    """Every call in the integrations: file, name as written, node."""
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                found.append((path.name, ast.unparse(node.func), node))
    return found


def test_clients_are_made_in_one_place() -> None:
    outside = [(file, name) for file, name, _ in calls() if name in GOES_OUT and file not in MAY_MAKE_CLIENTS]
    assert outside == []
    inside = {file for file, name, _ in calls() if name in GOES_OUT}
    assert inside == MAY_MAKE_CLIENTS


def test_a_client_is_given_the_transport() -> None:
    made = [node for _, name, node in calls() if name == "httpx.Client"]
    assert made
    for node in made:
        assert "transport" in {keyword.arg for keyword in node.keywords}


def test_every_sdk_goes_our_way_and_does_not_try_again_by_itself() -> None:
    made = {name.rpartition(".")[2]: node for _, name, node in calls() if name.rpartition(".")[2] in SDKS}
    assert set(made) == set(SDKS)
    for name, node in made.items():
        said = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert SDKS[name] in said
        assert said.get("max_retries", said.get("max_network_retries")) == "0"


def test_mail_has_an_end() -> None:
    assert [name for _, name, _ in calls() if name.rpartition(".")[2] in MAILERS] == []
    made = [node for _, name, node in calls() if name in {"_Server", "_SecureServer"}]
    assert made
    for node in made:
        assert "timeout" in {keyword.arg for keyword in node.keywords}
