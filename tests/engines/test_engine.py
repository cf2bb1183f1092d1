"""Engines: gradients, steps and evaluation against torch written out independently, in float64."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import oracle
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import NETWORKS, MuonByValues, Pair, by_values, recipe_of
from targets import require_in_engine
from torch import nn

from stepladder.datasets import data
from stepladder.datasets.image_set import Labelled
from stepladder.engines import Engine, Model, choose_engine
from stepladder.engines.optimizer import Matrix, hidden_matrices, orthogonal, update
from stepladder.engines.recalibrating import Recalibration
from stepladder.engines.torch.dropping import Bits
from stepladder.engines.torch.engine import TorchModel
from stepladder.engines.torch.images import warp
from stepladder.engines.torch.ops import dropout
from stepladder.engines.training import Teachers, Training, initial_arrays, judge, train, weight_decay, weights
from stepladder.errors import EngineError
from stepladder.networks.geometry import ImageShape
from stepladder.networks.reference import trace
from stepladder.networks.sides import Sides, pair
from stepladder.recipes import augment
from stepladder.recipes.augment import Warps
from stepladder.recipes.draws import generator
from stepladder.recipes.recipe import Adam, Augment, Muon, Recipe, Sgd
from stepladder.runs.arrays import STATISTIC, state_names
from stepladder.runs.run import Arrays, Epoch, Progress


@pytest.fixture(scope="module")
def splits() -> data.Splits:
    return data.splits(data.load("mnist"), n_dev=0)


@pytest.fixture(params=["torch", "jit"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return choose_engine(request.param, device="cpu")[0]


@pytest.fixture(scope="module")
def few(splits: data.Splits) -> data.Splits:
    return data.Splits(splits.train[:1000], splits.evaluated[:300], splits.image)


@pytest.mark.parametrize("norm_scale", [True, False], ids=["scaled", "unscaled"])
@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_equal_the_oracles(engine: Engine, network: str, norm_scale: bool, few: data.Splits) -> None:
    pair = Pair(engine, recipe_of(network, loss={"label_smoothing": 0.1}, norm_scale=norm_scale), few)
    indices = pair.clear_batch(64)
    loss = pair.oracle_loss(indices)
    expected = torch.autograd.grad(loss, list(pair.oracle.parameters()))
    pair.model.begin_epoch(dropout_seed=0)
    pair.model.learn(indices, None)
    pair.compare(pair.model.to_numpy(pair.model.gradients), list(expected), tolerance=1e-4)
    loss_sum, _ = pair.model.tally()
    assert loss_sum / 64 == pytest.approx(loss.item(), rel=1e-5)


OPTIMIZERS: dict[str, tuple[Sgd | Adam, float, Callable[..., torch.optim.Optimizer]]] = {
    "sgd": (Sgd(momentum=0.9), 0.005, partial(torch.optim.SGD, momentum=0.9)),
    "nesterov": (Sgd(momentum=0.9, nesterov=True), 0.005, partial(torch.optim.SGD, momentum=0.9, nesterov=True)),
    "adam": (Adam(kind="adam", epsilon=1e-4), 1e-4, partial(torch.optim.Adam, eps=1e-4)),
    "adamw": (
        Adam(kind="adamw", beta1=0.8, beta2=0.95, epsilon=1e-4),
        1e-4,
        partial(torch.optim.AdamW, betas=(0.8, 0.95), eps=1e-4),
    ),
}


@pytest.mark.parametrize("network", ["lighter", "all layers"])
@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_ten_steps_statistics_and_evaluation_equal_the_oracles(
    engine: Engine, network: str, optimizer_name: str, few: data.Splits
) -> None:
    pair = Pair(engine, recipe_of(network, norm_scale=optimizer_name != "nesterov"), few)
    optimizer, lr, theirs_of = OPTIMIZERS[optimizer_name]
    ten_steps(pair, optimizer, theirs_of(groups_of(pair), lr=lr), lr=lr)
    running = [b for name, b in pair.oracle.named_buffers() if "running" in name]
    for ours, theirs in zip(pair.model.statistics().values(), running, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-3, atol=1e-4)
    pair.oracle.eval()
    with torch.no_grad():
        expected = pair.oracle(pair.images[:200]).numpy()
    np.testing.assert_allclose(pair.model.logits(few.train[:200]), expected, rtol=1e-3, atol=2e-3)


def groups_of(pair: Pair) -> list[dict[str, Any]]:
    """The oracle's parameters: weights decay, all else does not."""
    weights_only = [p for p in pair.oracle.parameters() if p.ndim > 1]
    others = [p for p in pair.oracle.parameters() if p.ndim == 1]
    return [{"params": weights_only, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]


def ten_steps(pair: Pair, optimizer: Sgd | Adam | Muon, theirs: torch.optim.Optimizer, *, lr: float) -> None:
    """Ten steps of the model and of its oracle, after which their parameters must be alike."""
    zeros = np.zeros(pair.network.params, np.float32)
    state = {name: pair.model.to_array(zeros) for name in state_names(optimizer)}
    decay = pair.model.to_array(weight_decay(pair.network, pair.recipe.model_copy(update={"weight_decay": 0.01})))
    pair.model.begin_epoch(dropout_seed=0)
    for step in range(10):
        indices = np.arange(step * 50, step * 50 + 50)
        theirs.zero_grad()
        pair.oracle_loss(indices).backward()  # type: ignore[no-untyped-call]
        theirs.step()
        pair.model.learn(indices, None)
        update(
            optimizer,
            pair.model.parameters,
            gradients=pair.model.gradients,
            state=state,
            decay=decay,
            matrices=hidden_matrices(pair.network),
            lr=lr,
            step=step,
        )
    pair.compare(pair.model.to_numpy(pair.model.parameters), list(pair.oracle.parameters()), tolerance=1e-3)


@pytest.mark.parametrize("network", ["lighter", "all layers"])
def test_ten_steps_of_muon_equal_its_definition(engine: Engine, network: str, few: data.Splits) -> None:
    pair = Pair(engine, recipe_of(network), few)
    theirs = MuonByValues(groups_of(pair), lr=0.005, momentum=0.9, hidden=oracle.hidden_matrices(pair.oracle))
    ten_steps(pair, Muon(kind="muon", momentum=0.9), theirs, lr=0.005)


def test_muon_takes_matrices_but_the_last(few: data.Splits) -> None:
    network = recipe_of("all layers").network_for(few.image)
    found = {(matrix.part.start, matrix.n_rows) for matrix in hidden_matrices(network)}
    names = ("0.weight", "5.weight", "7.weight", "8.weight")  # 2 is depthwise, 9 the last
    assert found == {(network.parameter_slices[n].start, network.parameter_shapes[n][0]) for n in names}


@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_moves_matrices_as_pytorchs_does(nesterov: bool) -> None:
    """Alike within 5% of a step's norm, which another scale is not: PyTorch's iterates in bfloat16, of 8 bits."""
    shapes = [(16, 72), (40, 9), (12, 108), (24, 16)]
    rng = np.random.default_rng(1)
    theirs = [nn.Parameter(torch.from_numpy(rng.normal(0, 0.1, shape).astype(np.float32))) for shape in shapes]
    ours, ends = np.concatenate([p.detach().numpy().ravel() for p in theirs]), np.cumsum([0, *map(np.prod, shapes)])
    matrices = [Matrix(slice(ends[n], ends[n + 1]), shape[0]) for n, shape in enumerate(shapes)]
    muon = Muon(kind="muon", momentum=0.8, nesterov=nesterov)
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.3, momentum=0.8, nesterov=nesterov)
    velocity, decay = np.zeros_like(ours), np.full_like(ours, 0.3)
    for step in range(4):
        before = ours.copy()
        for p in theirs:
            p.grad = torch.from_numpy(rng.normal(0, 1e-3, p.shape).astype(np.float32))
        gradients = np.concatenate([p.grad.numpy().ravel() for p in theirs if p.grad is not None])
        reference.step()  # type: ignore[no-untyped-call]
        state = {"velocity": velocity}
        update(muon, ours, gradients=gradients, state=state, decay=decay, matrices=matrices, lr=0.02, step=step)
        for matrix, p in zip(matrices, theirs, strict=True):
            expected = p.detach().numpy().ravel()
            error = np.linalg.norm(ours[matrix.part] - expected)
            assert error < 0.05 * np.linalg.norm(expected - before[matrix.part])
            ours[matrix.part] = expected


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 150), st.integers(-8, 8), st.integers(0, 2**32 - 1))
def test_orthogonal_is_a_polynomial_of_singular_values(n_rows: int, n_columns: int, exponent: int, seed: int) -> None:
    """In numpy and in torch, for matrices of any size of numbers."""
    matrix = np.random.default_rng(seed).normal(0, 10.0**exponent, (n_rows, n_columns)).astype(np.float32)
    expected = by_values(torch.from_numpy(matrix).double()).numpy()
    in_torch = orthogonal(torch.from_numpy(matrix), n_steps=5).numpy()
    for found in (orthogonal(matrix, n_steps=5), in_torch):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=2e-5)
    values = np.linalg.svd(in_torch, compute_uv=False)
    assert values.max() < 1.21


