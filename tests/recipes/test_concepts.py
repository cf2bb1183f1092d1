"""What counts as one change: each distortion alone, and anything else with its numbers."""

from typing import Any

import pytest

from stepladder.recipes.concepts import DISTORTIONS, Concept, changed_concepts, with_concepts
from stepladder.recipes.recipe import Augment, Recipe, changed_fields

NETWORK = ["conv 4", "gap", "linear 10"]


def recipe(**fields: Any) -> Recipe:
    return Recipe.model_validate({"network": NETWORK, "epochs": 5} | fields)


WARP = {"rotation_deg": 8.0, "scale": 0.08, "shift_px": 1.5, "shear_deg": 3.0, "elastic_px": 0.3}

CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "nothing": ({}, {}, []),
    "one field": ({}, {"dropout": 0.1}, ["dropout"]),
    "a schedule with its numbers": (
        {"schedule": {"kind": "step", "every_epochs": 2}},
        {"schedule": {"kind": "cosine", "warmup_epochs": 1, "final": 0.1}},
        ["schedule"],
    ),
    "an optimizer with its numbers": ({}, {"optimizer": {"kind": "adamw", "beta1": 0.8, "beta2": 0.99}}, ["optimizer"]),
    "an average with its numbers": ({}, {"average": {"horizon_epochs": 1.0, "every_steps": 3}}, ["average"]),
    "a teacher with its numbers": (
        {},
        {"distill": {"network": NETWORK, "share": 0.5, "seeds": [11, 12]}},
        ["distill"],
    ),
    "one distortion": ({}, {"augment": {"mirror": True}}, ["augment.mirror"]),
    "one of several distortions": ({"augment": WARP}, {"augment": WARP | {"scale": 0.1}}, ["augment.scale"]),
    "a distortion that goes": ({"augment": WARP}, {"augment": WARP | {"shear_deg": 0.0}}, ["augment.shear_deg"]),
    "the record's warp": (
        {"augment": {"rotation_deg": 15.0}},
        {"augment": WARP},
        [f"augment.{name}" for name in ("rotation_deg", "shift_px", "scale", "shear_deg", "elastic_px")],
    ),
    "fields and distortions": (
        {},
        {"lr": 0.1, "augment": {"rotation_deg": 1.0, "cutout_px": 2}},
        ["augment.rotation_deg", "augment.cutout_px", "lr"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_distortion_counts_alone_and_all_else_with_its_numbers(name: str) -> None:
    below, above, concepts = CHANGES[name]
    assert list(map(str, changed_concepts(recipe(**below), recipe(**above)))) == concepts


@pytest.mark.parametrize("name", CHANGES)
def test_one_concept_after_another_leads_from_one_recipe_to_the_other(name: str) -> None:
    low, high, _ = CHANGES[name]
    below, above = recipe(**low), recipe(**high)
    concepts = changed_concepts(below, above)
    for number, concept in enumerate(concepts):
        step = with_concepts(below, [concept], of=above)
        assert changed_concepts(below, step) == (concept,)
        assert changed_concepts(step, above) == concepts[number + 1 :]
        below = step
    assert below == above


def test_every_number_of_a_distortion_belongs_to_one() -> None:
    parts = [part for of_one in DISTORTIONS.values() for part in of_one]
    assert sorted(parts) == sorted(Augment.model_fields)


def test_concepts_are_named_as_people_name_them() -> None:
    assert Concept("augment", "elastic").name == "elastic"
    assert Concept("norm_scale").name == "norm_scale"
    assert changed_fields(recipe(), recipe(augment=WARP)) == ("augment",)
