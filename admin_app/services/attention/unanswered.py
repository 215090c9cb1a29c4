"""The last call about a membership, or a person's addresses, without a good answer: on its way, unknown, refused."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, case, func, or_, select

from admin_app.services.attention.call_settling import what_happened
from admin_app.services.core.timeline_words import ASKED_WORDS, provider_name
from admin_app.services.inbox.asked_calls import is_open
from admin_app.services.purchases.cancel_actions import OPERATIONS
from models.inbox import CallState, ProviderCall


def of(subject: ColumnElement[str], operations: Sequence[str] = OPERATIONS) -> ScalarSelect[Any]:
    """As `in_words` reads it; null when the last one has its answer."""
    told = func.jsonb_build_array(
        ProviderCall.provider, ProviderCall.operation, ProviderCall.state, ProviderCall.error_code,
        ProviderCall.attempts, ProviderCall.next_try_at.is_not(None),
    )  # fmt: skip
    waits = or_(is_open(operations), ProviderCall.attention_since.is_not(None))
    about = select(case((waits, told))).where(ProviderCall.subject == subject, ProviderCall.operation.in_(operations))
    return about.order_by(ProviderCall.id.desc()).limit(1).scalar_subquery()


def in_words(told: Sequence[Any]) -> str:
    """What was asked, and what is known of it."""
    provider, operation, state, code, attempts, again = told
    name = provider_name(provider)
    asked = f"{name} was asked to {ASKED_WORDS.get(operation, operation)}."
    if state == CallState.INTENDED:
        return f"{name} is being asked to {ASKED_WORDS.get(operation, operation)}. Its answer is not here yet."
    if state == CallState.UNKNOWN:
        return f"{asked} No answer came, so nobody knows yet whether it did; {name} is asked again by itself."
    return f"{asked} {what_happened(provider, CallState(state), code, attempts, again or None)}"
