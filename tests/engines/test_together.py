"""Several seeds trained at once, against the same seeds one by one."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import NETWORKS, recipe_of
from random_networks import ORDERS, network_texts, random_weights

from stepladder.datasets import data
from stepladder.datasets.image_set import Labelled
from stepladder.engines import Together, choose_engine
from stepladder.engines.drawing import Ahead, draw
from stepladder.engines.together import stacked, train_together
from stepladder.engines.torch import memory
from stepladder.engines.torch.dropping import Bits
from stepladder.engines.torch.engine import TOGETHER, TorchEngine, TorchModel
from stepladder.engines.torch.images import Images
from stepladder.engines.torch.stacked import StackedModel
from stepladder.engines.training import initial_arrays, train, weights
from stepladder.errors import EngineError, GeometryError
from stepladder.networks.geometry import Network
from stepladder.networks.sides import pair
from stepladder.recipes.augment import Warps
from stepladder.recipes.draws import integer_seed
from stepladder.recipes.recipe import Augment, Recipe
from stepladder.recipes.schedule import learning_rate
from stepladder.runs.arrays import PARAMETERS
from stepladder.runs.run import Arrays, Progress

CPU = torch.device("cpu")
SEEDS = (3, 1, 12)
PLATEAU = 0.015  # of the loss: some of SEEDS learn faster at first, and some do not
SMALL = ["conv 4 3x3 stride 2", "conv 6 3x3 pad 1", "maxpool 2", "conv 8 3x3 pad 1", "gap", "linear 10"]
BUSY: dict[str, Any] = {
    "network": SMALL,
    "dropout": 0.1,
    "augment": {"rotation_deg": 10.0, "elastic_px": 0.5, "cutout_px": 4, "mirror": True},
    "weight_decay": 1e-4,
    "lr": 0.05,
    "epochs": 2,
    "loss": {"label_smoothing": 0.1},
}
EXTRAS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "nesterov": {"optimizer": {"kind": "sgd", "nesterov": True}, "norm_scale": False, "clean_epochs": 1},
    "adam": {"optimizer": {"kind": "adam"}, "lr": 1e-3, "schedule": {"kind": "cosine"}},
    "adamw, average": {
        "optimizer": {"kind": "adamw"},
        "lr": 1e-3,
        "average": {"horizon_epochs": 0.5, "every_steps": 3},
    },
    "muon, recalibrated": {"optimizer": {"kind": "muon"}, "recalibrate_images": 150},
    "average, recalibrated": {"average": {"horizon_epochs": 0.5, "every_steps": 2}, "recalibrate_images": 150},
    "sharpness-aware": {"sharpness_aware": {"radius": 0.05}},
    "plateau": {"schedule": {"kind": "plateau", "patience": 0, "threshold": PLATEAU}, "epochs": 3},
    "a teacher each": {"distill": {"network": ["conv 4 3x3 stride 2", "gap", "linear 10"], "share": 0.7}},
    "two teachers": {"distill": {"network": ["conv 4 3x3 stride 2", "gap", "linear 10"], "seeds": [51, 52]}},
}


@pytest.fixture(scope="module")
def few() -> data.Splits:
    """The middles of digits, chosen by rows, as beside a validation split; the last batch of an epoch is smaller."""
    middles = of_size(14, n=180)
    rows = np.flatnonzero(np.arange(180) % 6)
    return data.Splits(middles.train.chosen(rows), middles.evaluated[:100], middles.image)


@pytest.fixture
def engine() -> TorchEngine:
    return TorchEngine("cpu", together=8)


@pytest.fixture
def exact(engine: TorchEngine) -> TorchEngine:
    """It computes in float64, where no rounding grows to what can be seen."""
    engine.dtype = torch.float64
    return engine


def last(progress: Iterator[Any]) -> Any:
    *_, end = progress
    return end


def teachers_of(recipe: Recipe, splits: data.Splits) -> list[list[Arrays]]:
    """For each of SEEDS its teachers' weights, not trained."""
    if recipe.teacher is None or recipe.distill is None:
        return [[] for _ in SEEDS]
    network = recipe.teacher.network_for(splits.image)
    of_seed = {seed: weights(network, initial_arrays(network, seed)) for each in SEEDS for seed in (each, 51, 52)}
    return [[of_seed[seed] for seed in recipe.distill.seeds_for(own)] for own in SEEDS]


