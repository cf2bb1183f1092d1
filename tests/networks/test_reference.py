"""The network in plain numpy: every layer and its gradient against torch in float64, and the runs of real engines."""

from pathlib import Path

import numpy as np
import pytest
import torch
from here import train_here
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from light import small
from numpy.typing import NDArray
from oracle import NETWORKS, Oracle, recipe_of
from random_networks import network_texts, random_weights
from targets import require_in_engine
from torch import Tensor, nn

from stepladder.climbing.climbing import plan
from stepladder.datasets import data
from stepladder.engines import choose_engine
from stepladder.engines.training import judge
from stepladder.errors import GeometryError
from stepladder.ladders.ladder_file import load
from stepladder.networks.geometry import ImageShape, Network
from stepladder.networks.ops import Block
from stepladder.networks.reference import activations, input_gradient, normalised, trace
from stepladder.networks.sides import Sides
from stepladder.networks.text import parse
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import Arrays
from stepladder.runs.store import Store

Array = NDArray[np.float64]


def oracle_of(recipe: Recipe, weights: Arrays, *, images: Array) -> Oracle:
    """The evaluated network in torch's modules, float64."""
    oracle = Oracle(recipe, torch.from_numpy(images)).double().eval()
    network = recipe.network_for(ImageShape(images.shape[1], images.shape[2:], 10))
    flat = np.concatenate([weights[name].ravel() for name in network.parameter_shapes])
    nn.utils.vector_to_parameters(torch.from_numpy(flat).double(), oracle.parameters())
    running = [buffer for name, buffer in oracle.named_buffers() if "running" in name]
    for name, buffer in zip(network.statistic_shapes, running, strict=True):
        buffer.copy_(torch.from_numpy(weights[name]))
    return oracle


def pixels(splits: data.Splits) -> Array:
    """Real digits, normalised, with a little noise: between equal patches, rounding decides which is the maximum."""
    x = normalised(splits.train.images, pixel_mean=splits.pixel_mean, pixel_std=splits.pixel_std, dtype=np.float64)
    return np.asarray(x + np.random.default_rng(2).normal(0, 0.01, x.shape), np.float64)


def require_equal(recipe: Recipe, splits: data.Splits) -> None:
    """Every layer's values and input gradient are the oracle's, to 1e-10 of their norm."""
    network, x = recipe.network_for(splits.image), pixels(splits)
    weights = random_weights(network)
    images = torch.from_numpy(x).requires_grad_()
    theirs = oracle_of(recipe, weights, images=x).outputs(images)
    forward = trace(network, weights, x=x)
    for row, ours, expected in zip(network.rows, forward.activations, theirs, strict=True):
        require_near(ours, expected)
        cotangent = np.random.default_rng(row.index).normal(size=ours.shape)
        (gradient,) = torch.autograd.grad(expected, images, torch.from_numpy(cotangent), retain_graph=True)
        require_near(input_gradient(forward, row.index, cotangent=cotangent), gradient)


def require_near(ours: NDArray[np.floating], theirs: Tensor) -> None:
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape
    assert ours.dtype == np.float64
    assert np.linalg.norm(ours - expected) <= 1e-10 * np.linalg.norm(expected)


@pytest.fixture(scope="module")
def few() -> data.Splits:
    whole = data.splits(data.load("mnist"), n_dev=0)
    return data.Splits(whole.train[:24], whole.evaluated[:300], whole.image)


@pytest.mark.parametrize("norm_scale", [True, False], ids=["scaled", "unscaled"])
@pytest.mark.parametrize("network", NETWORKS)
def test_values_and_gradients_of_every_layer_are_the_oracles(network: str, norm_scale: bool, few: data.Splits) -> None:
    require_equal(recipe_of(network, norm_scale=norm_scale), few)


@given(
    network_texts(),
    st.booleans(),
    st.sampled_from([(1, 10), (2, 7), (2, 10), (3, 9), (2, (10, 5)), (1, (1, 10)), (1, (9, 1))]),
)
@settings(deadline=None, max_examples=100)
def test_values_and_gradients_of_random_networks_are_the_oracles(
    network: list[str], norm_scale: bool, image: tuple[int, Sides]
) -> None:
    splits = small(6, *image)
    recipe = Recipe.model_validate({"network": network, "norm_scale": norm_scale, "epochs": 1})
    try:
        recipe.network_for(splits.image)
    except GeometryError:
        assume(False)
    require_equal(recipe, splits)


