"""What a loop relies on in whoever trains."""

from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from stepladder.datasets.data import Splits
from stepladder.engines import Engine, Model, Together, choose_engine
from stepladder.engines.together import train_together
from stepladder.engines.training import train
from stepladder.errors import EngineError
from stepladder.networks.geometry import Network
from stepladder.networks.ops.batch_norm import NORM_MOMENTUM
from stepladder.networks.reference import normalised, trace
from stepladder.networks.sides import area
from stepladder.recipes import augment
from stepladder.recipes.draws import generator
from stepladder.recipes.recipe import Augment, Recipe
from stepladder.runs.arrays import PARAMETERS
from stepladder.runs.run import Progress
from stepladder.runs.soundness import against_engine
from stepladder.testing import made

BATCH, PART_OF_A_BATCH = 16, 11
CLOSE = 1e-3  # of the largest number beside it: float32, added up in any order
DROPOUT, N_DROPPING = 0.25, 200  # batches

EVERY_NETWORK = pytest.mark.parametrize("layers", made.NETWORKS.values(), ids=made.NETWORKS)


SOME: dict[str, object] = {"augment": {"rotation_deg": 20.0}, "loss": {"label_smoothing": 0.1}}


def of_fields(layers: tuple[str, ...], **fields: object) -> Recipe:
    return Recipe.model_validate({"network": layers, "epochs": 1, "batch_size": BATCH, **fields})


