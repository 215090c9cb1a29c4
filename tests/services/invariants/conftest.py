from tests.demo.conftest import demo, demo_template
from tests.house import house, simulator

__all__ = ["demo", "demo_template", "house", "simulator"]
