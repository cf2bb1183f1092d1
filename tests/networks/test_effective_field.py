"""The effective receptive field: known answers, the theoretical window as its limit, and what random signs leave."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import recipe_of
from random_networks import network_texts, random_weights

from stepladder.datasets import data
from stepladder.errors import GeometryError
from stepladder.networks import effective_field
from stepladder.networks.effective_field import EffectiveField, effective_fields, middle
from stepladder.networks.geometry import ImageShape, Network
from stepladder.networks.ops import Block
from stepladder.networks.reference import input_gradient, normalised, trace
from stepladder.networks.sides import Sides, pair
from stepladder.networks.text import parse
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import Arrays

MEAN, STD = np.array([0.2]), np.array([0.3])  # of pixels


def network_of(*texts: str, channels: int = 1, size: Sides = 20) -> Network:
    return Network(tuple(map(parse, texts)), Block(), ImageShape(channels, size, 10))


def noise(n: int, channels: int, size: Sides) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, channels, *pair(size)), np.uint8)


def fields_of(network: Network, weights: Arrays, n: int = 8, seed: int = 0) -> tuple[EffectiveField, ...]:
    images = noise(n, network.image.channels, network.image.size)
    return effective_fields(network, weights, images=images, pixel_mean=MEAN, pixel_std=STD, seed=seed)


def window(field: EffectiveField) -> NDArray[np.bool_]:
    """The pixels of the image that the theoretical window holds."""
    down, across = (
        (np.arange(n) >= start) & (np.arange(n) < start + size)
        for n, start, size in zip(field.energy.shape, pair(field.window_start), pair(field.window_size), strict=True)
    )
    return down[:, None] & across


@given(network_texts(), st.sampled_from([(1, 24), (2, 15), (1, (24, 9)), (2, (1, 20))]))
@settings(deadline=None, max_examples=100)
def test_energy_is_zero_outside_the_theoretical_window(texts: list[str], image: tuple[int, Sides]) -> None:
    recipe = Recipe.model_validate({"network": texts, "epochs": 1})
    try:
        network = recipe.network_for(ImageShape(*image, n_classes=10))
    except GeometryError:
        assume(False)
    for field in fields_of(network, random_weights(network)):
        assert field.energy.shape == pair(image[1])
        assert field.energy.dtype == np.float64
        assert field.energy.sum() == pytest.approx(1) or not field.energy.any()
        assert (field.energy >= 0).all()
        assert (field.energy[~window(field)] == 0).all()


@pytest.mark.parametrize(
    "texts",
    [
        ["conv 3 3x3 stride 2 bare", "avgpool 2", "conv 3 3x3 bare", "gap", "linear 10"],
        ["conv 3 3x3 pad 1 bare", "depthwise 2x2 bare", "conv 3 5x5 stride 3 bare", "gap", "linear 10"],
        ["avgpool 3 stride 1 pad 1", "conv 3 2x2 bare", "avgpool 2", "linear 10"],
        ["conv 3 3x3 stride 2 bare", "depthwise 3x3 pad 1 bare", "residual 1", "avgpool 2", "gap", "linear 10"],
        ["conv 3 2x2 stride 2 bare", "squeeze-excite 2", "conv 3 3x3 pad 1 bare", "avgpool 2", "gap", "linear 10"],
    ],
)
def test_positive_weights_fill_the_theoretical_window(texts: list[str]) -> None:
    """No pixel of it is without energy where nothing cancels: the window is no larger than it must be."""
    network = network_of(*texts)
    one_sign = {name: np.abs(array) + 0.1 for name, array in random_weights(network).items()}
    for field in fields_of(network, one_sign):
        np.testing.assert_array_equal(field.energy > 0, window(field))


def test_where_the_windows_are() -> None:
    """The objective's last network: its map of 14x14 sees 6 pixels from the 13th on, its end 32, 2 beyond each rim."""
    network = recipe_of("receptive-field").network_for(ImageShape(1, 28, 10))
    fields = fields_of(network, random_weights(network))
    places = [(field.layer_index, field.window_start, field.window_size, field.center) for field in fields]
    assert places[0] == (0, 13, 3, (14.0, 14.0))
    assert places[2] == (2, 12, 6, (14.5, 14.5))
    assert places[-1] == (10, -2, 32, (13.5, 13.5))


