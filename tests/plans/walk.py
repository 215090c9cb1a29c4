"""Every recurring job once, where there is nothing to do: what each looks for is asked all the same.

One of the flows of `test_plans.py`, and no test of its own.
"""

from collections.abc import Callable
from importlib import import_module

import pytest

from tests.house import House, house, simulator
from tests.plans.tasks import recurring

__all__ = ["house", "simulator"]


@pytest.mark.parametrize(("module", "function"), recurring())
def test_it_looks_for_what_is_due(house: House, module: str, function: str) -> None:
    do: Callable[..., object] = getattr(import_module(f"admin_app.jobs.{module}"), function)
    do(house.bench)
