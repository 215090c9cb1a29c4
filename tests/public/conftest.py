from tests.house import house, real_house, simulator

__all__ = ["house", "real_house", "simulator"]
