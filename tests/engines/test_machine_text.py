"""The machine code of square networks, held to its text: an object cache finds it again, and no number moves.

What is compiled is decided by this text and by LLVM. Whoever changes it changes numbers, or speed: then the engine's
revision goes up (CONTRIBUTING.md), or the speed is measured, before the hashes here are written anew.
"""

from functools import lru_cache
from hashlib import sha256

import pytest
from oracle import recipe_of

from stepladder.engines.jit.code.machine_code import assembly
from stepladder.engines.jit.code.target import Target
from stepladder.engines.jit.engine import kernels_for, plan
from stepladder.ladders.ladder_file import load
from stepladder.networks.geometry import ImageShape
from stepladder.recipes.recipe import Recipe

MNIST = ImageShape(channels=1, size=28, n_classes=10)
REGISTERS = {4: (10, 12), 8: (10, 12), 16: (24, 24)}  # by the vector width: SSE, AVX2, AVX-512

HASHES = {
    ("mnist-8k's first rung", 4): "25878c1f67f19bc0",
    ("mnist-8k's first rung", 8): "f601bc8723c8cdd5",
    ("mnist-8k's first rung", 16): "0098ac62207f0654",
    ("mnist-8k's top rung", 4): "801d9d976ea38882",
    ("mnist-8k's top rung", 8): "8b9aaef0c60b54e5",
    ("mnist-8k's top rung", 16): "c2a68f39c83324b7",
    ("mnist-4500's top rung", 4): "942babfe6dcfed8f",
    ("mnist-4500's top rung", 8): "ea37172f0df74270",
    ("mnist-4500's top rung", 16): "7e3b2cf1f56e9dc4",
    ("all layers", 4): "e11ace4b008728ac",
    ("all layers", 8): "36658a9b0d1fcf74",
    ("all layers", 16): "86bec5242a71436c",
}


@lru_cache
def recipe(name: str) -> tuple[Recipe, int]:
    """A recipe, and how many images it is trained on."""
    if name == "all layers":
        more = {"augment": {"elastic_px": 1.0, "cutout_px": 3}, "dropout": 0.1}
        return recipe_of(name, **more), 50
    ladder, which = name.split("'s ")
    return load(ladder).rungs[0 if which == "first rung" else -1].recipe, 60_000


@pytest.mark.parametrize(("name", "width"), HASHES)
def test_square_networks_have_the_text_that_they_always_had(name: str, width: int) -> None:
    (made, n_train), (registers, gradient_registers) = recipe(name), REGISTERS[width]
    target = Target("any", "", width=width, registers=registers, gradient_registers=gradient_registers)
    planned = plan(made.network_for(MNIST), made, n_train=n_train, target=target)
    text = assembly(kernels_for(planned, made, target))
    assert sha256(text.encode()).hexdigest().startswith(HASHES[name, width])