class EngineConformance:
    """Tests that an engine passes. Derive from it, name the class Test..., and give ``make_engine``.

    ``layers`` and ``block`` are what the tests train that are about no operation in particular: put others there if the
    engine lacks one of these.
    """

    layers: ClassVar[tuple[str, ...]] = ("conv 6 stride 2", "conv 8", "gap", "linear 10")
    block: ClassVar[str] = "conv relu norm dropout"

    def make_engine(self) -> Engine:
        """A new one."""
        raise NotImplementedError("give make_engine, which returns the engine that is tested")

    @pytest.fixture
    def engine(self) -> Engine:
        return self.make_engine()

    @pytest.fixture
    def splits(self) -> Splits:
        return made.splits()

    def recipe(self, **fields: object) -> Recipe:
        return of_fields(self.layers, block=self.block, **fields)

    def test_it_says_what_it_is(self, engine: Engine) -> None:
        assert [*against_engine(engine.identity)] == []
        assert all(isinstance(each, str) for pair in engine.versions.items() for each in pair)
        assert all(isinstance(note, str) for note in engine.notes)
        assert engine.has_sound_code()
        assert self.make_engine().identity == engine.identity

    def test_it_is_found_by_its_name(self, engine: Engine) -> None:
        """As a process that trains finds it."""
        found, _ = choose_engine(engine.identity.name, device=engine.identity.device)
        assert found.identity == engine.identity

    def test_it_can_train_what_these_tests_train(self, engine: Engine) -> None:
        assert engine.lacks(self.recipe().network_for(made.IMAGE)) == [], "put other layers into self.layers"

    @EVERY_NETWORK
    def test_what_it_lacks_is_refused_in_words(self, engine: Engine, layers: tuple[str, ...], splits: Splits) -> None:
        recipe = of_fields(layers)
        lacks = engine.lacks(recipe.network_for(made.IMAGE))
        if not lacks:
            return
        assert all("layer" in each for each in lacks)
        with pytest.raises(EngineError, match="has no code for"):
            next(train(engine, recipe, splits=splits, seed=1, resume=Progress()))

    @EVERY_NETWORK
    def test_answers_are_those_of_the_reference(self, engine: Engine, layers: tuple[str, ...], splits: Splits) -> None:
        """To images that it was given to evaluate, to training images, and to training images that are warped."""
        model, network, weights = begun(engine, of_fields(layers, **SOME), splits)
        images = splits.evaluated.images
        some = np.random.default_rng(5).permutation(made.N_TRAIN)[:PART_OF_A_BATCH]
        assert model.logits(splits.evaluated).dtype == model.answers(some, None).dtype == np.float32
        close(model.logits(splits.evaluated), trace(network, weights, x=as_doubles(images, splits)).logits)
        chosen = splits.train.images[some]
        close(model.answers(some, None), trace(network, weights, x=as_doubles(chosen, splits)).logits)
        turns = augment.draw_warps(
            Augment(rotation_deg=20.0),
            len(some),
            size=made.IMAGE.size,
            rng=lambda purpose: generator(1, 0, purpose=purpose),
        )
        warped = as_doubles(augment.warp(chosen, turns), splits)
        close(model.answers(some, turns), trace(network, weights, x=warped).logits, tolerance=1e-2)

    @EVERY_NETWORK
    @pytest.mark.parametrize("n", [BATCH, PART_OF_A_BATCH])
    def test_gradients_are_those_by_differences(
        self, engine: Engine, layers: tuple[str, ...], n: int, splits: Splits
    ) -> None:
        """Of the mean loss with label smoothing, for whole batches and others; the tally tells of the same loss."""
        model, network, weights = begun(engine, of_fields(layers, **SOME), splits)
        indices = np.random.default_rng(2).permutation(made.N_TRAIN)[:n]
        targets = made.smoothed(splits.train.labels[indices], 0.1)
        model.learn(indices, None)
        require_gradients(model, network, weights, images=splits.train.images[indices], targets=targets, splits=splits)
        logits, _ = made.in_training(network, weights, as_doubles(splits.train.images[indices], splits))
        loss_sum, n_correct = model.tally()
        assert loss_sum / n == pytest.approx(made.mean_loss(logits, targets), rel=CLOSE)
        assert n_correct == (logits.argmax(1) == splits.train.labels[indices]).sum()

    def test_probabilities_are_learned_instead_of_labels(self, engine: Engine, splits: Splits) -> None:
        recipe = self.recipe(distill={"network": ["gap", "linear 10"]})
        model, network, weights = begun(engine, recipe, splits)
        indices = np.arange(BATCH)
        targets = np.random.default_rng(4).dirichlet(np.ones(10), BATCH).astype(np.float32)
        model.learn(indices, None, targets)
        images = splits.train.images[indices]
        require_gradients(model, network, weights, images=images, targets=targets.astype(np.float64), splits=splits)

    def test_statistics_move_towards_those_of_the_batch(self, engine: Engine, splits: Splits) -> None:
        """By a tenth, to the variance of what the batch is a sample of; see ops.batch_norm."""
        model, network, weights = begun(engine, self.recipe(), splits)
        indices = np.arange(PART_OF_A_BATCH)
        model.learn(indices, None)
        _, seen = made.in_training(network, weights, as_doubles(splits.train.images[indices], splits))
        assert model.statistics().keys() == network.statistic_shapes.keys()
        for name, found in model.statistics().items():
            row = network.rows[int(name.partition(".")[0])]
            n = PART_OF_A_BATCH * area(row.out_size)
            batch = seen[name] * n / (n - 1) if name.endswith("var") else seen[name]
            close(found, (1 - NORM_MOMENTUM) * weights[name] + NORM_MOMENTUM * batch)

    def test_what_is_not_counted_leaves_the_tally(self, engine: Engine, splits: Splits) -> None:
        model, _, _ = begun(engine, self.recipe(), splits)
        model.learn(np.arange(BATCH), None)
        before = model.tally()
        model.learn(np.arange(BATCH, 2 * BATCH), None, counted=False)
        assert model.tally() == before
        model.begin_epoch(dropout_seed=1)
        assert model.tally() == (0.0, 0)

    def test_evaluating_changes_nothing(self, engine: Engine, splits: Splits) -> None:
        """Not what is learned next, dropout's draws included."""
        models = [begun(engine, self.recipe(dropout=DROPOUT), splits)[0] for _ in range(2)]
        for model, looks in zip(models, (False, True), strict=True):
            model.learn(np.arange(BATCH), None)
            if looks:
                model.logits(splits.evaluated)
                model.answers(np.arange(3), None)
            model.learn(np.arange(BATCH, 2 * BATCH), None)
        plain, looked = models
        assert np.array_equal(plain.to_numpy(plain.gradients), looked.to_numpy(looked.gradients))
        assert plain.tally() == looked.tally()
        for name, array in plain.statistics().items():
            assert np.array_equal(array, looked.statistics()[name])

    def test_arrays_are_handed_over_as_copies(self, engine: Engine, splits: Splits) -> None:
        model, network, _ = begun(engine, self.recipe(), splits)
        copy, statistics = model.to_numpy(model.parameters), model.statistics()
        assert copy.shape == (network.params,)
        assert copy.dtype == np.float32
        assert np.array_equal(model.to_numpy(model.to_array(copy)), copy)
        kept = copy.copy(), {name: array.copy() for name, array in statistics.items()}
        model.parameters += model.to_array(np.ones_like(copy))
        model.learn(np.arange(BATCH), None)
        assert np.array_equal(copy, kept[0])
        assert all(np.array_equal(array, kept[1][name]) for name, array in statistics.items())

    def test_models_share_nothing(self, engine: Engine, splits: Splits) -> None:
        """A student and its teachers are there at once."""
        first, _, _ = begun(engine, self.recipe(), splits)
        first.learn(np.arange(BATCH), None)
        before = seen_of(first, splits)
        second, _, _ = begun(engine, self.recipe(), splits)
        second.parameters *= 0.5
        second.learn(np.arange(BATCH, 2 * BATCH), None)
        assert not any(map(np.array_equal, before, seen_of(second, splits)))
        assert all(map(np.array_equal, before, seen_of(first, splits)))

    def test_in_place_arithmetic_changes_the_network(self, engine: Engine, splits: Splits) -> None:
        model, _, _ = begun(engine, self.recipe(), splits)
        before = model.logits(splits.evaluated)
        model.parameters *= 0.5
        assert not np.array_equal(model.logits(splits.evaluated), before)

    def test_dropout_keeps_the_mean(self, engine: Engine, splits: Splits) -> None:
        """With all parameters 0, the gradient by the last bias is that of a known answer times what is kept."""
        recipe = of_fields(("gap", "linear 10 block linear dropout"), dropout=DROPOUT)
        if engine.lacks(recipe.network_for(made.IMAGE)):
            pytest.skip("the engine has no dropout, or none there")
        model, network, _ = begun(engine, recipe, splits)
        model.parameters *= 0.0
        indices = np.arange(BATCH) % made.IMAGE.n_classes * made.IMAGE.n_classes % made.N_TRAIN
        assert set(splits.train.labels[indices]) == {0}
        whole = np.full(made.IMAGE.n_classes, 0.1) - np.eye(made.IMAGE.n_classes)[0]
        kept = []
        for seed in range(N_DROPPING):
            model.begin_epoch(dropout_seed=seed)
            model.learn(indices, None)
            kept.append(model.to_numpy(model.gradients)[network.parameter_slices["1.bias"]] / whole)
        spread = DROPOUT / (1 - DROPOUT) / BATCH  # the variance of a mean of BATCH
        assert np.mean(kept) == pytest.approx(1, abs=5 * (spread / np.size(kept)) ** 0.5)
        assert np.var(kept) == pytest.approx(spread, rel=0.2)

    def test_the_same_seed_gives_the_same_bits(self, engine: Engine, splits: Splits) -> None:
        first, again, anew = (
            trained(each, self.busy(), splits, seed=1) for each in (engine, engine, self.make_engine().without_cache())
        )
        assert same(first, again)
        assert same(first, anew)
        assert not same(first, trained(engine, self.busy(), splits, seed=2))

    def test_going_on_from_an_epoch_ends_as_if_never_stopped(self, engine: Engine, splits: Splits) -> None:
        whole = list(train(engine, self.busy(), splits=splits, seed=3, resume=Progress()))
        for step in whole[:-1]:
            assert same(list(train(self.make_engine(), self.busy(), splits=splits, seed=3, resume=step))[-1], whole[-1])

    def test_seeds_at_once_are_the_same_seeds_one_by_one(self, engine: Engine, splits: Splits) -> None:
        """Of an engine that trains several at once: the same draws, and numbers but for rounding."""
        if not isinstance(engine, Together):
            return
        recipe, seeds = self.busy().model_copy(update={"epochs": 1}), (1, 2, 5)
        *_, ends = train_together(engine, recipe, splits=splits, seeds=seeds, resume=[Progress()] * len(seeds))
        for seed, end in zip(seeds, ends, strict=True):
            alone = trained(engine, recipe, splits, seed=seed)
            assert end.arrays is not None
            assert alone.arrays is not None
            assert end.epochs[0].train_loss == pytest.approx(alone.epochs[0].train_loss, rel=CLOSE)
            for name, array in alone.arrays.items():
                close(end.arrays[name], array, tolerance=1e-2)

    def test_it_learns(self, engine: Engine, splits: Splits) -> None:
        epochs = trained(engine, self.recipe(epochs=30), splits, seed=1).epochs
        assert epochs[-1].train_loss < 0.9 * epochs[0].train_loss

    def test_what_is_no_number_is_seen(self, engine: Engine, splits: Splits) -> None:
        model, network, weights = begun(engine, self.recipe(), splits)
        broken = made.flat(network, weights).astype(np.float32)
        broken[-1] = np.nan
        model.parameters[:] = model.to_array(broken)
        with np.errstate(all="ignore"):
            model.learn(np.arange(BATCH), None)
            assert not np.isfinite(model.tally()[0])
            assert not np.isfinite(model.logits(splits.evaluated)).all()

    def test_a_training_that_diverges_ends_there(self, engine: Engine, splits: Splits) -> None:
        recipe = self.recipe(lr=1e30, epochs=4)
        end = trained(engine, recipe, splits, seed=1)
        assert end.diverged_at_epoch is not None
        assert len(end.epochs) == end.diverged_at_epoch - 1

    def busy(self) -> Recipe:
        """All that a training may do at once."""
        return self.recipe(
            epochs=3,
            dropout=0.1,
            augment={"rotation_deg": 10.0, "elastic_px": 0.5, "cutout_px": 2},
            weight_decay=1e-4,
            clean_epochs=1,
            average={"horizon_epochs": 0.5, "every_steps": 2},
            recalibrate_images=32,
        )


