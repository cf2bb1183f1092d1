"""Pairs of recipes that differ in one field, on images so few that both are trained in a moment."""

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.datasets.data import Splits
from stepladder.datasets.image_set import Labelled
from stepladder.engines.jit.engine import JitEngine
from stepladder.engines.training import train, weights
from stepladder.networks.geometry import ImageShape
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import Arrays, Progress

N_TRAIN = 48
IMAGE = ImageShape(channels=1, size=8, n_classes=3)
SEED = 7

NETWORKS = (
    ["conv 4", "gap", "linear 3"],
    ["conv 4", "maxpool 2", "conv 3 bare", "gap"],
    ["conv 4 block conv relu", "gap", "linear 3"],
    ["conv 4 stride 2 bare", "linear 3"],
    ["conv 4", "maxpool 1", "gap", "gap", "linear 3"],
    ["conv 3 8x8 bias bare"],
    ["maxpool 2", "linear 3"],
    ["avgpool 2", "linear 3"],
    ["linear 3"],
    ["conv 4", "maxpool 2 stride 1", "maxpool 2", "gap", "linear 3"],
    ["conv 4", "maxpool 3 stride 2", "gap", "conv 3 1x1 bias bare"],
    ["conv 1", "depthwise bare", "gap", "linear 3"],
    ["conv 1", "conv 1 bare", "gap", "linear 3"],
    ["conv 3", "depthwise pad 1", "residual 1", "gap", "linear 3"],
    ["conv 3", "depthwise pad 1", "maxpool 1", "residual 2", "avgpool 6", "linear 3"],
)
SCHEDULES = (
    {"kind": "constant"},
    {"kind": "step", "every_epochs": 1},
    {"kind": "step", "every_epochs": 2, "factor": 0.5},
    {"kind": "step", "every_epochs": 9, "factor": 0.5},
    {"kind": "step", "every_epochs": 9, "warmup_epochs": 2.0},
    {"kind": "cosine"},
    {"kind": "cosine", "final": 1.0},
    {"kind": "cosine", "warmup_epochs": 2.0, "final": 1.0},
    {"kind": "cosine", "warmup_epochs": 5.0},
    {"kind": "linear"},
    {"kind": "linear", "final": 1.0, "warmup_epochs": 0.01},
    {"kind": "linear", "warmup_epochs": 5.0},
    {"kind": "one-cycle"},
    {"kind": "one-cycle", "start": 1.0, "final": 1.0},
    {"kind": "plateau", "patience": 0, "threshold": 0.99},
    {"kind": "plateau", "patience": 1, "threshold": 0.99},
    {"kind": "plateau", "patience": 5},
    {"kind": "plateau", "patience": 0, "threshold": 0.99, "factor": 1e-20},
    {"kind": "step", "every_epochs": 1, "factor": 1e-12},
    {"kind": "step", "every_epochs": 1, "factor": 1e-25},
    {"kind": "step", "every_epochs": 1, "factor": 1e-30},
    {"kind": "cosine", "final": 1e-9},
)
OPTIMIZERS: tuple[dict[str, Any], ...] = (
    {},
    {"nesterov": True},
    {"momentum": 0.0},
    {"momentum": 0.0, "nesterov": True},
    {"momentum": 1e-30},
    {"kind": "adam"},
    {"kind": "adamw"},
    {"kind": "adam", "beta1": 0.5},
    {"kind": "adam", "epsilon": 2e-21},
    {"kind": "adam", "epsilon": 1e-21},
    {"kind": "muon"},
    {"kind": "muon", "n_steps": 3},
    {"kind": "muon", "momentum": 0.9, "nesterov": False},
    {"kind": "muon", "momentum": 0.0},
    {"kind": "muon", "momentum": 0.0, "nesterov": False},
    {"kind": "muon", "other_lr": 0.5},
    {"kind": "adam", "beta1": 0.9000000005},
    {"kind": "adam", "beta2": 0.99900000001},
)
AUGMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"rotation_deg": 20.0},
    {"rotation_deg": 1e-12},
    {"shift_px": 1.0},
    {"scale": 0.2},
    {"shear_deg": 10.0},
    {"mirror": True},
    {"elastic_px": 0.5},
    {"cutout_px": 3},
    {"cutout_px": 15},
    {"cutout_px": 16},
    {"cutout_px": 20, "mirror": True},
    {"rotation_deg": 20.0000003},
    {"rotation_deg": 4e-9},
    {"shift_px": 4e-9},
    {"scale": 1e-30},
    {"elastic_px": 4e-9},
)
TEACHER = ["conv 5 3x3", "gap", "linear 3"]
# The values of each field, the first of them its default; those that change machine code are few.
FIELDS: dict[str, tuple[Any, ...]] = {
    "network": NETWORKS,
    "block": ("conv relu norm dropout", "conv norm relu", "conv relu", "conv", "conv dropout relu norm"),
    "norm_scale": (True, False),
    "dropout": (0.0, 0.25, 1e-12, 1e-9),
    "augment": AUGMENTS,
    "optimizer": OPTIMIZERS,
    "lr": (0.05, 0.1, 0.05 + 1e-10, 0.02, 1e-12, 1e-29, 1e-30),
    "schedule": SCHEDULES,
    "weight_decay": (0.0, 0.01, 1e-4, 2e-10, 1e-30, 1e-50),
    "loss": ({}, {"label_smoothing": 0.1}, {"label_smoothing": 1e-9}, {"label_smoothing": 1e-30}),
    "batch_size": (16, 48, 64, 100),
    "epochs": (1, 2, 3, 4),
    "clean_epochs": (0, 1, 2, 5),
    "sharpness_aware": (None, {"radius": 0.05}, {"radius": 0.1}, {"radius": 2e-9}, {"radius": 1e-30}),
    "average": (
        None,
        {"horizon_epochs": 1.0, "every_steps": 1},
        {"horizon_epochs": 1.0, "every_steps": 3},
        {"horizon_epochs": 2.0, "every_steps": 2},
        {"horizon_epochs": 1.0},
        {"horizon_epochs": 2.0},
        {"horizon_epochs": 1e-4, "every_steps": 1},
        {"horizon_epochs": 1e18, "every_steps": 1},
        {"horizon_epochs": 1.00000001, "every_steps": 1},
    ),
    "distill": (None, {"network": TEACHER}, {"network": TEACHER, "share": 0.5}, {"network": TEACHER, "share": 1e-30}),
    "recalibrate_images": (0, 16, 20, 32, 48),
}


