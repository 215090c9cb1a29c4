from contextlib import contextmanager

import pytest

from tests.conftest_postgres import _clone
from tests.faults.crash_runs import Runs
from tests.house import house, own_simulator, real_house, simulator

__all__ = ["house", "own_simulator", "real_house", "simulator"]


@pytest.fixture(scope="session")
def runs(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Runs of journeys that may be killed; what a journey is undisturbed is found out once per worker."""
    return Runs(lambda: contextmanager(_clone)(template_database), tmp_path_factory.mktemp("runs"))
