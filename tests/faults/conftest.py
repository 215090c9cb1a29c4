from tests.house import house, own_simulator, real_house, simulator

__all__ = ["house", "own_simulator", "real_house", "simulator"]
