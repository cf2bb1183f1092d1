"""Random draws and what is made of them: generators, augmentation, the learning rate."""

from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.fft import dct

from stepladder.recipes import augment
from stepladder.recipes.augment import Warps
from stepladder.recipes.draws import Purpose, generator, integer_seed
from stepladder.recipes.recipe import Augment, Recipe
from stepladder.recipes.schedule import learning_rate

SIZE = 28
CENTRE = (SIZE - 1) / 2

keys = st.tuples(st.integers(0, 2**31), st.integers(0, 100_000), st.sampled_from(get_args(Purpose)))
Key = tuple[int, int, Purpose]


def stream(key: Key) -> list[int]:
    seed, epoch, purpose = key
    return [int(word) for word in generator(seed, epoch, purpose=purpose).integers(0, 2**63, 4)]


def number(key: Key) -> int:
    seed, epoch, purpose = key
    return integer_seed(seed, epoch, purpose=purpose)


@given(keys)
@settings(deadline=None)
def test_the_same_key_repeats(key: Key) -> None:
    assert stream(key) == stream(key)
    assert number(key) == number(key)
    assert 0 <= number(key) < 2**63


@given(keys, keys)
@settings(deadline=None)
def test_any_other_key_differs(key: Key, other: Key) -> None:
    assume(key != other)
    assert stream(key) != stream(other)
    assert number(key) != number(other)


@given(keys, st.integers(0, 2))
@settings(deadline=None)
def test_a_key_that_differs_in_one_part_alone_differs(key: Key, part: int) -> None:
    seed, epoch, purpose = key
    others: list[Key] = [
        (seed + 1, epoch, purpose),
        (seed, epoch + 1, purpose),
        (seed, epoch, "order" if purpose != "order" else "init"),
    ]
    assert stream(key) != stream(others[part])
    assert number(key) != number(others[part])


def test_digits_of_seed_and_epoch_do_not_run_together() -> None:
    around: list[Key] = [(1, 11, "order"), (11, 1, "order"), (111, 0, "order"), (0, 111, "order")]
    assert len({tuple(stream(key)) for key in around}) == len(around)


def test_the_draws_are_those_of_stored_runs() -> None:
    """Known answers, as drawn when the first runs were stored: if they change, no stored run can be repeated."""
    assert generator(1, 1, purpose="order").bit_generator.random_raw(2).tolist() == [
        1723610074882461034,
        16880198239993550470,
    ]
    assert integer_seed(1, 1, purpose="dropout") == 7967337054398373201


# Augmentation: a map takes an output pixel (x, y, 1) to the source pixel it shows.

ALL = Augment(rotation_deg=20.0, shift_px=2.5, scale=0.2, shear_deg=10.0)
QUANTITIES = {
    "angle": "rotation_deg",
    "shift_x": "shift_px",
    "shift_y": "shift_px",
    "scale": "scale",
    "shear": "shear_deg",
}


def draw(what: Augment, n: int = 500, *, seed: int = 1) -> NDArray[np.float64]:
    return augment.draw(what, n, size=SIZE, rng=np.random.default_rng(seed)).astype(np.float64)


