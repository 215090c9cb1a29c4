"""Tells Stripe that a trial ends later: the intent is noted with the command, this is the call and its answer."""

from datetime import datetime

from admin_app.errors import ProviderRefused, ProviderUnavailable
from admin_app.integrations.money_ports import StripePort
from admin_app.services import billing
from admin_app.services.billing import billing_asking
from admin_app.services.inbox import provider_calls
from admin_app.services.inbox.provider_calls import Work
from models.inbox import CallState

NOT_TRIALING = "not_trialing"


def send(work: Work, stripe: StripePort, *, subscription_id: str, until: datetime, key: str) -> None:
    """Bring the trial's end at Stripe to `until`; once, however often this is tried.

    Stripe is asked first: what an earlier try did without an answer is found, and a trial that is over is left alone.
    Raises ProviderUnavailable when Stripe does not answer.
    """
    answer = billing_asking.ask(stripe, subscription_id)
    found = answer.found
    if found is None or found.status != "trialing":
        _finish(work, key, CallState.FAILED, error_code=NOT_TRIALING)
    elif found.trial_end == until:
        _finish(work, key, CallState.SUCCEEDED, external_id=found.id)
    else:
        try:
            stripe.extend_trial(subscription_id, until, idempotency_key=key)
        except ProviderUnavailable as error:
            _finish(work, key, provider_calls.state_after(error), error_code=error.code)
            raise  # the job tries again, under the same key
        except ProviderRefused as error:
            _finish(work, key, CallState.FAILED, error_code=error.reason)
        else:
            _finish(work, key, CallState.SUCCEEDED, external_id=subscription_id)
        answer = billing_asking.ask(stripe, subscription_id)
    if answer.found is not None:
        with work() as ctx:
            billing.apply_subscription(ctx, answer.found, cause="trial", fetched_at=answer.asked_at)


def _finish(
    work: Work, key: str, state: CallState, *, external_id: str | None = None, error_code: str | None = None
) -> None:
    """Whoever granted it counts on it: while it has not come to be, the call is on the list of what waits."""
    failed = state is not CallState.SUCCEEDED
    with work() as ctx:
        provider_calls.finish(
            ctx, key=key, state=state, external_id=external_id, error_code=error_code, attention=failed
        )
