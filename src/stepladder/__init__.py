"""Stepladder: climb to the accuracy you need, one concept at a time, and prove that it holds.

The nouns and the verbs, each with an example in docs/python.md; each is imported when it is first used, so that
importing stepladder costs nothing.
"""

from stepladder import _first  # noqa: F401  # isort: skip

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stepladder.analysis.comparing import Comparison
    from stepladder.api.verbs import check, climb, compare, replay, report
    from stepladder.datasets.data import Dataset, dataset
    from stepladder.engines import choose_engine
    from stepladder.errors import (
        BudgetError,
        DataError,
        EngineError,
        GeometryError,
        LadderError,
        ModelError,
        StepladderError,
        StoreError,
        TrackerError,
        UnfinishedClimbError,
    )
    from stepladder.ladders.building import ladder
    from stepladder.ladders.checking import Check
    from stepladder.ladders.ladder import Ladder, Rung
    from stepladder.ladders.ladder_file import load
    from stepladder.ladders.terms import Budget, Target
    from stepladder.networks.geometry import ImageShape, Network
    from stepladder.recipes.recipe import (
        Adam,
        Augment,
        Average,
        CrossEntropy,
        Distill,
        Muon,
        Recipe,
        Sgd,
        SharpnessAware,
    )
    from stepladder.recipes.schedules import Constant, Cosine, LinearDecay, OneCycle, Plateau, Step
    from stepladder.runs.model import Model, load_model
    from stepladder.runs.results import Results, RungResult, collect
    from stepladder.runs.run import Run
    from stepladder.runs.store import Store
    from stepladder.tracking.tracked_climb import TrackedClimb

_HOMES = {
    "Adam": "recipes.recipe",
    "Augment": "recipes.recipe",
    "Average": "recipes.recipe",
    "Budget": "ladders.terms",
    "BudgetError": "errors",
    "Check": "ladders.checking",
    "Comparison": "analysis.comparing",
    "Constant": "recipes.schedules",
    "Cosine": "recipes.schedules",
    "CrossEntropy": "recipes.recipe",
    "DataError": "errors",
    "Dataset": "datasets.data",
    "Distill": "recipes.recipe",
    "EngineError": "errors",
    "GeometryError": "errors",
    "ImageShape": "networks.geometry",
    "Ladder": "ladders.ladder",
    "LadderError": "errors",
    "LinearDecay": "recipes.schedules",
    "Model": "runs.model",
    "ModelError": "errors",
    "Muon": "recipes.recipe",
    "Network": "networks.geometry",
    "OneCycle": "recipes.schedules",
    "Plateau": "recipes.schedules",
    "Recipe": "recipes.recipe",
    "Results": "runs.results",
    "Run": "runs.run",
    "Rung": "ladders.ladder",
    "RungResult": "runs.results",
    "Sgd": "recipes.recipe",
    "SharpnessAware": "recipes.recipe",
    "Step": "recipes.schedules",
    "StepladderError": "errors",
    "Store": "runs.store",
    "StoreError": "errors",
    "Target": "ladders.terms",
    "TrackedClimb": "tracking.tracked_climb",
    "TrackerError": "errors",
    "UnfinishedClimbError": "errors",
    "check": "api.verbs",
    "choose_engine": "engines",
    "climb": "api.verbs",
    "collect": "runs.results",
    "compare": "api.verbs",
    "dataset": "datasets.data",
    "ladder": "ladders.building",
    "load": "ladders.ladder_file",
    "load_model": "runs.model",
    "replay": "api.verbs",
    "report": "api.verbs",
}

__all__ = [
    "Adam",
    "Augment",
    "Average",
    "Budget",
    "BudgetError",
    "Check",
    "Comparison",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "DataError",
    "Dataset",
    "Distill",
    "EngineError",
    "GeometryError",
    "ImageShape",
    "Ladder",
    "LadderError",
    "LinearDecay",
    "Model",
    "ModelError",
    "Muon",
    "Network",
    "OneCycle",
    "Plateau",
    "Recipe",
    "Results",
    "Run",
    "Rung",
    "RungResult",
    "Sgd",
    "SharpnessAware",
    "Step",
    "StepladderError",
    "Store",
    "StoreError",
    "Target",
    "TrackedClimb",
    "TrackerError",
    "UnfinishedClimbError",
    "check",
    "choose_engine",
    "climb",
    "collect",
    "compare",
    "dataset",
    "ladder",
    "load",
    "load_model",
    "replay",
    "report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepladder' has no attribute {name!r}")
    return getattr(import_module(f"stepladder.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