def decompose(maps: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """What happened to each image, in the units of Augment: the inverse of a map, taken apart.

    The linear part is shrink * rotation(angle) @ [[1, shear], [0, 1]], about the centre after the shift.
    """
    linear, offset = maps[:, :, :2], maps[:, :, 2]
    first, second = linear[:, :, 0], linear[:, :, 1]
    shrink = np.hypot(first[:, 0], first[:, 1])
    shear = (first * second).sum(1) / shrink**2
    shift = np.linalg.solve(linear, (CENTRE - offset)[:, :, None])[:, :, 0] - CENTRE
    return {
        "angle": np.rad2deg(np.arctan2(-first[:, 1], first[:, 0])),
        "shift_x": shift[:, 0],
        "shift_y": shift[:, 1],
        "scale": 1 / shrink - 1,
        "shear": np.rad2deg(np.arctan(shear)),
    }


def test_the_same_rng_seed_repeats_and_another_differs() -> None:
    assert np.array_equal(draw(ALL), draw(ALL))
    assert not np.isclose(draw(ALL, seed=1), draw(ALL, seed=2)).all(axis=(1, 2)).any()


def test_nothing_asked_for_is_the_identity() -> None:
    identity = np.broadcast_to(np.eye(2, 3), (500, 2, 3))
    np.testing.assert_allclose(draw(Augment()), identity, atol=1e-6)


def test_maps_have_their_documented_form() -> None:
    maps = augment.draw(ALL, 7, size=SIZE, rng=np.random.default_rng(1))
    assert maps.shape == (7, 2, 3)
    assert maps.dtype == np.float32


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_quantity_fills_its_range_evenly_and_stays_inside(quantity: str) -> None:
    limit = getattr(ALL, QUANTITIES[quantity])
    drawn = decompose(draw(ALL, 5000))[quantity]
    assert np.abs(drawn).max() <= limit * (1 + 1e-4)
    quarters, _ = np.histogram(drawn, bins=4, range=(-limit * 1.001, limit * 1.001))
    assert (np.abs(quarters - 1250) < 6 * 31).all(), f"not uniform: {quarters}"  # sd of a quarter's count: 31


@pytest.mark.parametrize("size", [5, 28])
def test_the_centre_of_the_image_stays_where_it_is_but_for_the_shift(size: int) -> None:
    centre = (size - 1) / 2
    maps = augment.draw(ALL.model_copy(update={"shift_px": 0.0}), 100, size=size, rng=np.random.default_rng(1))
    np.testing.assert_allclose(maps.astype(np.float64) @ [centre, centre, 1], np.full((100, 2), centre), atol=1e-5)


def test_quantities_are_drawn_apart() -> None:
    """No draw serves two quantities, such as the shift across and down."""
    drawn = decompose(draw(ALL, 5000))
    correlations = np.corrcoef([drawn[name] for name in QUANTITIES]) - np.eye(len(QUANTITIES))
    assert np.abs(correlations).max() < 0.1


@pytest.mark.parametrize("field", ["rotation_deg", "shift_px", "scale", "shear_deg"])
def test_turning_one_quantity_off_leaves_the_draws_of_the_others_alone(field: str) -> None:
    every = decompose(draw(ALL))
    without = decompose(draw(ALL.model_copy(update={field: 0.0})))
    for quantity, of_field in QUANTITIES.items():
        expected = np.zeros(500) if of_field == field else every[quantity]
        np.testing.assert_allclose(without[quantity], expected, atol=2e-4, err_msg=quantity)


def test_the_draws_of_an_image_do_not_depend_on_how_many_follow() -> None:
    assert np.array_equal(draw(ALL, 10), draw(ALL, 500)[:10])


def blob(x: float, y: float) -> NDArray[np.float64]:
    """One image (1, 1, SIZE, SIZE) of a round spot."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    spot: NDArray[np.float64] = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / 1.5**2)
    return spot[None, None]


def centroid(image: NDArray[Any]) -> NDArray[np.float64]:
    """Centre of mass (x, y) of an image (SIZE, SIZE)."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    mass: NDArray[np.float64] = np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()
    return mass


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "what",
    [Augment(rotation_deg=180.0), Augment(shift_px=5.0), Augment(scale=0.4), Augment(shear_deg=30.0), ALL],
    ids=str,
)
def test_a_spot_moves_to_where_the_drawn_quantities_send_it(what: Augment, seed: int) -> None:
    """A spot is enlarged and turned about the centre (positive: clockwise on screen), then sheared, then shifted."""
    maps = augment.draw(what, 1, size=SIZE, rng=np.random.default_rng(seed))
    drawn = {name: float(value[0]) for name, value in decompose(maps.astype(np.float64)).items()}
    angle, shear = np.deg2rad(drawn["angle"]), np.tan(np.deg2rad(drawn["shear"]))
    x, y = 4.0, -3.0  # from the centre
    turned_x, turned_y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    enlarged = (1 + drawn["scale"]) * np.array([turned_x - shear * turned_y, turned_y])
    expected = CENTRE + enlarged + [drawn["shift_x"], drawn["shift_y"]]
    warped = augment.warp(blob(CENTRE + x, CENTRE + y), Warps(maps))
    np.testing.assert_allclose(centroid(warped[0, 0]), expected, atol=0.05)


def noise(n: int = 3, *, channels: int = 1, size: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, channels, size, size), dtype=np.uint8)


