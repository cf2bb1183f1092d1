"""Write what is made from the fields themselves: docs/recipes.md, and the JSON schema of ladder files.

``python tools/generate.py``; tests hold both to it.
"""

import typing
from pathlib import Path

import ladder_schema
from pydantic import BaseModel

from stepladder._base.frozen import told_of
from stepladder.ladders.terms import Budget, Target
from stepladder.networks import text
from stepladder.recipes.recipe import Adam, Augment, Average, CrossEntropy, Distill, Muon, Recipe, Sgd, SharpnessAware
from stepladder.recipes.schedules import Constant, Cosine, LinearDecay, OneCycle, Plateau, Step

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"

MODELS = (
    *(Augment, Sgd, Adam, Muon, Constant, Step, Cosine, LinearDecay, OneCycle, Plateau, SharpnessAware, Average),
    *(CrossEntropy, Distill, Budget, Target),
)

HEAD = """\
# Recipes, field by field

Made by `tools/generate.py` from the code; do not edit. How a ladder file is built is in [ladders.md](ladders.md).
"""


def default_text(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f"{value}" if isinstance(value, BaseModel) else f"`{value}`"


def table(model: type[BaseModel]) -> str:
    lines = ["| field | meaning | default |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        kinds = " or ".join(repr(kind) for kind in typing.get_args(field.annotation))
        meaning = field.description or (kinds if " or " in kinds else f"always {kinds}")
        lines.append(f"| `{name}` | {meaning} | {default_text(model, name)} |")
    return "\n".join(lines)


def page() -> str:
    vocabulary = (text.__doc__ or "").partition("\n\n")[2]
    parts = [HEAD, "## Recipe", told_of(Recipe), table(Recipe)]
    for model in MODELS:
        parts += [f"### {model.__name__}", " ".join(told_of(model).split()), table(model)]
    parts += ["## Layers", vocabulary.strip()]
    return "\n\n".join(part.replace("\n    ", "\n") if part is parts[2] else part for part in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    ladder_schema.FILE.write_text(ladder_schema.text(), encoding="utf-8")
