"""What the business's own programs ask and report about clients, each by its service key."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from admin_app.bounds import BIGGEST
from admin_app.errors import InvalidInput
from admin_app.services import clients
from admin_app.services.clients import gate, onboarding
from admin_app.services.clients.gate import ACTIONS, Action
from models import Scope
from views.backdesk import backdesk, request_id
from views.public import bodies, callers
from views.public.client_shapes import ClientAnswer, GateAnswer, OnboardingReport

# The console's section has the name `clients`.
doors = Blueprint("client", __name__)

_CLIENT = f"/api/clients/<int(max={BIGGEST}):client_id>"


@doors.get(_CLIENT)
def show(client_id: int) -> ResponseReturnValue:
    with backdesk().db.read_only() as session:
        callers.service(session, Scope.CLIENTS_READ)
        return _client(session, client_id)


@doors.get(f"{_CLIENT}/gate")
def ask(client_id: int) -> ResponseReturnValue:
    house = backdesk()
    with house.db.glance() as session:
        callers.service(session, Scope.GATE_ASK)
        action = _action()
        facts = gate.facts_of(session, client_id, trial_days=house.settings.trial_days)
    return GateAnswer.of(gate.decide(facts, action, house.db.clock())).model_dump(mode="json")


@doors.patch(f"{_CLIENT}/onboarding")
def report(client_id: int) -> ResponseReturnValue:
    house = backdesk()
    with house.db.read_only() as session:
        caller = callers.service(session, Scope.ONBOARDING_REPORT)
    said = bodies.read(OnboardingReport)
    with house.db.unit_of_work(caller, request_id=request_id()) as ctx:
        onboarding.report(
            ctx,
            client_id=client_id,
            forwarding_enabled=said.forwarding_enabled,
            test_call_detected=said.test_call_detected,
            complete=said.complete,
        )
        return _client(ctx.session, client_id)


def _client(session: Session, client_id: int) -> ResponseReturnValue:
    house = backdesk()
    found = clients.read(session, client_id, trial_days=house.settings.trial_days, now=house.db.clock())
    return ClientAnswer.of(found).model_dump(mode="json")


def _action() -> Action:
    asked = request.args.getlist("action")
    if len(asked) != 1 or asked[0] not in ACTIONS:
        sentence = f"Say which action is asked about: {' or '.join(ACTIONS)}."
        raise InvalidInput(sentence, fields={"action": sentence})
    return asked[0]