def same_map(n: int, linear: Any, offset: Any) -> Warps:
    one = np.concatenate([np.array(linear, np.float32), np.array(offset, np.float32)[:, None]], 1)
    return Warps(np.repeat(one[None], n, 0))


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (2, 5)])
def test_the_identity_leaves_every_pixel_as_it_is(channels: int, size: int) -> None:
    images = noise(channels=channels, size=size)
    warped = augment.warp(images, same_map(3, np.eye(2), [0, 0]))
    assert warped.dtype == np.float32
    assert np.array_equal(warped, images)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, 2), (-1, 4), (-27, 27), (28, 0), (0, -40)])
def test_a_shift_by_whole_pixels_is_exact_with_zeros_behind_it(right: int, down: int) -> None:
    images = noise()
    expected = np.zeros((3, 1, 3 * SIZE, 3 * SIZE))
    y, x = SIZE + down, SIZE + right
    if abs(right) < SIZE and abs(down) < SIZE:
        expected[:, :, y : y + SIZE, x : x + SIZE] = images
    expected = expected[:, :, SIZE : 2 * SIZE, SIZE : 2 * SIZE]
    assert np.array_equal(augment.warp(images, same_map(3, np.eye(2), [-right, -down])), expected)


def test_a_quarter_turn_is_exact() -> None:
    """Output (x, y) shows source (y, size - 1 - x): what was at the left is at the top."""
    images = noise()
    turned = augment.warp(images, same_map(3, [[0, 1], [-1, 0]], [0, SIZE - 1]))
    assert np.array_equal(turned, np.rot90(images, k=-1, axes=(2, 3)))
    assert turned[0, 0, 0, SIZE - 1] == images[0, 0, 0, 0], "the top left corner goes to the top right one"


def test_one_pixel_by_hand() -> None:
    """A quarter to the right and a half down between 10, 20 / 30, 50; at the corner, only what lies inside counts."""
    image = np.zeros((1, 1, 4, 4), np.uint8)
    image[0, 0, 1:3, 1:3] = [[10, 20], [30, 50]]
    warped = augment.warp(image, same_map(1, np.eye(2), [0.25, 0.5]))
    assert warped[0, 0, 1, 1] == 0.5 * (0.75 * 10 + 0.25 * 20) + 0.5 * (0.75 * 30 + 0.25 * 50)
    full = np.full((1, 1, 4, 4), 100, np.uint8)
    warped = augment.warp(full, same_map(1, np.eye(2), [0.25, 0.5]))
    assert warped[0, 0, 3, 3] == 0.75 * 0.5 * 100
    assert warped[0, 0, 0, 0] == 100


@pytest.mark.parametrize("offset", [[100.0, 0.0], [0.0, -100.0], [-29.0, -29.0], [1e9, 1e9]])
def test_there_are_zeros_outside(offset: list[float]) -> None:
    assert not augment.warp(noise(), same_map(3, np.eye(2), offset)).any()


def test_an_image_that_is_not_square_is_turned_and_enlarged_around_its_middle() -> None:
    """By 180 degrees both directions are turned round, and a flip of both is the same."""
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 9, 4), dtype=np.uint8)
    turned = augment.warp(images, same_map(3, -np.eye(2), [3, 8]))
    assert np.array_equal(turned, images[:, :, ::-1, ::-1])
    maps = augment.draw(Augment(scale=0.5), 50, size=(9, 4), rng=np.random.default_rng(1))
    middle = np.array([1.5, 4.0, 1.0])  # x, y, 1
    np.testing.assert_allclose(maps @ middle, np.broadcast_to(middle[:2], (50, 2)), atol=1e-5)


def test_shifts_bends_and_holes_are_in_pixels_down_and_across_alike() -> None:
    size = (40, 8)
    maps = augment.draw(Augment(shift_px=2.0), 4000, size=size, rng=np.random.default_rng(1))
    np.testing.assert_allclose(np.abs(maps[:, :, 2]).max(0), [2.0, 2.0], rtol=0.01)
    curves = augment.draw_curves(0.7, 4000, size=size, rng=np.random.default_rng(1)).astype(np.float64)
    assert curves.shape == (4000, 4, 40)
    for number, side in enumerate((8, 40, 8, 40)):  # by x, by y, of the source's x and then of its y
        np.testing.assert_allclose(np.sqrt((curves[:, number, :side] ** 2).mean()), 0.7, rtol=0.04)
    cut = augment.in_holes(augment.draw_holes(4, 4000, size=size, rng=np.random.default_rng(1)), size)[:, 0]
    assert cut.shape == (4000, 40, 8)
    assert cut.any((1, 2)).all()
    often = cut.mean(0)
    assert often[5:-5, 3:5].std() < 0.15 * often[20, 4], "its centre is any pixel"