def begun(engine: Engine, recipe: Recipe, splits: Splits) -> tuple[Model, Network, made.Weights]:
    """A model at the beginning of an epoch, its network and its weights. Skips what the engine lacks."""
    network = recipe.network_for(splits.image)
    if lacks := engine.lacks(network):
        pytest.skip(f"the engine has no code for {', '.join(lacks)}")
    weights = made.some_weights(network)
    model = engine.model(network, recipe, splits=splits)
    model.parameters[:] = model.to_array(made.flat(network, weights))
    model.set_statistics({name: weights[name] for name in network.statistic_shapes})
    model.begin_epoch(dropout_seed=1)
    return model, network, {name: array.astype(np.float64) for name, array in weights.items()}


def seen_of(model: Model, splits: Splits) -> list[NDArray[np.floating]]:
    """What can be seen of a model in training."""
    arrays = [model.to_numpy(model.parameters), model.to_numpy(model.gradients), *model.statistics().values()]
    return [*arrays, np.array(model.tally()[0]), model.logits(splits.evaluated)]


def as_doubles(images: NDArray[np.number], splits: Splits) -> made.Doubles:
    """Images (N, C, H, W) of 0 to 255 as a network sees them."""
    mean, std = splits.pixel_mean, splits.pixel_std
    x: made.Doubles = normalised(images, pixel_mean=mean, pixel_std=std, dtype=np.float64)  # type: ignore[arg-type]
    return x