def one_by_one(engine: TorchEngine, recipe: Recipe, splits: data.Splits) -> list[Progress]:
    return [
        last(train(engine, recipe, splits=splits, seed=seed, resume=Progress(), teachers=teachers))
        for seed, teachers in zip(SEEDS, teachers_of(recipe, splits), strict=True)
    ]


def at_once(engine: TorchEngine, recipe: Recipe, splits: data.Splits, **how: Any) -> list[tuple[Progress, ...]]:
    """Where each seed stands, epoch by epoch."""
    seeds = how.pop("seeds", SEEDS)
    resume = how.pop("resume", [Progress()] * len(seeds))
    teachers = teachers_of(recipe, splits)
    return list(train_together(engine, recipe, splits=splits, seeds=seeds, resume=resume, teachers=teachers))


def require_alike(found: Progress, alone: Progress, *, tolerance: float) -> None:
    """The same state, names and shapes included, and the same epochs but for rounding and times."""
    assert found.arrays is not None
    assert alone.arrays is not None
    assert list(found.arrays) == list(alone.arrays)
    for name, array in alone.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_allclose(
            found.arrays[name], array, rtol=0, atol=tolerance * np.abs(array).max(), err_msg=name
        )
    assert (found.diverged_at_epoch, found.n_resumed) == (alone.diverged_at_epoch, alone.n_resumed)
    for ours, theirs in zip(found.epochs, alone.epochs, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=tolerance)
        assert ours.loss == pytest.approx(theirs.loss, rel=tolerance)
        assert (ours.n_train_correct, ours.n_correct) == (theirs.n_train_correct, theirs.n_correct)
        assert ours.confusion == theirs.confusion
    for wrong, other in zip(found.wrong_images, alone.wrong_images, strict=True):
        assert (wrong.index, wrong.label, wrong.predicted) == (other.index, other.label, other.predicted)


@pytest.mark.parametrize("name", EXTRAS)
def test_seeds_at_once_end_as_seeds_one_by_one(name: str, exact: TorchEngine, few: data.Splits) -> None:
    """In float64: whatever a recipe may have, nothing differs but what arrays are rounded to on their way, float32."""
    recipe = recipe_of("lighter", **BUSY | EXTRAS[name])
    for found, alone in zip(at_once(exact, recipe, few)[-1], one_by_one(exact, recipe, few), strict=True):
        require_alike(found, alone, tolerance=1e-5)


def test_in_float32_an_epoch_differs_by_rounding(engine: TorchEngine) -> None:
    """Whole digits, and every operation."""
    digits = of_size(28, n=150)
    recipe = recipe_of("all layers", block="conv relu norm dropout", dropout=0.1, augment={"rotation_deg": 10.0})
    for found, alone in zip(at_once(engine, recipe, digits)[-1], one_by_one(engine, recipe, digits), strict=True):
        require_alike(found, alone, tolerance=2e-3)


def test_a_plateau_ends_at_another_epoch_for_another_seed(engine: TorchEngine, few: data.Splits) -> None:
    """What the seeds at once have learning rates of their own for."""
    recipe = recipe_of("lighter", **BUSY | EXTRAS["plateau"])
    rates = {
        learning_rate(recipe, step=9, steps_per_epoch=3, train_losses=[each.train_loss for each in end.epochs])
        for end in at_once(engine, recipe, few)[-1]
    }
    assert len(rates) > 1