@pytest.mark.parametrize("size", [(1, 30), (30, 1)])
def test_a_line_of_pixels_is_moved_along_itself(size: tuple[int, int]) -> None:
    """Nothing of a signal goes out of sight across it, whatever is asked for."""
    what = Augment(rotation_deg=90, shift_px=1, scale=0.1, shear_deg=30, elastic_px=0.5)
    warps = augment.draw_warps(what, 20, size=size, rng=lambda _: np.random.default_rng(1))
    full = augment.warp(np.full((20, 1, *size), 200, np.uint8), warps).reshape(20, 30)
    assert (full[:, 6:-6] > 199.9).all(), "its middle is as bright as it was"
    line = np.arange(30, dtype=np.uint8).reshape(1, 1, *size)
    moved = augment.warp(
        line, augment.draw_warps(Augment(shift_px=3), 1, size=size, rng=lambda _: np.random.default_rng(2))
    )
    steps = (moved.ravel() - line.ravel())[4:-4]
    assert 0.1 < abs(steps.mean()) <= 3
    np.testing.assert_allclose(steps, steps.mean(), atol=1e-4)


def test_each_image_is_warped_by_its_own_map() -> None:
    images, maps = noise(4, channels=3), augment.draw(ALL, 4, size=SIZE, rng=np.random.default_rng(1))
    together = augment.warp(images, Warps(maps))
    for k in range(4):
        assert np.array_equal(together[k : k + 1], augment.warp(images[k : k + 1], Warps(maps[k : k + 1])))