def test_orthogonal_leaves_nothing_where_nothing_is() -> None:
    matrix = np.zeros((3, 5), np.float32)
    assert (orthogonal(matrix, n_steps=5) == 0).all()
    matrix[1] = 2.0
    assert np.linalg.matrix_rank(orthogonal(matrix, n_steps=5)) == 1


def last(progress: Iterator[Progress]) -> Progress:
    *_, end = progress
    return end


def same(a: Progress, b: Progress) -> bool:
    """Bit for bit the same state, and the same epochs but for their times."""
    assert a.arrays is not None
    assert b.arrays is not None
    times = {"train_s": 0.0, "evaluate_s": 0.0}
    epochs = [[epoch.model_copy(update=times) for epoch in progress.epochs] for progress in (a, b)]
    arrays = all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays | b.arrays)
    return arrays and epochs[0] == epochs[1] and a.wrong_images == b.wrong_images


BUSY = {  # all that a training may do, on a network that takes a moment
    "network": ["conv 4 3x3 stride 2", "conv 6 3x3", "maxpool 2", "conv 8 3x3 pad 1", "gap", "linear 10"],
    "dropout": 0.1,
    "augment": {"rotation_deg": 10.0, "elastic_px": 0.5, "cutout_px": 4},
    "weight_decay": 1e-4,
    "epochs": 3,
    "batch_size": 64,
    "schedule": {"kind": "plateau", "patience": 0},
    "clean_epochs": 1,
    "average": {"horizon_epochs": 0.5, "every_steps": 3},
}


