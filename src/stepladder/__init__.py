"""Stepladder: climb to the accuracy you need, one concept at a time, and prove that it holds.

The nouns and the verbs; each is imported when it is first used, so that importing stepladder costs nothing.
"""

from stepladder import _first  # noqa: F401  # isort: skip

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stepladder.analysis.comparing import compare
    from stepladder.climbing.climbing import climb
    from stepladder.engines import choose_engine
    from stepladder.errors import StepladderError
    from stepladder.ladders.checking import check
    from stepladder.ladders.ladder import Ladder, Rung
    from stepladder.ladders.ladder_file import load
    from stepladder.ladders.terms import Budget, Target
    from stepladder.networks.geometry import ImageShape, Network
    from stepladder.recipes.recipe import Recipe
    from stepladder.runs.model import Model, load_model
    from stepladder.runs.results import collect
    from stepladder.runs.run import Run
    from stepladder.runs.store import Store

_HOMES = {
    "Budget": "ladders.terms",
    "ImageShape": "networks.geometry",
    "Ladder": "ladders.ladder",
    "Model": "runs.model",
    "Network": "networks.geometry",
    "Recipe": "recipes.recipe",
    "Run": "runs.run",
    "Rung": "ladders.ladder",
    "StepladderError": "errors",
    "Store": "runs.store",
    "Target": "ladders.terms",
    "check": "ladders.checking",
    "choose_engine": "engines",
    "climb": "climbing.climbing",
    "collect": "runs.results",
    "compare": "analysis.comparing",
    "load": "ladders.ladder_file",
    "load_model": "runs.model",
}

__all__ = [
    "Budget",
    "ImageShape",
    "Ladder",
    "Model",
    "Network",
    "Recipe",
    "Run",
    "Rung",
    "StepladderError",
    "Store",
    "Target",
    "check",
    "choose_engine",
    "climb",
    "collect",
    "compare",
    "load",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepladder' has no attribute {name!r}")
    return getattr(import_module(f"stepladder.{_HOMES[name]}"), name)