def test_one_convolution_has_the_energy_of_its_squared_weights() -> None:
    texts, seen = ("gap", "linear 10"), slice(9, 12)  # by output 9 of 18
    single = network_of("conv 1 3x3 bare", *texts)
    weights = random_weights(single)
    squares = weights["0.weight"][0, 0] ** 2
    np.testing.assert_allclose(fields_of(single, weights)[0].energy[seen, seen], squares / squares.sum(), rtol=1e-5)
    several = network_of("conv 4 3x3 bare", *texts)
    weights = random_weights(several)
    squares = (weights["0.weight"][:, 0] ** 2).sum(0)
    energy = fields_of(several, weights, n=800)[0].energy
    np.testing.assert_allclose(energy[seen, seen], squares / squares.sum(), atol=0.02)


def test_a_kernel_of_two_numbers_has_the_energy_of_its_squared_weights_there() -> None:
    network = network_of("conv 1 5x3 stride 2x1 bare", "gap", "linear 10", size=(21, 8))
    weights = random_weights(network)
    field = fields_of(network, weights)[0]
    assert (field.window_start, field.window_size, field.center) == ((8, 3), (5, 3), (10.0, 4.0))  # of outputs 9 x 6
    squares = weights["0.weight"][0, 0] ** 2
    np.testing.assert_allclose(field.energy[8:13, 3:6], squares / squares.sum(), rtol=1e-5)
    assert field.side(1.0) == 5


def test_stacked_convolutions_are_a_bell() -> None:
    """Sums of neighbours thrice: the coefficients of (1 + x + x^2)^3, down and across, squared."""
    network = network_of("conv 1 3x3 bare", "conv 1 3x3 bare", "conv 1 3x3 bare", "gap", "linear 10", size=11)
    ones = {name: np.ones_like(array) for name, array in random_weights(network).items()}
    *_, third, _, _ = fields_of(network, ones)
    bell = np.array([0, 0, 1, 3, 6, 7, 6, 3, 1, 0, 0]) ** 2.0
    np.testing.assert_allclose(third.energy, np.outer(bell, bell) / bell.sum() ** 2, rtol=1e-5)
    shares = {(bell[5 - k : 6 + k].sum() / bell.sum()) ** 2: 1 + 2 * k for k in range(4)}  # of squares 1, 3, 5, 7 wide
    assert list(shares)[:3] == pytest.approx([0.121, 0.736, 0.972], abs=0.001)
    for share, side in shares.items():
        assert third.side(share - 1e-5) == side


def at(size: int, points: dict[tuple[int, int], float], start: int, window_size: int) -> EffectiveField:
    energy = np.zeros((size, size))
    for point, share in points.items():
        energy[point] = share
    return EffectiveField(layer_index=0, energy=energy, window_start=start, window_size=window_size)


def test_sides_are_the_smallest_squares_that_hold_a_share() -> None:
    odd = at(9, {(4, 4): 0.5, (4, 5): 0.25, (1, 4): 0.25}, 1, 7)
    assert [odd.side(share) for share in (0, 0.1, 0.5, 0.51, 0.75, 0.76, 1)] == [0, 1, 1, 3, 3, 7, 7]
    even = at(8, {(3, 4): 0.5, (2, 3): 0.125, (5, 5): 0.125, (7, 0): 0.25}, 0, 8)
    assert [even.side(share) for share in (0.5, 0.51, 0.75, 0.76, 1)] == [2, 4, 4, 8, 8]
    beyond = at(3, {(0, 0): 0.5, (2, 2): 0.5}, -2, 6)  # around 0.5, between the first pixel and the second
    assert (beyond.center, beyond.side(0.5), beyond.side(0.95)) == ((0.5, 0.5), 2, 4)