def require_gradients(
    model: Model,
    network: Network,
    weights: made.Weights,
    *,
    images: NDArray[np.uint8],
    targets: made.Doubles,
    splits: Splits,
) -> None:
    """The model's gradients are those of the mean loss of these images and probabilities (N, n_classes)."""
    x, found = as_doubles(images, splits), model.to_numpy(model.gradients)
    assert found.shape == (network.params,)
    assert found.dtype == np.float32
    for name, at, slope in made.slopes(
        network, weights, lambda moved: made.mean_loss(made.in_training(network, moved, x)[0], targets)
    ):
        own = found[network.parameter_slices[name]]
        leeway = CLOSE * max(float(np.abs(own).max()), 1e-2 * float(np.abs(found).max()))
        assert float(own[at]) == pytest.approx(slope, abs=leeway), f"number {at} of {name}"


def close(found: NDArray[np.floating], expected: NDArray[np.floating], *, tolerance: float = CLOSE) -> None:
    """Alike, but for rounding on the scale of all of them."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * float(np.abs(expected).max()))


def trained(engine: Engine, recipe: Recipe, splits: Splits, *, seed: int) -> Progress:
    return list(train(engine, recipe, splits=splits, seed=seed, resume=Progress()))[-1]


def same(a: Progress, b: Progress) -> bool:
    """Bit for bit the same state, and the same epochs but for their times."""
    assert a.arrays is not None
    assert b.arrays is not None
    assert PARAMETERS in a.arrays
    timeless = {"train_s": 0.0, "evaluate_s": 0.0}
    epochs = [[epoch.model_copy(update=timeless) for epoch in each.epochs] for each in (a, b)]
    return (
        epochs[0] == epochs[1]
        and a.wrong_images == b.wrong_images
        and all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays | b.arrays)
    )
