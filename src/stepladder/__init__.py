"""Stepladder: climb to the accuracy you need, one concept at a time, and prove that it holds.

The nouns and the verbs; each is imported when it is first used, so that importing stepladder costs nothing.
"""

from stepladder import _first  # noqa: F401  # isort: skip

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stepladder.checking import check
    from stepladder.climbing import climb
    from stepladder.comparing import compare
    from stepladder.engines import choose_engine
    from stepladder.errors import StepladderError
    from stepladder.geometry import ImageShape, Network
    from stepladder.ladder import Budget, Ladder, Rung, Target
    from stepladder.ladder_file import load
    from stepladder.recipe import Recipe
    from stepladder.results import collect
    from stepladder.run import Run
    from stepladder.store import Store

_HOMES = {
    "Budget": "ladder",
    "ImageShape": "geometry",
    "Ladder": "ladder",
    "Network": "geometry",
    "Recipe": "recipe",
    "Run": "run",
    "Rung": "ladder",
    "StepladderError": "errors",
    "Store": "store",
    "Target": "ladder",
    "check": "checking",
    "choose_engine": "engines",
    "climb": "climbing",
    "collect": "results",
    "compare": "comparing",
    "load": "ladder_file",
}

__all__ = [
    "Budget",
    "ImageShape",
    "Ladder",
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
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepladder' has no attribute {name!r}")
    return getattr(import_module(f"stepladder.{_HOMES[name]}"), name)
