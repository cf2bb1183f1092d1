"""Every operation in every target, by the targets' own tables. Who adds an operation runs this first: what fails is the
next file to open.
"""

import re
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from random_networks import random_weights
from targets import LAYER_TARGETS, STEP_TARGETS, Target

from stepladder.engines.torch import ops as torch_ops
from stepladder.errors import LadderError
from stepladder.networks import ops
from stepladder.networks.geometry import ImageShape, Network
from stepladder.networks.ops import LAYERS, STEPS, Block, GlobalAvgPool, Linear
from stepladder.networks.ops.op import Operation, Step
from stepladder.networks.reference import input_gradient, trace
from stepladder.networks.text import parse

IMAGE = ImageShape(2, 8, 10)


@pytest.mark.parametrize("target", LAYER_TARGETS)
def test_a_target_has_every_layer_or_says_that_it_has_not(target: str) -> None:
    require_complete(LAYER_TARGETS[target], set(LAYERS.values()))


@pytest.mark.parametrize("target", STEP_TARGETS)
def test_a_target_has_every_step_or_says_that_it_has_not(target: str) -> None:
    require_complete(STEP_TARGETS[target], set(STEPS.values()))


def require_complete(target: Target, known: set[type]) -> None:
    for kind in sorted(known - set(target.has) - set(target.lacks), key=lambda kind: kind.__name__):
        pytest.fail(f"{kind.__name__}: add it to stepladder/{target.file}, or to UNSUPPORTED there")
    assert not set(target.has) & set(target.lacks), f"both in a table and UNSUPPORTED: stepladder/{target.file}"
    assert set(target.has) <= known, f"not in networks/ops: stepladder/{target.file}"


@pytest.mark.parametrize("kind", [*LAYERS.values(), *STEPS.values()], ids=lambda kind: kind.word)
def test_one_file_has_one_operation(kind: type[Operation] | type[Step]) -> None:
    module = import_module(kind.__module__)
    others = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Operation | Step)]
    assert [each for each in others if each.__module__ == kind.__module__] == [kind]
    assert module.__doc__
    assert kind.__doc__


@pytest.mark.parametrize("word", LAYERS)
def test_the_vocabulary_names_every_layer(word: str) -> None:
    vocabulary = import_module("stepladder.networks.text").__doc__ or ""
    assert re.search(rf"^    {word}\b", vocabulary, re.MULTILINE), "add it to networks/text.py's docstring"


@pytest.mark.parametrize("word", STEPS)
def test_the_vocabulary_names_every_step(word: str) -> None:
    vocabulary = import_module("stepladder.networks.text").__doc__ or ""
    assert f"``{word}" in vocabulary, "add it to networks/text.py's docstring"


def layer_of(kind: type[ops.Layer]) -> ops.Layer:
    return parse(kind.example or kind.word)


@pytest.mark.parametrize("kind", LAYERS.values(), ids=LAYERS)
def test_an_example_is_a_text_of_its_layer(kind: type[ops.Layer]) -> None:
    layer = layer_of(kind)
    assert isinstance(layer, kind)
    assert parse(str(layer)) == layer
    assert str(layer).split()[0] == kind.word


EXAMPLES = [example for kind in STEPS.values() for example in kind.examples]


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_a_text_of_its_step(text: str) -> None:
    (step,) = Block.parse(f"conv {text}").steps
    assert str(step) == text
    assert type(step) is STEPS[text.split(maxsplit=1)[0]]


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_step_has_its_gradient(text: str) -> None:
    """By differences, in float64: what numpy says of a step's gradient is true of what it computes."""
    require_gradient(Network((Linear(10, block=Block.parse(f"conv {text}")),), Block(), IMAGE))


@pytest.mark.parametrize("kind", LAYERS.values(), ids=LAYERS)
def test_a_layer_has_its_gradient(kind: type[ops.Layer]) -> None:
    layer = layer_of(kind)
    first = parse("conv 4 1x1 bare")
    added = (parse("depthwise pad 1 bare"),) * 2 if layer.added(9) is not None else ()
    require_gradient(Network((first, *added, layer, GlobalAvgPool(), Linear(10)), Block(), IMAGE))


def require_gradient(network: Network) -> None:
    rng = np.random.default_rng(5)
    weights = {name: array.astype(np.float64) for name, array in random_weights(network).items()}
    x, direction = rng.normal(size=(2, 3, IMAGE.channels, IMAGE.height, IMAGE.width))
    forward = trace(network, weights, x=x)
    cotangent = rng.normal(size=forward.activations[-1].shape)
    gradient = input_gradient(forward, len(network.rows) - 1, cotangent=cotangent)
    small = 1e-6
    above, below = (
        (trace(network, weights, x=x + side * small * direction).activations[-1] * cotangent).sum() for side in (1, -1)
    )
    np.testing.assert_allclose((gradient * direction).sum(), (above - below) / (2 * small), rtol=1e-5)


@pytest.mark.parametrize(
    "kind", [kind for kind in torch_ops.LAYERS if kind is not ops.Residual], ids=lambda kind: kind.word
)
def test_torch_computes_a_layer_as_numpy_does(kind: type[ops.Layer]) -> None:
    """But a residual's sum, which is of two layers: see test_reference."""
    network = Network((layer_of(kind), GlobalAvgPool(), Linear(10)), Block(), IMAGE)
    weights = {name: array.astype(np.float64) for name, array in random_weights(network).items()}
    x = np.random.default_rng(1).normal(size=(3, IMAGE.channels, IMAGE.height, IMAGE.width))
    parameters = {name: torch.from_numpy(array) for name, array in weights.items()}
    theirs = torch_ops.LAYERS[kind](network.rows[0], parameters, torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(trace(network, weights, x=x).values[0][1], theirs, rtol=1e-12, atol=1e-12)


def test_a_block_has_each_kind_of_step_once() -> None:
    with pytest.raises(LadderError, match="names a step twice"):
        Block((ops.Relu(), ops.Relu()))
    with pytest.raises(LadderError, match="names a step twice"):
        Block.parse("conv norm relu norm")


def test_the_network_says_whether_its_norms_have_a_scale() -> None:
    layers = (parse("conv 4"), GlobalAvgPool(), Linear(10))
    network = Network(layers, Block((ops.BatchNorm(),)), IMAGE, norm_scale=False)
    assert network.rows[0].steps == (ops.BatchNorm(scale=False),)
    assert set(network.rows[0].parameters) == {"0.weight", "0.norm.bias"}
    assert str(replace(network.rows[0].steps[0])) == "norm"
