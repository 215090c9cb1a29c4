"""Clients, the gate and onboarding in the description of the public doors."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from admin_app.services.clients.gate import ACTIONS
from views.public.client_shapes import ClientAnswer, GateAnswer, OnboardingReport
from views.public.openapi_parts import answer, body, number_in_path, problems

REQUESTS: Sequence[type[BaseModel]] = (OnboardingReport,)
ANSWERS: Sequence[type[BaseModel]] = (ClientAnswer, GateAnswer)
SECURITY: dict[str, Any] = {
    "serviceKey": {"type": "http", "scheme": "bearer", "description": "A service key, made in the console."},
    "serviceKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
}
_SERVICE: list[dict[str, list[str]]] = [{"serviceKey": []}, {"serviceKeyHeader": []}]


def paths() -> dict[str, Any]:
    return {
        "/api/clients/{client_id}": {
            "get": {
                "operationId": "showClient",
                "summary": "A client, with its switches and billing by the clock; needs the scope clients:read",
                "security": _SERVICE,
                "parameters": [number_in_path("client_id")],
                "responses": {"200": answer("The client", ClientAnswer)} | problems(401, 403, 404, 503),
            }
        },
        "/api/clients/{client_id}/gate": {
            "get": {
                "operationId": "askGate",
                "summary": "Whether something may be done for the client now, and every reason why not; "
                "needs the scope gate:ask",
                "security": _SERVICE,
                "parameters": [
                    number_in_path("client_id"),
                    {"name": "action", "in": "query", "required": True, "schema": {"enum": list(ACTIONS)}},
                ],
                "responses": {"200": answer("The decision", GateAnswer)} | problems(401, 403, 404, 422, 503),
            }
        },
        "/api/clients/{client_id}/onboarding": {
            "patch": {
                "operationId": "reportOnboarding",
                "summary": "Report the steps of onboarding, and complete it; needs the scope onboarding:report",
                "security": _SERVICE,
                "parameters": [number_in_path("client_id")],
                "requestBody": body(OnboardingReport),
                "responses": {"200": answer("The client as it is then", ClientAnswer)}
                | problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
            }
        },
    }