@given(network_texts(), st.sampled_from([(1, 24), (2, 15)]), st.integers(0, 2**16))
@settings(deadline=None, max_examples=60)
def test_a_single_pixels_gradient_is_its_part_of_that_of_all(texts: list[str], image: tuple[int, int], at: int) -> None:
    """Where a gradient is 0 is not looked at: nothing of it may be lost, at no rim and with no stride or padding."""
    recipe = Recipe.model_validate({"network": texts, "epochs": 1})
    try:
        network = recipe.network_for(ImageShape(*image, n_classes=10))
    except GeometryError:
        assume(False)
    rng = np.random.default_rng(at)
    forward = trace(network, random_weights(network), x=rng.normal(size=(2, image[0], image[1], image[1])))
    for row, output in zip(network.rows, forward.activations, strict=True):
        of_all, of_one = rng.normal(size=output.shape), np.zeros_like(output)
        pixel = rng.integers(row.out_size, size=2)
        of_one[:, :, *pixel] = of_all[:, :, *pixel]
        gradients = [input_gradient(forward, row.index, cotangent=each) for each in (of_one, of_all, of_all - of_one)]
        scale = max(np.abs(each).max() for each in gradients)
        assert gradients[0] == pytest.approx(gradients[1] - gradients[2], rel=0, abs=1e-11 * scale)


def test_of_equal_values_the_first_has_the_gradient_as_in_torch() -> None:
    network = Network((parse("maxpool 3 stride 2 pad 1"), parse("linear 10")), Block(), ImageShape(2, 9, 10))
    x = np.random.default_rng(0).integers(0, 3, (5, 2, 9, 9)).astype(np.float64)
    forward = trace(network, random_weights(network), x=x)
    images = torch.from_numpy(x).requires_grad_()
    pooled = nn.functional.max_pool2d(images, 3, 2, 1)
    cotangent = np.random.default_rng(1).normal(size=pooled.shape)
    (expected,) = torch.autograd.grad(pooled, images, torch.from_numpy(cotangent))
    np.testing.assert_allclose(input_gradient(forward, 0, cotangent=cotangent), expected.numpy(), atol=1e-14)


def test_the_type_of_the_numbers_is_that_of_the_images(few: data.Splits) -> None:
    network = recipe_of("all layers").network_for(few.image)
    single = pixels(few).astype(np.float32)
    forward = trace(network, random_weights(network), x=single)
    assert {values.dtype for layer in forward.values for values in layer} == {np.dtype(np.float32)}
    last = forward.activations[-1]
    assert input_gradient(forward, len(network.rows) - 1, cotangent=np.ones_like(last)).dtype == np.float32
    double = activations(network, random_weights(network), x=single.astype(np.float64))[-1]
    assert 0 < np.abs(last - double).max() < 1e-4 * np.abs(double).max()


@pytest.mark.parametrize("network", NETWORKS)
def test_logits_are_the_jit_engines(network: str, few: data.Splits) -> None:
    recipe = recipe_of(network)
    geometry, engine = recipe.network_for(few.image), choose_engine("jit")[0]
    require_in_engine(engine, geometry)
    weights = random_weights(geometry)
    model = engine.model(geometry, recipe, splits=few)
    model.parameters[:] = np.concatenate([weights[name].ravel() for name in geometry.parameter_shapes])
    model.set_statistics({name: weights[name] for name in geometry.statistic_shapes})
    x = normalised(few.evaluated.images, pixel_mean=few.pixel_mean, pixel_std=few.pixel_std)
    ours, theirs = trace(geometry, weights, x=x).logits, model.logits(few.evaluated)
    assert ours.shape == theirs.shape
    assert np.linalg.norm(ours - theirs) < 1e-4 * np.linalg.norm(theirs)


def test_a_stored_run_is_judged_as_it_was(tiny_ladder: Path, tmp_path: Path) -> None:
    ladder, engine = load(tiny_ladder), choose_engine("jit")[0]
    identity = plan(ladder, seeds=[1], engine=engine)[0].identity
    store = Store.open(tmp_path / "runs", create=True)
    train_here(Store.open(store.folder), ladder.data, identity)
    run = store.find(identity, set_aside=False)
    assert run is not None
    assert run.final is not None
    splits = data.splits(data.load(ladder.data), n_dev=identity.data.dev_images)
    x = normalised(splits.evaluated.images, pixel_mean=splits.pixel_mean, pixel_std=splits.pixel_std)
    logits = trace(identity.recipe.network_for(splits.image), store.weights(run), x=x).logits
    n_correct, loss, confusion, wrong = judge(logits.astype(np.float32), splits.evaluated.labels)
    assert (n_correct, confusion) == (run.final.n_correct, run.final.confusion)
    assert [image.index for image in wrong] == [image.index for image in run.wrong_images]
    assert loss == pytest.approx(run.final.loss, rel=1e-5)