def test_the_same_seed_repeats_and_another_differs(engine: Engine, few: data.Splits) -> None:
    recipe = recipe_of("lighter", **BUSY)
    first, again, other = (last(train(engine, recipe, splits=few, seed=s, resume=Progress())) for s in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"optimizer": {"kind": "muon"}, "recalibrate_images": 200},
        {"sharpness_aware": {"radius": 0.1}},
        {"average": None, "recalibrate_images": 200},
    ],
    ids=["busy", "muon and recalibrated", "sharpness-aware", "recalibrated without average"],
)
def test_a_resumed_training_ends_as_an_undisturbed_one(
    engine: Engine, fields: dict[str, Any], few: data.Splits
) -> None:
    recipe = recipe_of("lighter", **BUSY | fields)
    steps = list(train(engine, recipe, splits=few, seed=3, resume=Progress()))
    for step in steps[:-1]:
        resumed = last(train(engine, recipe, splits=few, seed=3, resume=step))
        assert same(resumed, steps[-1])
        assert resumed.n_resumed == 0, "who interrupts counts"


@pytest.mark.parametrize("network", ["lighter", "all layers"])
def test_sharpness_aware_gradients_are_those_of_weights_up_the_gradient(
    engine: Engine, network: str, few: data.Splits
) -> None:
    """Against the definition (Foret et al. 2021, equations 2 and 3) in float64; all else is as after the first pass."""
    pair = Pair(engine, recipe_of(network, sharpness_aware={"radius": 0.02}), few)
    indices = np.arange(64)
    parameters = list(pair.oracle.parameters())
    first_loss = pair.oracle_loss(indices)
    first = torch.autograd.grad(first_loss, parameters)
    norm = torch.cat([each.reshape(-1) for each in first]).norm()
    with torch.no_grad():
        for parameter, gradient in zip(parameters, first, strict=True):
            parameter.add_(0.02 * gradient / norm)
    expected = torch.autograd.grad(pair.oracle_loss(indices), parameters)
    assert not torch.allclose(expected[0], first[0], rtol=1e-2)

    alone = Pair(engine, recipe_of(network), few).model
    alone.begin_epoch(dropout_seed=0)
    alone.learn(indices, None)
    training = Training(engine, pair.network, pair.recipe, splits=few, seed=1)
    training.model = pair.model
    pair.model.begin_epoch(dropout_seed=0)
    training.learn(indices, None)
    pair.compare(pair.model.to_numpy(pair.model.gradients), list(expected), tolerance=2e-3)
    assert np.array_equal(pair.model.to_numpy(pair.model.parameters), alone.to_numpy(alone.parameters))
    for name, moved in alone.statistics().items():
        assert np.array_equal(pair.model.statistics()[name], moved)
    assert pair.model.tally() == alone.tally()