@settings(max_examples=25, deadline=None)
@given(network_texts(), st.sampled_from(ORDERS), st.integers(1, 4), st.booleans())
def test_random_networks_learn_the_same_at_once(
    layers: list[str], order: str, n_seeds: int, learns_probabilities: bool
) -> None:
    """A step of each, in float64: gradients, tallies, statistics, and answers in evaluation."""
    recipe = Recipe.model_validate(
        {"network": layers, "block": f"conv {order}" if order != "bare" else "conv", "epochs": 1, "dropout": 0.2}
    )
    splits = of_size(10, n=60)
    try:
        network = recipe.network_for(splits.image)
    except GeometryError:
        return
    several = StackedModel(network, recipe, splits=splits, n_seeds=n_seeds, device=CPU, dtype=torch.float64)
    alone = [TorchModel(network, recipe, splits=splits, device=CPU, dtype=torch.float64) for _ in range(n_seeds)]
    given_weights = [random_weights(network, seed) for seed in range(n_seeds)]
    set_weights(several, network, stacked(given_weights))
    rng = np.random.default_rng(1)
    indices = np.stack([rng.permutation(len(splits.train))[:9] for _ in range(n_seeds)])
    targets = rng.dirichlet(np.ones(10), (n_seeds, 9)).astype(np.float32) if learns_probabilities else None
    several.begin_epoch(dropout_seed=np.arange(n_seeds))
    several.learn(indices, None, targets)
    for at, model in enumerate(alone):
        set_weights(model, network, given_weights[at])
        model.begin_epoch(dropout_seed=at)
        model.learn(indices[at], None, None if targets is None else targets[at])
        close(several.gradients[at].numpy(), model.gradients.numpy())
        close(several.tally()[0][at], model.tally()[0])
        assert several.tally()[1][at] == model.tally()[1]
        for name, array in model.statistics().items():
            close(several.statistics()[name][at], array, tolerance=1e-6)
        close(several.logits(splits.evaluated)[at], model.logits(splits.evaluated), tolerance=1e-5)
        close(several.answers(indices, None)[at], model.answers(indices[at], None), tolerance=1e-5)


@cache
def of_size(size: int, *, n: int) -> data.Splits:
    """The middle pixels, so many a side, of so many digits."""
    images, rim = data.load("mnist"), (28 - size) // 2
    train, test = (
        Labelled(part.images[:n, :, rim : rim + size, rim : rim + size].copy(), part.labels[:n])
        for part in (images.train, images.test)
    )
    return data.Splits(train, test, replace(images.info.image, size=size))


def set_weights(model: Any, network: Network, given_weights: Arrays) -> None:
    lead = model.parameters.shape[:-1]
    flat = np.concatenate([given_weights[name].reshape(*lead, -1) for name in network.parameter_shapes], -1)
    model.parameters[:] = model.to_array(flat)
    model.set_statistics({name: given_weights[name] for name in network.statistic_shapes})


def close(found: Any, expected: Any, *, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(1e-6, float(np.abs(expected).max())))


def test_draws_are_those_of_one_seed(few: data.Splits) -> None:
    """The order of images, what happens to each, and what dropout drops: bit for bit, epoch by epoch."""
    recipe = recipe_of("lighter", **BUSY | {"epochs": 3, "clean_epochs": 1})
    network = recipe.network_for(few.image)
    several = Bits(network, n_seeds=len(SEEDS), device=CPU)
    ahead = Ahead(recipe, few, SEEDS, send=torch.from_numpy)
    images = Images(few, device=CPU, dtype=torch.float32)
    for number in range(recipe.epochs):
        drawn = ahead.epoch(number)
        several.seed([integer_seed(seed, number, purpose="dropout") for seed in SEEDS])
        masks = masks_of(several, network, n_seeds=len(SEEDS))
        assert (drawn.warps is None) == (number == 2)
        for at, seed in enumerate(SEEDS):
            alone = draw(recipe, few, seed=seed, number=number)
            assert np.array_equal(drawn.order[at], alone.order)
            assert np.array_equal(
                images.batch(drawn.order.flatten(), None if drawn.warps is None else in_a_row(drawn.warps))
                .view(len(SEEDS), len(few.train), 1, 14, 14)[at]
                .numpy(),
                images.batch(torch.from_numpy(alone.order), alone.warps).numpy(),
            )
            one = Bits(network, n_seeds=1, device=CPU)
            one.seed([integer_seed(seed, number, purpose="dropout")])
            for ours, theirs in zip(masks, masks_of(one, network, n_seeds=1), strict=True):
                channels = theirs.shape[1]
                assert torch.equal(ours[:, at * channels : (at + 1) * channels], theirs)
    ahead.close()


