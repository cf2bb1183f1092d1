"""The built-in engines pass the suite that outsiders run."""

from stepladder.engines import Engine, choose_engine
from stepladder.testing import EngineConformance


class TestJit(EngineConformance):
    def make_engine(self) -> Engine:
        return choose_engine("jit")[0]


class TestTorch(EngineConformance):
    def make_engine(self) -> Engine:
        return choose_engine("torch", device="cpu")[0]