def teacher_weights(engine: Engine, recipe: Recipe, splits: data.Splits, *, seed: int = 9) -> Arrays:
    """Some weights of a recipe's teacher, not trained. Skips a teacher that the engine lacks."""
    assert recipe.teacher is not None
    network = recipe.teacher.network_for(splits.image)
    require_in_engine(engine, network)
    arrays = initial_arrays(network, seed)
    rng = np.random.default_rng(3)
    moved = {name: array + rng.uniform(0, 0.2, array.shape).astype(np.float32) for name, array in arrays.items()}
    return weights(network, moved)


TAUGHT: dict[str, object] = {
    "distill": {"network": list(NETWORKS["all layers"]), "share": 0.7},
    "loss": {"label_smoothing": 0.1},
}


@pytest.mark.parametrize("n_teachers", [1, 3])
def test_a_student_learns_its_teachers_answers_to_the_same_distorted_images(
    engine: Engine, few: data.Splits, n_teachers: int
) -> None:
    settings = Augment(rotation_deg=25, shift_px=3, elastic_px=0.5)
    fields = {"batch_size": 50, "augment": settings.model_dump()}
    recipe = recipe_of("lighter", **TAUGHT, **fields)
    assert recipe.teacher == recipe_of("all layers", loss={"label_smoothing": 0.1}, **fields)
    known = [teacher_weights(engine, recipe, few, seed=seed) for seed in range(n_teachers)]
    teachers = Teachers(engine, recipe, known, splits=few)
    indices = np.random.default_rng(0).permutation(1000)[:50]
    warps = augment.draw_warps(settings, 50, size=28, rng=lambda purpose: generator(1, 0, purpose=purpose))
    targets = teachers.targets(indices, warps)

    x = augment.warp(few.train.images[indices], warps).astype(np.float64) / 255
    x = (x - few.pixel_mean[:, None, None]) / few.pixel_std[:, None, None]
    network = recipe.teacher.network_for(few.image)
    answers = [torch.from_numpy(trace(network, each, x=x).logits) for each in known]
    soft = torch.stack([F.softmax(logits, 1) for logits in answers]).mean(0).numpy()
    hard = 0.9 * np.eye(10)[few.train.labels[indices]] + 0.01
    np.testing.assert_allclose(targets, 0.7 * soft + 0.3 * hard, atol=2e-3)

    pair = Pair(engine, recipe, few)
    pair.model.begin_epoch(dropout_seed=0)
    pair.model.learn(indices, None, targets)
    loss = F.cross_entropy(pair.oracle(pair.images[indices]), torch.from_numpy(targets).double())
    expected = torch.autograd.grad(loss, list(pair.oracle.parameters()))
    pair.compare(pair.model.to_numpy(pair.model.gradients), list(expected), tolerance=1e-4)
    assert pair.model.tally()[0] / 50 == pytest.approx(loss.item(), rel=1e-5)


def test_a_resumed_student_ends_as_an_undisturbed_one(engine: Engine, few: data.Splits) -> None:
    recipe = recipe_of("lighter", **BUSY, **TAUGHT, recalibrate_images=128)
    teachers = [teacher_weights(engine, recipe, few, seed=seed) for seed in (9, 10)]
    steps = list(train(engine, recipe, splits=few, seed=3, resume=Progress(), teachers=teachers))
    resumed = last(train(engine, recipe, splits=few, seed=3, resume=steps[0], teachers=teachers))
    assert same(resumed, steps[-1])
    untaught = last(train(engine, recipe_of("lighter", **BUSY), splits=few, seed=3, resume=Progress()))
    assert not same(untaught, steps[-1])