def masks_of(bits: Bits, network: Network, *, n_seeds: int) -> list[torch.Tensor]:
    """Of two batches, the second of another size."""
    found = []
    for n in (7, 2):
        bits.draw(n)
        for row in network.rows:
            if any(step.word == "dropout" for step in row.steps):
                found.append(bits.next_for(torch.empty(n, n_seeds * row.out_channels, *pair(row.out_size))))
    return found


def in_a_row(warps: Warps) -> Warps:
    parts: list[Any] = [warps.maps, warps.curves, warps.holes]
    return Warps(*(part.flatten(0, 1) for part in parts))


def test_dropout_draws_as_it_did_layer_by_layer() -> None:
    """A batch's words in one draw are those of a draw for each layer: stored runs are found again."""
    network = recipe_of("skeleton").network_for(data.load("mnist").info.image)
    bits = Bits(network, n_seeds=1, device=CPU)
    bits.seed([7])
    layer_by_layer = torch.Generator().manual_seed(7)
    for n in (5, 3):
        bits.draw(n)
        for row in network.rows:
            for _ in (step for step in row.steps if step.word == "dropout"):
                x = torch.empty(n, row.out_channels, *pair(row.out_size))
                words = torch.empty(-(-x.numel() // 4), dtype=torch.int64)
                words.random_(-(2**63), None, generator=layer_by_layer)
                assert torch.equal(bits.next_for(x), words.view(torch.int16)[: x.numel()].view_as(x))


def test_a_seed_that_diverges_leaves_the_others_untouched(engine: TorchEngine, few: data.Splits) -> None:
    """Bit for bit while it is trained with them; afterwards they go on without it, as if they had been resumed so."""
    recipe = recipe_of("lighter", **BUSY | {"epochs": 3})
    healthy = at_once(engine, recipe, few)
    start = initial_arrays(recipe.network_for(few.image), SEEDS[1])
    broken = Progress(arrays=start | {PARAMETERS: np.full_like(start[PARAMETERS], np.nan)})
    found = at_once(engine, recipe, few, resume=[Progress(), broken, Progress()])
    assert [each.diverged_at_epoch for each in found[-1]] == [None, 1, None]
    assert found[0][1].epochs == ()
    for at in (0, 2):
        assert same(found[0][at], healthy[0][at])
    pair = at_once(engine, recipe, few, seeds=(SEEDS[0], SEEDS[2]), resume=[found[0][0], found[0][2]])
    assert len(found) == 3
    assert same(found[-1][0], pair[-1][0])
    assert same(found[-1][2], pair[-1][1])


def same(a: Progress, b: Progress) -> bool:
    """Bit for bit the same state, and the same epochs but for their times."""
    assert a.arrays is not None
    assert b.arrays is not None
    timeless = {"train_s": 0.0, "evaluate_s": 0.0}
    epochs = [[epoch.model_copy(update=timeless) for epoch in each.epochs] for each in (a, b)]
    return (
        epochs[0] == epochs[1]
        and a.wrong_images == b.wrong_images
        and all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays | b.arrays)
    )


@pytest.mark.parametrize("name", ["adamw, average", "plateau", "muon, recalibrated"])
def test_going_on_from_an_epoch_ends_as_if_never_stopped(name: str, engine: TorchEngine, few: data.Splits) -> None:
    """At once, bit for bit; and one of them alone, but for rounding."""
    recipe = recipe_of("lighter", **BUSY | EXTRAS[name])
    whole = at_once(engine, recipe, few)
    for step in whole[:-1]:
        assert all(map(same, at_once(engine, recipe, few, resume=step)[-1], whole[-1]))
    engine.dtype = torch.float64
    whole = at_once(engine, recipe, few)
    alone = last(train(engine, recipe, splits=few, seed=SEEDS[1], resume=whole[0][1]))
    require_alike(alone, whole[-1][1], tolerance=1e-5)


def test_the_same_seeds_repeat(engine: TorchEngine, few: data.Splits) -> None:
    recipe = recipe_of("lighter", **BUSY)
    assert all(map(same, at_once(engine, recipe, few)[-1], at_once(engine, recipe, few)[-1]))


def test_what_is_trained_at_once_on_a_cpu_has_a_revision_of_its_own(
    engine: TorchEngine, few: data.Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of("lighter", network=SMALL)
    network = recipe.network_for(few.image)
    plain = choose_engine("torch", device="cpu")[0]
    assert (plain.identity.revision, engine.identity.revision) == (1, 2)
    assert isinstance(plain, Together)
    assert plain.most_together(network, recipe, n_train=300) == 1
    assert engine.most_together(network, recipe, n_train=300) == 8
    monkeypatch.setenv(TOGETHER, "4")
    asked = choose_engine("torch", device="cpu")[0]
    assert isinstance(asked, Together)
    assert asked.identity == engine.identity
    assert asked.most_together(network, recipe, n_train=300) == 4
    for odd in ("0", "many", "-1", "1.5"):
        monkeypatch.setenv(TOGETHER, odd)
        with pytest.raises(EngineError, match=f"STEPLADDER_TOGETHER is .{odd}.: it is how many seeds"):
            choose_engine("torch", device="cpu")


def test_engines_need_not_train_together() -> None:
    assert not isinstance(choose_engine("jit")[0], Together)


@pytest.mark.parametrize("name", ["sgd", "adamw, average", "two teachers"])
@pytest.mark.parametrize("network", ["skeleton", "all layers"])
def test_a_seed_takes_about_as_much_memory_as_is_estimated(name: str, network: str) -> None:
    """Of what a forward pass keeps for its backward pass, which is most of it; and the estimate is not a wild one."""
    recipe = recipe_of(
        "lighter", **BUSY | {"network": NETWORKS[network], "block": "conv relu norm dropout"} | EXTRAS[name]
    )
    few = of_size(28, n=100)
    geometry = recipe.network_for(few.image)
    kept = kept_by_a_step(geometry, recipe, few, n_seeds=4) - kept_by_a_step(geometry, recipe, few, n_seeds=2)
    estimate = memory.bytes_per_seed(geometry, recipe, n_train=len(few.train))
    assert 0.5 * kept < estimate < 4 * kept


def kept_by_a_step(network: Network, recipe: Recipe, splits: data.Splits, *, n_seeds: int) -> int:
    model = StackedModel(network, recipe, splits=splits, n_seeds=n_seeds, device=CPU)
    model.begin_epoch(dropout_seed=np.arange(n_seeds))
    found: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    rng = np.random.default_rng(1)
    indices = np.stack([rng.permutation(len(splits.train))[: recipe.batch_size] for _ in range(n_seeds)])
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.learn(indices, None, as_targets(recipe, indices.shape))
    return sum(found.values())


def as_targets(recipe: Recipe, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    return None if recipe.distill is None else np.full((*shape, 10), 0.1, np.float32)


def test_as_many_seeds_fit_as_there_is_room_for() -> None:
    recipe = recipe_of("lighter", batch_size=64)
    network = recipe.network_for(data.load("mnist").info.image)
    each = memory.bytes_per_seed(network, recipe, n_train=60_000)
    fitting = [memory.fitting(n * each, network, recipe, n_train=60_000) for n in (0, 1, 10, 1000)]
    assert fitting[:2] == [1, 1]
    assert 5 <= fitting[2] < 10
    assert 700 <= fitting[3] < 1000
    warped = recipe.model_copy(update={"augment": Augment(elastic_px=1.0)})
    assert memory.bytes_per_seed(network, warped, n_train=60_000) > each + 60_000 * 4 * 28 * 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_trains_seeds_at_once_as_one_by_one(few: data.Splits) -> None:
    engine = TorchEngine("cuda")
    engine.dtype = torch.float64
    recipe = recipe_of("lighter", **BUSY)
    for found, alone in zip(at_once(engine, recipe, few)[-1], one_by_one(engine, recipe, few), strict=True):
        require_alike(found, alone, tolerance=1e-5)