def warp_by_torch(images: NDArray[np.uint8], maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """The same in float64 by PyTorch, whose coordinates run from -1 to 1 between the centres of the outer pixels."""
    size = images.shape[-1]
    theta = maps.astype(np.float64)
    theta[:, :, 2] = theta[:, :, :2].sum(2) + 2 * theta[:, :, 2] / (size - 1) - 1
    grid = F.affine_grid(torch.from_numpy(theta), list(images.shape), align_corners=True)
    pixels = torch.from_numpy(images.astype(np.float64))
    warped = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    found: NDArray[np.float64] = warped.numpy()
    return found


@given(
    st.builds(
        Augment,
        rotation_deg=st.floats(0, 180),
        shift_px=st.floats(0, 40),
        scale=st.floats(0, 0.9),
        shear_deg=st.floats(0, 60),
    ),
    st.integers(0, 2**31),
    st.sampled_from([(1, 28), (3, 32), (2, 5), (1, 2)]),
)
@settings(deadline=None, max_examples=60)
def test_a_warp_is_what_torch_makes_of_the_same_map(what: Augment, seed: int, form: tuple[int, int]) -> None:
    channels, size = form
    images = noise(channels=channels, size=size)
    maps = augment.draw(what, 3, size=size, rng=np.random.default_rng(seed))
    np.testing.assert_allclose(augment.warp(images, Warps(maps)), warp_by_torch(images, maps), rtol=1e-6, atol=1e-5)


# Bends and holes.


def smooth_image(n: int, size: int = SIZE) -> NDArray[np.float64]:
    """An image whose value at (x, y) is 3 x + 5 y + 100: a warp within it shows where it looked."""
    y, x = np.mgrid[0:size, 0:size]
    return np.broadcast_to(3.0 * x + 5.0 * y + 100.0, (n, 1, size, size))


def test_a_bend_adds_a_curve_by_column_and_one_by_row() -> None:
    curves = np.zeros((1, 4, SIZE), np.float32)
    curves[0, 0, 10], curves[0, 1, 12], curves[0, 2, 14], curves[0, 3, 16] = 0.5, 0.25, 1.0, 2.0
    moved = augment.warp(smooth_image(1), Warps(same_map(1, np.eye(2), [0, 0]).maps, curves)) - smooth_image(1)
    expected = np.zeros((SIZE, SIZE))
    expected[:, 10] += 3 * 0.5  # the source's x, by the output's x
    expected[12, :] += 3 * 0.25  # by its y
    expected[:, 14] += 5 * 1.0  # the source's y
    expected[16, :] += 5 * 2.0
    np.testing.assert_allclose(moved[0, 0, 2:-4, 2:-4], expected[2:-4, 2:-4], atol=1e-4)


def test_curves_are_smooth_and_of_the_size_that_was_asked_for() -> None:
    curves = augment.draw_curves(0.7, 4000, size=28, rng=np.random.default_rng(1)).astype(np.float64)
    assert curves.shape == (4000, 4, 28)
    np.testing.assert_allclose(np.sqrt((curves**2).mean((0, 2))), 0.7, rtol=0.03)
    spectrum = np.abs(dct(curves, axis=-1))
    assert spectrum[:, :, 1:5].min(axis=(0, 1)).max() >= 0
    np.testing.assert_allclose(spectrum[:, :, [0, *range(5, 28)]], 0, atol=1e-4)
    between = np.corrcoef(curves[:, :, 3], rowvar=False) - np.eye(4)
    assert np.abs(between).max() < 0.06, "the four curves of an image are independent"


def test_a_hole_is_black_and_everything_else_stays() -> None:
    holes = augment.draw_holes(6, 500, size=28, rng=np.random.default_rng(1))
    cut = augment.in_holes(holes, 28)[:, 0]
    sides = holes[:, 2:] - holes[:, :2]
    assert (sides == 6).all()
    whole = (holes[:, :2] >= 0).all(1) & (holes[:, 2:] <= 28).all(1)
    assert (cut[whole].sum((1, 2)) == 36).all()
    assert cut[~whole].sum((1, 2)).max() < 36
    assert cut.any(0).all(), "every pixel is in some hole"
    images = noise(500, size=28)
    warped = augment.warp(images, Warps(same_map(500, np.eye(2), [0, 0]).maps, holes=holes))
    assert np.array_equal(warped[:, 0], np.where(cut, 0, images[:, 0]))


def test_bends_and_holes_leave_the_draws_of_the_map_alone() -> None:
    plain, busy = (
        augment.draw_warps(what, 5, size=SIZE, rng=lambda purpose: generator(1, 2, purpose=purpose))
        for what in (ALL, ALL.model_copy(update={"elastic_px": 0.5, "cutout_px": 3}))
    )
    assert np.array_equal(plain.maps, busy.maps)
    assert plain.curves is plain.holes is None
    assert busy.curves is not None
    assert busy.holes is not None
    part = busy[1:3]
    assert np.array_equal(part.maps, busy.maps[1:3])
    assert part.curves is not None
    assert np.array_equal(part.curves, busy.curves[1:3])


def test_half_of_the_images_are_flipped_and_otherwise_warped_as_before() -> None:
    plain, flipped = (
        augment.draw_warps(what, 400, size=SIZE, rng=lambda purpose: generator(1, 2, purpose=purpose))
        for what in (ALL, ALL.model_copy(update={"mirror": True}))
    )
    images = noise(400)
    found = augment.warp(images, flipped)
    expected = [augment.warp(each, plain) for each in (images, np.ascontiguousarray(images[..., ::-1]))]
    near = np.stack([np.isclose(found, each, atol=0.02).all((1, 2, 3)) for each in expected])
    assert (near.sum(0) == 1).all(), "each is flipped or not, and bent as the plain one"
    assert 160 < near[1].sum() < 240
    fewer = augment.draw_warps(
        ALL.model_copy(update={"mirror": True}), 7, size=SIZE, rng=lambda purpose: generator(1, 2, purpose=purpose)
    )
    assert np.array_equal(fewer.maps, flipped.maps[:7])


# The learning rate.


def recipe(**schedule: Any) -> Recipe:
    return Recipe.model_validate({"network": ["gap", "linear 10"], "lr": 0.05, "epochs": 14, **schedule})


@pytest.mark.parametrize("steps_per_epoch", [1, 3, 938])
@pytest.mark.parametrize(("every_epochs", "factor"), [(6, 0.1), (1, 0.5), (13, 0.9), (14, 0.1), (40, 0.1)])
def test_the_step_schedule_is_torchs_steplr(every_epochs: int, factor: float, steps_per_epoch: int) -> None:
    stepped = recipe(schedule={"kind": "step", "every_epochs": every_epochs, "factor": factor})
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=stepped.lr)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=every_epochs, gamma=factor)
    for epoch in range(stepped.epochs):
        first = epoch * steps_per_epoch
        for step in {first, first + steps_per_epoch // 2, first + steps_per_epoch - 1}:
            found = learning_rate(stepped, step=step, steps_per_epoch=steps_per_epoch)
            assert found == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12), f"epoch {epoch}, step {step}"
        optimizer.step()
        scheduler.step()