def test_what_is_evaluated_and_kept_is_the_moving_average(engine: Engine, few: data.Splits) -> None:
    """Against the definition, over the weights after every step: those of k looks ago count decay ** k."""
    recipe = recipe_of("lighter", average={"horizon_epochs": 0.5, "every_steps": 2}, batch_size=100)
    network = recipe.network_for(few.image)
    training = Training(engine, network, recipe, splits=few, seed=1)
    training.set_arrays(initial_arrays(network, 1))
    seen: list[dict[str, NDArray[np.float64]]] = []
    learn = training.model.learn

    def learn_and_look(
        indices: NDArray[np.int64],
        warps: Warps | None,
        targets: NDArray[np.float32] | None = None,
        *,
        counted: bool = True,
    ) -> None:
        if number := len(seen_steps):
            look(number - 1)
        seen_steps.append(len(indices))
        learn(indices, warps, targets, counted=counted)

    def look(step: int) -> None:
        arrays = training.arrays()
        names = ["parameters", *(name for name in arrays if name.startswith(STATISTIC))]
        named = {name: arrays[name].astype(np.float64) for name in names}
        if (step + 1) % 2 == 0:
            seen.append(named)

    seen_steps: list[int] = []
    training.model.learn = learn_and_look  # type: ignore[method-assign]
    training.epoch(0, [])
    look(len(seen_steps) - 1)
    assert len(seen) == 5
    decay = np.exp(-2 / (0.5 * 10))
    shares = np.array([decay**k for k in range(5)][::-1])
    shares /= shares.sum()
    expected = {name: sum(s * each[name] for s, each in zip(shares, seen, strict=True)) for name in seen[0]}
    kept = weights(network, training.arrays())
    flat = np.concatenate([kept[name].ravel() for name in network.parameter_shapes])
    np.testing.assert_allclose(flat, expected["parameters"], rtol=1e-4, atol=1e-6)
    for name in network.statistic_shapes:
        np.testing.assert_allclose(kept[name], expected[STATISTIC + name], rtol=1e-4, atol=1e-6)
    plain = training.model.logits(few.evaluated)
    averaged = training.logits()
    assert not np.array_equal(plain, averaged)
    assert np.array_equal(plain, training.model.logits(few.evaluated)), "the training goes on where it was"
    training.model.parameters[:] = training.model.to_array(flat)
    training.model.set_statistics({name: kept[name] for name in network.statistic_shapes})
    np.testing.assert_allclose(training.model.logits(few.evaluated), averaged, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("average", [None, {"horizon_epochs": 0.5, "every_steps": 2}], ids=["last", "average"])
def test_recalibrated_statistics_are_those_of_the_evaluated_weights(
    engine: Engine, average: dict[str, float] | None, few: data.Splits
) -> None:
    """Against torch's cumulative average over the same batches, without dropout; the training is not moved by it."""
    fields = {"dropout": 0.2, "augment": {"rotation_deg": 20.0}, "average": average, "batch_size": 64}
    recipe = recipe_of("all layers", **fields, block="conv relu norm dropout", recalibrate_images=300)
    pair = Pair(engine, recipe, few)
    training = Training(engine, pair.network, recipe, splits=few, seed=1)
    training.set_arrays(initial_arrays(pair.network, 1))
    training.epoch(0, [])
    before = training.arrays()
    logits = training.logits()
    arrays = training.arrays()
    assert set(arrays) - set(before) == {f"recalibrated.{name}" for name in pair.network.statistic_shapes}
    assert all(np.array_equal(arrays[name], before[name]) for name in before)

    kept = weights(pair.network, arrays)
    flat = np.concatenate([kept[name].ravel() for name in pair.network.parameter_shapes])
    assert np.array_equal(flat, before["parameters"]) == (average is None)
    nn.utils.vector_to_parameters(torch.from_numpy(flat).double(), pair.oracle.parameters())
    cumulate(pair.oracle)
    order = generator(1, 0, purpose="recalibrate").permutation(1000)
    with torch.no_grad():
        for start in range(0, 300, 64):
            pair.oracle(pair.images[order[start : start + 64]])
        running = [b for name, b in pair.oracle.named_buffers() if "running" in name]
        for name, theirs in zip(pair.network.statistic_shapes, running, strict=True):
            np.testing.assert_allclose(kept[name], theirs.numpy(), rtol=1e-4, atol=1e-5)
        pair.oracle.eval()
        mean, std = few.pixel_mean[:, None, None], few.pixel_std[:, None, None]
        images = torch.from_numpy((few.evaluated.images / 255 - mean) / std)
        np.testing.assert_allclose(logits, pair.oracle(images).numpy(), rtol=1e-3, atol=1e-3)

    model = engine.model(pair.network, recipe, splits=few)
    model.parameters[:] = model.to_array(flat)
    model.set_statistics({name: kept[name] for name in pair.network.statistic_shapes})
    assert np.array_equal(model.logits(few.evaluated), logits), "what is kept is what was evaluated"


def cumulate(oracle: nn.Module) -> None:
    """Batch norm's statistics from here on: the mean of those of all batches."""
    for module in oracle.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None


@pytest.mark.parametrize("engine_name", ["torch", "jit"])
@settings(max_examples=10, deadline=None)
@given(st.floats(0, 1), st.integers(0, 2**32 - 1))
@example(1.0, 443168)  # a mean 3 away, where the variance is 0.006
def test_recalibration_forgets_the_statistics_of_the_training(
    recalibrations: dict[str, tuple[Recalibration, Model, Arrays]], engine_name: str, spread: float, seed: int
) -> None:
    recalibration, model, expected = recalibrations[engine_name]
    rng = np.random.default_rng(seed)
    start = {name: rng.normal(1, spread, a.shape).astype(np.float32) for name, a in expected.items()}
    model.set_statistics(start)
    tolerance = 1e-3 + (digits_lost(start, expected) if engine_name == "jit" else 0.0)
    for name, found in recalibration.statistics(model).items():
        np.testing.assert_allclose(found, expected[name], rtol=tolerance, atol=1e-5)


def digits_lost(start: Arrays, expected: Arrays) -> float:
    """What float32 loses, relative to a variance, where the JIT sums squares about a mean that it starts from far away.

    A network hands it on from layer to layer.
    """
    means = [name for name in expected if name.endswith("running_mean")]
    far = [(start[each] - expected[each]) ** 2 / expected[each.replace("_mean", "_var")] for each in means]
    return 4e-6 * max(float(each.max()) for each in far)


@pytest.fixture(scope="module")
def recalibrations(few: data.Splits) -> dict[str, tuple[Recalibration, Model, Arrays]]:
    """By engine: a recalibration, a model at its start and the statistics that fit it."""
    recipe = recipe_of("lighter", recalibrate_images=500, batch_size=100)
    network = recipe.network_for(few.image)
    made = {}
    for name in ("torch", "jit"):
        engine, _ = choose_engine(name, device="cpu")
        model = engine.model(network, recipe, splits=few)
        arrays = initial_arrays(network, 1)
        model.parameters[:] = model.to_array(arrays["parameters"])
        model.set_statistics({each: arrays[STATISTIC + each] for each in network.statistic_shapes})
        recalibration = Recalibration(engine, network, recipe, splits=few, seed=1)
        made[name] = (recalibration, model, recalibration.statistics(model))
    return made


def test_recalibration_leaves_the_training_as_it_is(engine: Engine, few: data.Splits) -> None:
    plain, other = (
        last(train(engine, recipe_of("lighter", **BUSY | fields), splits=few, seed=1, resume=Progress()))
        for fields in ({}, {"recalibrate_images": 200})
    )
    assert plain.arrays is not None
    assert other.arrays is not None
    assert all(np.array_equal(plain.arrays[name], other.arrays[name]) for name in plain.arrays)
    for a, b in zip(plain.epochs, other.epochs, strict=True):
        assert (a.train_loss, a.n_train_correct) == (b.train_loss, b.n_train_correct)
        assert a.loss != b.loss


@pytest.mark.parametrize(
    ("batch_size", "images", "shape"),
    [(64, 300, (5, 64)), (64, 320, (5, 64)), (64, 1, (1, 64)), (64, 5000, (15, 64)), (5000, 10, (1, 1000))],
)
def test_recalibration_takes_whole_batches(
    batch_size: int, images: int, shape: tuple[int, int], few: data.Splits
) -> None:
    recipe = recipe_of("lighter", batch_size=batch_size, recalibrate_images=images)
    engine, _ = choose_engine("torch", device="cpu")
    network = recipe.network_for(few.image)
    one, again, other = (Recalibration(engine, network, recipe, splits=few, seed=n).batches for n in (1, 1, 2))
    assert one.shape == shape
    assert len(set(one.ravel())) == one.size
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_last_clean_epochs_see_images_as_they_are(engine: Engine, few: data.Splits) -> None:
    """Train accuracy is counted on what is trained on: a distortion that ruins digits leaves it to clean epochs."""
    ruin = {"augment": {"shift_px": 30.0}, "epochs": 4, "lr": 0.03, "clean_epochs": 2}
    epochs = last(train(engine, recipe_of("lighter", **ruin), splits=few, seed=1, resume=Progress())).epochs
    shares = [epoch.n_train_correct / epoch.n_train for epoch in epochs]
    assert max(shares[:2]) < 0.3 < min(shares[3:])


def test_the_last_partial_batch_is_kept(engine: Engine, few: data.Splits) -> None:
    end = last(train(engine, recipe_of("lighter", batch_size=300), splits=few, seed=1, resume=Progress()))
    assert end.epochs[-1].n_train == 1000
    model = engine.model(recipe_of("lighter").network_for(few.image), recipe_of("lighter"), splits=few)
    model.begin_epoch(dropout_seed=0)
    model.learn(np.arange(950, 1000), None)
    assert model.tally()[1] <= 50


@pytest.mark.parametrize("recalibrate_images", [0, 100])
def test_a_diverged_training_says_so_and_has_no_accuracy(
    engine: Engine, recalibrate_images: int, few: data.Splits
) -> None:
    recipe = recipe_of("lighter", lr=1e30, epochs=4, recalibrate_images=recalibrate_images)
    end = last(train(engine, recipe, splits=few, seed=1, resume=Progress()))
    assert end.diverged_at_epoch is not None
    assert len(end.epochs) == end.diverged_at_epoch - 1 < 4
    assert end.is_finished(recipe)
    assert end.wrong_images == ()


@pytest.mark.parametrize("engine", ["jit", pytest.param("torch", marks=pytest.mark.evidence)], indirect=True)
def test_one_epoch_of_the_real_mnist(engine: Engine, splits: data.Splits) -> None:
    """The objective's own first epoch of this network: 92.66 in training, 98.65 on test."""
    epoch = first_epoch(engine, splits)
    assert epoch.n_correct > 9750
    assert 0.90 < epoch.n_train_correct / epoch.n_train < 0.95


@pytest.mark.parametrize("engine", ["torch"], indirect=True)
def test_one_epoch_of_a_tenth_of_mnist(engine: Engine, splits: data.Splits) -> None:
    epoch = first_epoch(engine, data.Splits(splits.train[:6000], splits.evaluated[:1000], splits.image))
    assert epoch.n_correct > 750
    assert 0.45 < epoch.n_train_correct / epoch.n_train < 0.65


def first_epoch(engine: Engine, splits: data.Splits) -> Epoch:
    """What is counted is counted of all images, and adds up."""
    end, n = last(train(engine, recipe_of("lighter"), splits=splits, seed=1, resume=Progress())), len(splits.evaluated)
    epoch = end.epochs[0]
    assert sum(map(sum, epoch.confusion)) == n
    assert sum(epoch.confusion[k][k] for k in range(10)) == epoch.n_correct == n - len(end.wrong_images)
    for wrong in end.wrong_images:
        assert splits.evaluated.labels[wrong.index] == wrong.label != wrong.predicted
    return epoch


def test_judge_counts_as_torch_does() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (200, 7)).astype(np.float32), rng.integers(0, 7, 200)
    n_correct, loss, confusion, wrong = judge(logits, labels)
    theirs = torch.from_numpy(logits)
    assert n_correct == int((theirs.argmax(1).numpy() == labels).sum())
    assert loss == pytest.approx(F.cross_entropy(theirs.double(), torch.from_numpy(labels)).item())
    assert sum(map(sum, confusion)) == 200
    assert all(confusion[w.label][w.predicted] > 0 for w in wrong)
    shares = theirs.double().softmax(1).max(1).values.numpy()
    assert [w.probability for w in wrong] == pytest.approx([shares[w.index] for w in wrong])