def exact_energies(network: Network, weights: Arrays, images: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Squared gradients summed over channels one by one."""
    forward = trace(network, weights, x=normalised(images, pixel_mean=MEAN, pixel_std=STD))
    energies = []
    for row, output in zip(network.rows, forward.activations, strict=True):
        energy = np.zeros((network.image.height, network.image.width))
        for channel in range(row.out_channels):
            cotangent = np.zeros_like(output)
            cotangent[:, channel, *middle(row)] = 1
            gradient = input_gradient(forward, row.index, cotangent=cotangent)
            energy += np.square(gradient, dtype=np.float64).sum((0, 1))
        energies.append(energy / energy.sum())
    return energies


def test_random_signs_come_to_the_mean_square_over_channels() -> None:
    """The mean of 100 draws has less than a quarter of the error of one; a bias would stay."""
    network = network_of("conv 6 3x3 block conv relu norm", "maxpool 2", "conv 5 3x3 bare", "gap", "linear 10")
    weights = random_weights(network)
    exact = np.stack(exact_energies(network, weights, noise(8, 1, 20)))
    draws = np.stack([[f.energy for f in fields_of(network, weights, seed=seed)] for seed in range(100)])
    size = np.linalg.norm(exact, axis=(1, 2))
    single = np.linalg.norm(draws - exact, axis=(2, 3)).mean(0) / size
    together = np.linalg.norm(draws.mean(0) - exact, axis=(1, 2)) / size
    assert (single > 0.1).all()
    assert (together < 0.25 * single).all()
    assert (together < 0.1).all()


def test_a_hundred_digits_are_enough_for_the_sides() -> None:
    splits = data.splits(data.load("mnist"), n_dev=0)
    network = recipe_of("receptive-field").network_for(splits.image)
    weights, images = random_weights(network), splits.evaluated.images[:100]
    exact = exact_energies(network, weights, images)
    fields = effective_fields(network, weights, images=images, pixel_mean=MEAN, pixel_std=STD)
    for field, energy in zip(fields, exact, strict=True):
        truly = EffectiveField(field.layer_index, energy, field.window_start, field.window_size)
        assert abs(field.side(0.5) - truly.side(0.5)) <= 2
        assert abs(field.side(0.95) - truly.side(0.95)) <= 2
        assert np.abs(field.energy - energy).sum() / 2 < 0.15


def test_the_same_seed_repeats_and_another_differs() -> None:
    network = network_of("conv 6 3x3 bare", "gap", "linear 10")
    first, again, other = (fields_of(network, random_weights(network), seed=seed)[-1].energy for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 * first.max()


def test_all_images_count_however_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of("conv 6 3x3 block conv relu norm", "conv 4 3x3 bare", "gap", "linear 10", channels=2)
    weights = random_weights(network)
    together = fields_of(network, weights, n=19)
    monkeypatch.setattr(effective_field, "CHUNK", 7)
    for one, other in zip(together, fields_of(network, weights, n=19), strict=True):
        np.testing.assert_allclose(one.energy, other.energy, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(
    "kill",
    [
        lambda weights: weights["1.bias"].fill(-1e4),
        lambda weights: weights["1.weight"].fill(np.nan),
        lambda weights: weights["1.weight"].fill(3e38),
    ],
)
def test_dead_and_diverged_layers_have_no_field(kill: Callable[[Arrays], None]) -> None:
    """Without a warning: pytest makes errors of them."""
    network = network_of("conv 4 3x3 bare", "conv 4 3x3 bias block conv relu", "gap", "linear 10")
    weights = random_weights(network)
    kill(weights)
    alive, *dead = fields_of(network, weights)
    assert alive.energy.sum() == pytest.approx(1)
    for field in dead:
        assert not field.energy.any()
        assert (field.side(0.5), field.side(0.95)) == (0, 0)


def test_a_gradient_beyond_all_numbers_is_no_field() -> None:
    network = network_of("conv 1 3x3 bare", "conv 1 3x3 bare", "gap", "linear 10")
    large = {name: np.full_like(array, 1e38) for name, array in random_weights(network).items()}
    finite, infinite, *_ = fields_of(network, large)
    assert finite.energy.sum() == pytest.approx(1)
    assert not infinite.energy.any()