def test_a_step_to_a_tenth_after_every_six_epochs_by_hand() -> None:
    stepped = recipe(schedule={"kind": "step", "every_epochs": 6, "factor": 0.1})
    found = [learning_rate(stepped, step=10 * epoch, steps_per_epoch=10) for epoch in range(14)]
    assert found == pytest.approx([0.05] * 6 + [0.005] * 6 + [0.0005] * 2, rel=1e-12)
    assert learning_rate(stepped, step=59, steps_per_epoch=10) == 0.05
    assert learning_rate(stepped, step=60, steps_per_epoch=10) < 0.01


@given(st.integers(0, 10**6), st.integers(1, 10_000))
@settings(deadline=None)
def test_a_constant_learning_rate_stays(step: int, steps_per_epoch: int) -> None:
    assert learning_rate(recipe(), step=step, steps_per_epoch=steps_per_epoch) == 0.05


def schedule_of_torch(make: Any, recipe: Recipe, n_steps: int) -> list[float]:
    """The learning rates of a scheduler of torch that steps at every step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=recipe.lr)
    scheduler = make(optimizer)
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def rates_of(recipe: Recipe, steps_per_epoch: int) -> list[float]:
    n_steps = recipe.epochs * steps_per_epoch
    return [learning_rate(recipe, step=step, steps_per_epoch=steps_per_epoch) for step in range(n_steps)]


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_and_linear_are_torchs(final: float) -> None:
    n_steps = 14 * 20
    cosine = recipe(schedule={"kind": "cosine", "final": final})
    expected = schedule_of_torch(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, n_steps, eta_min=final * cosine.lr), cosine, n_steps
    )
    assert rates_of(cosine, 20) == pytest.approx(expected, rel=1e-9)
    linear = recipe(schedule={"kind": "linear", "final": final})
    expected = schedule_of_torch(
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, final, total_iters=n_steps), linear, n_steps
    )
    assert rates_of(linear, 20) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rise", [0.3, 0.1, 0.9])
def test_one_cycle_is_torchs(rise: float) -> None:
    n_steps = 14 * 20
    cycle = recipe(schedule={"kind": "one-cycle", "rise": rise})
    expected = schedule_of_torch(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, cycle.lr, total_steps=n_steps, pct_start=rise, cycle_momentum=False, div_factor=25, final_div_factor=1e4
        ),
        cycle,
        n_steps,
    )
    assert rates_of(cycle, 20) == pytest.approx(expected, rel=1e-9)


@given(
    st.lists(st.floats(0.001, 2), min_size=1, max_size=30),
    st.integers(0, 3),
    st.sampled_from([0.0, 1e-4, 0.1]),
)
@settings(deadline=None)
def test_plateau_is_torchs(losses: list[float], patience: int, threshold: float) -> None:
    plateau = recipe(schedule={"kind": "plateau", "patience": patience, "factor": 0.5, "threshold": threshold})
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=plateau.lr)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience, threshold=threshold, eps=0
    )
    for number in range(len(losses) + 1):
        found = learning_rate(plateau, step=7 * number, steps_per_epoch=7, train_losses=losses[:number])
        assert found == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        if number < len(losses):
            scheduler.step(losses[number])


@pytest.mark.parametrize("kind", ["cosine", "linear", "step"])
def test_a_warm_up_rises_to_the_full_rate(kind: str) -> None:
    more = {"every_epochs": 6} if kind == "step" else {}
    warmed = recipe(schedule={"kind": kind, "warmup_epochs": 2.5, **more})
    rates = rates_of(warmed, 20)
    assert rates[:50] == pytest.approx([0.05 * (k + 1) / 50 for k in range(50)])
    assert rates[50] == pytest.approx(0.05)
    assert all(later <= earlier for earlier, later in pairwise(rates[50:]))
    assert rates[-1] < 0.01