def test_initial_weights_are_pytorchs_default(few: data.Splits) -> None:
    network = recipe_of("all layers").network_for(few.image)
    named = weights(network, initial_arrays(network, 1))
    assert {name: array.shape for name, array in named.items()} == network.parameter_shapes | network.statistic_shapes
    torch.manual_seed(0)
    theirs = nn.Conv2d(8, 500, 4).weight.detach().abs()
    bound = float(theirs.max())
    ours = np.abs(named["7.weight"])  # conv 5 4x4 on 8 channels
    assert 0.95 * bound < ours.max() <= 1.001 * bound
    assert ours.std() == pytest.approx(float(theirs.std()), rel=0.1)
    assert (named["2.norm.weight"] == 1).all()
    assert (named["2.norm.running_mean"] == 0).all()
    for part, fan_in in (("reduce", 6), ("expand", 3)):  # squeeze-excite 3 on 6 channels
        for kind in ("weight", "bias"):
            numbers = np.abs(named[f"1.{part}.{kind}"])
            assert 0.3 * fan_in**-0.5 < numbers.max() <= fan_in**-0.5


def test_dropout_keeps_the_mean_and_the_share() -> None:
    x = torch.ones(110, 10, 10, 10)
    y = dropout(x, 0.3, drawn=bits_for(x, seed=1))
    assert (y == 0).double().mean().item() == pytest.approx(0.3, abs=0.005)
    assert y.double().mean().item() == pytest.approx(1, abs=0.01)
    assert torch.equal(y, dropout(x, 0.3, drawn=bits_for(x, seed=1)))
    assert not torch.equal(y, dropout(x, 0.3, drawn=bits_for(x, seed=2)))


