"""What the business's own programs ask and report about clients, each by its service key."""

from flask import Blueprint, request
from sqlalchemy.orm import Session

from admin_app.bounds import BIGGEST
from admin_app.context import Service
from admin_app.errors import InvalidInput
from admin_app.services import clients
from admin_app.services.clients import gate, onboarding
from admin_app.services.clients.gate import ACTIONS, Action
from models import Scope
from views.backdesk import backdesk, request_id
from views.public import callers
from views.public.client_shapes import ClientAnswer, GateAnswer, OnboardingReport
from views.public.endpoints import SERVICE, Endpoint, Parameter, endpoint

# The console's section has the name `clients`.
doors = Blueprint("client", __name__)

_CLIENT = f"/api/clients/<int(max={BIGGEST}):client_id>"


def reporter() -> Service:
    """The program that reports; refused without a key that counts and has the scope."""
    with backdesk().db.read_only() as session:
        return callers.service(session, Scope.ONBOARDING_REPORT)


@endpoint(
    doors,
    Endpoint(
        "GET",
        _CLIENT,
        id="showClient",
        summary="A client, with its switches and billing by the clock; needs the scope clients:read",
        security=SERVICE,
        answers={200: ("The client", ClientAnswer)},
        refuses=(401, 403, 404, 503),
    ),
)
def show(client_id: int) -> ClientAnswer:
    with backdesk().db.read_only() as session:
        callers.service(session, Scope.CLIENTS_READ)
        return _client(session, client_id)


@endpoint(
    doors,
    Endpoint(
        "GET",
        f"{_CLIENT}/gate",
        id="askGate",
        summary="Whether something may be done for the client now, and every reason why not; needs the scope gate:ask",
        security=SERVICE,
        query=(Parameter("action", schema={"enum": list(ACTIONS)}, required=True),),
        answers={200: ("The decision", GateAnswer)},
        refuses=(401, 403, 404, 422, 503),
    ),
)
def ask(client_id: int) -> GateAnswer:
    house = backdesk()
    with house.db.glance() as session:
        callers.service(session, Scope.GATE_ASK)
        action = _action()
        facts = gate.facts_of(session, client_id, trial_days=house.settings.trial_days)
    return GateAnswer.of(gate.decide(facts, action, house.db.clock()))


@endpoint(
    doors,
    Endpoint(
        "PATCH",
        f"{_CLIENT}/onboarding",
        id="reportOnboarding",
        summary="Report the steps of onboarding, and complete it; needs the scope onboarding:report",
        security=SERVICE,
        body=OnboardingReport,
        answers={200: ("The client as it is then", ClientAnswer)},
        refuses=(400, 401, 403, 404, 409, 413, 415, 422, 503),
    ),
    caller=reporter,
)
def report(caller: Service, said: OnboardingReport, client_id: int) -> ClientAnswer:
    with backdesk().db.unit_of_work(caller, request_id=request_id()) as ctx:
        onboarding.report(
            ctx,
            client_id=client_id,
            forwarding_enabled=said.forwarding_enabled,
            test_call_detected=said.test_call_detected,
            complete=said.complete,
        )
        return _client(ctx.session, client_id)


def _client(session: Session, client_id: int) -> ClientAnswer:
    house = backdesk()
    found = clients.read(session, client_id, trial_days=house.settings.trial_days, now=house.db.clock())
    return ClientAnswer.of(found)


def _action() -> Action:
    asked = request.args.getlist("action")
    if len(asked) != 1 or asked[0] not in ACTIONS:
        sentence = f"Say which action is asked about: {' or '.join(ACTIONS)}."
        raise InvalidInput(sentence, fields={"action": sentence})
    return asked[0]