# A value of these other than the first means machine code of its own.
CODED = ("network", "block", "norm_scale", "dropout", "loss", "batch_size", "distill")


def pair(rng: random.Random, *, coded: float) -> tuple[Recipe, Recipe]:
    """Two recipes that differ in one field, the others drawn: mostly defaults, so that what is changed matters.

    ``coded`` is the part of recipes in which one of CODED is not the default, unless it is what is changed.
    """
    share = {name: coded if name in CODED else 0.4 if name == "augment" else 0.2 for name in FIELDS} | {"epochs": 1.0}
    chosen = {name: rng.choice(each) if rng.random() < share[name] else each[0] for name, each in FIELDS.items()}
    if not coded:
        chosen["augment"] = rng.choice(AUGMENTS[:3])
    changed = rng.choice([name for name in FIELDS if name != "epochs"])
    below, above = (Recipe.model_validate(chosen | {changed: value}) for value in rng.sample(FIELDS[changed], 2))
    return below, above


def splits() -> Splits:
    """Blurred noise with a bright corner for each class, the same in every process."""
    rng = np.random.default_rng(1)
    labels = np.arange(2 * N_TRAIN) % IMAGE.n_classes
    images = rng.integers(0, 160, (2 * N_TRAIN, 1, IMAGE.height, IMAGE.width))
    for label in range(IMAGE.n_classes):
        images[labels == label, 0, 2 * label : 2 * label + 3, 1:5] += 90
    labelled = Labelled(images.astype(np.uint8), labels.astype(np.int64))
    return Splits(labelled[:N_TRAIN], labelled[N_TRAIN:], IMAGE)


SPLITS, ENGINE = splits(), JitEngine()


@dataclass(frozen=True, eq=False)
class Trained:
    """What is stored of a training: each epoch's numbers in words, its losses, and the weights in their order."""

    epochs: str
    losses: NDArray[np.float64]
    weights: Arrays

    @property
    def flat(self) -> NDArray[np.float32]:
        return np.concatenate([each.ravel() for each in self.weights.values()])

    def is_same(self, other: "Trained") -> bool:
        """Bit for bit; arrays may have other names, as where a layer that does nothing is left out."""
        return self.epochs == other.epochs and self.flat.tobytes() == other.flat.tobytes()

    def is_close(self, other: "Trained") -> bool:
        """But for rounding, which a norm and an optimizer that divides by gradients make larger."""
        if self.is_same(other):
            return True
        return (
            self.flat.shape == other.flat.shape
            and np.allclose(self.losses, other.losses, rtol=1e-3)
            and np.allclose(self.flat, other.flat, rtol=1e-2, atol=1e-3)
        )


@lru_cache(maxsize=1024)
def trained(recipe: Recipe) -> Trained:
    teachers = [trained(recipe.teacher).weights] if recipe.teacher else []
    *_, last = train(ENGINE, recipe, splits=SPLITS, seed=SEED, resume=Progress(), teachers=teachers)
    assert last.arrays is not None
    epochs = [each.model_dump(exclude={"train_s", "evaluate_s"}) for each in last.epochs]
    losses = np.array([[each.train_loss, each.loss] for each in last.epochs])
    words = f"{epochs} {last.wrong_images} {last.diverged_at_epoch}"
    return Trained(words, losses, weights(recipe.network_for(IMAGE), last.arrays))