def bits_for(x: torch.Tensor, *, seed: int) -> torch.Tensor:
    """What is drawn for the dropout of a batch (N, 10, 10, 10)."""
    network = recipe_of("all layers", network=["conv 10 1x1 block conv dropout", "linear 10"]).network_for(
        ImageShape(1, 10, 10)
    )
    bits = Bits(network, n_seeds=1, device=x.device)
    bits.seed([seed])
    bits.draw(len(x))
    return bits.next_for(x)


@pytest.mark.parametrize(("elastic_px", "cutout_px"), [(0.0, 0), (1.5, 0), (0.0, 7), (0.7, 4)])
@pytest.mark.parametrize("size", [28, (28, 11), (9, 20), (1, 28), (28, 1)], ids=str)
def test_warp_equals_the_reference(few: data.Splits, size: Sides, elastic_px: float, cutout_px: int) -> None:
    height, width = pair(size)
    images = few.train.images[:40, :, 28 - height :, 14 - width // 2 :][:, :, :, :width]
    settings = Augment(rotation_deg=25, shift_px=3, scale=0.2, shear_deg=15, elastic_px=elastic_px, cutout_px=cutout_px)
    warps = augment.draw_warps(settings, 40, size=size, rng=lambda purpose: generator(1, 0, purpose=purpose))
    ours = warp(torch.from_numpy(images.copy()).float(), warps).numpy()
    np.testing.assert_allclose(ours, augment.warp(images, warps), atol=0.05)  # of 255


def test_the_set_lives_on_the_device_as_bytes(few: data.Splits) -> None:
    engine, reason = choose_engine("torch", device="cpu")
    assert "asked for" in reason
    model = engine.model(recipe_of("lighter").network_for(few.image), recipe_of("lighter"), splits=few)
    assert isinstance(model, TorchModel)
    assert model.images.dtype == torch.uint8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_what_a_cpu_learns(few: data.Splits) -> None:
    recipe = recipe_of("lighter", epochs=2)
    cpu, gpu = (
        last(train(choose_engine("torch", device=d)[0], recipe, splits=few, seed=1, resume=Progress()))
        for d in ("cpu", "cuda")
    )
    assert abs(cpu.epochs[-1].n_correct - gpu.epochs[-1].n_correct) < 15


@pytest.mark.parametrize(
    ("engine_name", "device", "message"),
    [
        ("tensorflow", "cpu", "no engine 'tensorflow'"),
        ("torhc", "cpu", "did you mean 'torch'"),
        ("torch", "tpu", "tpu"),
    ],
)
def test_unknown_engines_and_devices_are_refused(engine_name: str, device: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        choose_engine(engine_name, device=device)


def test_the_state_names_its_statistics(few: data.Splits) -> None:
    network = recipe_of("lighter").network_for(few.image)
    state = initial_arrays(network, 1)
    assert {name.removeprefix(STATISTIC) for name in state if name.startswith(STATISTIC)} == set(
        network.statistic_shapes
    )


def test_images_chosen_by_rows_train_as_copies_of_them_do(engine: Engine, few: data.Splits) -> None:
    rows = np.flatnonzero(np.arange(1000) % 6)
    chosen, others = few.train.chosen(rows), few.train.chosen(np.flatnonzero(np.arange(1000) % 6 == 0))
    assert chosen.rows is not None
    copied = Labelled(chosen.images.copy(), chosen.labels)
    recipe = recipe_of("lighter", epochs=1, augment={"rotation_deg": 10.0})
    found = [
        last(train(engine, recipe, splits=data.Splits(part, seen, few.image), seed=1, resume=Progress()))
        for part, seen in ((chosen, others), (copied, Labelled(others.images.copy(), others.labels)))
    ]
    assert same(*found)
