"""The JIT engine on random networks from the vocabulary, for several CPUs, with dropout; its cache of machine code."""

import copy
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from light import CACHED, doubled, doubling, small
from numpy.typing import NDArray
from oracle import CLEAR, NETWORKS, Pair, recipe_of
from random_networks import network_texts
from torch import Tensor

from stepladder.datasets import data
from stepladder.datasets.image_set import Labelled
from stepladder.engines import choose_engine
from stepladder.engines.jit.code import object_cache
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.code.machine_code import MachineCode
from stepladder.engines.jit.code.memory import aligned
from stepladder.engines.jit.code.target import Target, host
from stepladder.engines.jit.engine import JitEngine, JitModel
from stepladder.engines.jit.kernels.pointwise import Dropout, pointwise
from stepladder.engines.training import train
from stepladder.errors import EngineError, GeometryError
from stepladder.networks import sides
from stepladder.networks.geometry import ImageShape
from stepladder.networks.sides import Sides
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import Progress

X86 = platform.machine() in ("x86_64", "AMD64")
HAS_AVX512 = bool(llvm.get_host_cpu_features().get("avx512f"))
TARGETS = {"host": host()}
if X86:
    TARGETS["SSE"] = Target("x86-64-v2", "", width=4, registers=10, gradient_registers=12)
    TARGETS["AVX2"] = Target("x86-64-v3", "", width=8, registers=10, gradient_registers=12)
    # where the CPU has none, LLVM makes do with smaller vectors
    cpu, features = ("x86-64-v4", "") if HAS_AVX512 else (host().cpu, host().features)
    TARGETS["AVX-512"] = Target(cpu, features, width=16, registers=24, gradient_registers=24)


def kept(key: int, shape: tuple[int, ...], probability: float) -> NDArray[np.bool_]:
    """The slow twin of the kernels' dropout: which values of a block (C, H, W, L) are kept."""
    x = np.arange(np.prod(shape), dtype=np.uint32) ^ np.uint32(key)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return (x.view(np.int32) >= min(round(probability * 2**32), 2**32 - 1) - 2**31).reshape(shape)


def masks(model: JitModel, recipe: Recipe, n: int) -> dict[int, Tensor]:
    """What dropout multiplied each layer's values by in the model's last step, as torch has it."""
    keys = model.dropout_keys.reshape(len(model.network.rows), model.n_blocks)
    found = {}
    for row in model.network.rows:
        shape = (row.out_channels, *sides.pair(row.out_size), LANES)
        blocks = np.stack([kept(key, shape, recipe.dropout) for key in keys[row.index]])
        images = blocks.transpose(0, 4, 1, 2, 3).reshape(-1, *shape[:3])[:n]
        found[row.index] = torch.from_numpy(images / (1 - recipe.dropout))
    return found


random_networks = given(
    network_texts(),
    st.sampled_from(list(TARGETS)),
    st.sampled_from([(2, 7), (2, 10), (3, 9), (2, (10, 6)), (1, (4, 10)), (2, (1, 10))]),
    st.sampled_from([32, 48, 27]),
    st.sampled_from([0.0, 0.3]),
    st.booleans(),
)


@random_networks
@settings(deadline=None, max_examples=30)
def test_gradients_of_random_networks_equal_the_oracles(
    network: list[str], target: str, image: tuple[int, Sides], n: int, dropout: float, norm_scale: bool
) -> None:
    gradients_equal_the_oracles(network, target, image, n=n, dropout=dropout, norm_scale=norm_scale)


@pytest.mark.evidence
@random_networks
@settings(deadline=None, max_examples=400)
def test_gradients_of_many_random_networks_equal_the_oracles(
    network: list[str], target: str, image: tuple[int, Sides], n: int, dropout: float, norm_scale: bool
) -> None:
    gradients_equal_the_oracles(network, target, image, n=n, dropout=dropout, norm_scale=norm_scale)


def gradients_equal_the_oracles(
    network: list[str], target: str, image: tuple[int, Sides], *, n: int, dropout: float, norm_scale: bool
) -> None:
    """Within 1e-4 of each parameter's gradient, or no further off than ten times what torch's own float32 is.

    The floor: what a norm cancels (a bias, the scale of a whole input) has a gradient of almost 0, made of large terms.
    """
    fields = {"network": network, "epochs": 1, "batch_size": n, "dropout": dropout, "norm_scale": norm_scale}
    recipe = Recipe.model_validate(fields)
    splits = small(n, *image)
    try:
        geometry = recipe.network_for(splits.image)
    except GeometryError:
        assume(False)
    engine = JitEngine(TARGETS[target])
    assume(geometry.macs < 3e6 and not engine.lacks(geometry))
    pair = Pair(engine, recipe, splits)
    indices = np.random.default_rng(0).permutation(n)
    pair.oracle_loss(indices)
    means = {name: b for name, b in pair.oracle.named_buffers() if "running_" in name}  # a tenth of the batch's
    running = zip(geometry.statistic_shapes, means.values(), strict=True)
    pair.model.set_statistics({name: (10 * mean).float().numpy() for name, mean in running})  # as if well on the way
    pair.model.begin_epoch(dropout_seed=5)
    pair.model.learn(indices, None)
    assert isinstance(pair.model, JitModel)
    pair.oracle.masks |= masks(pair.model, recipe, n) if dropout else {}
    loss = pair.oracle_loss(indices)
    assume(pair.oracle.closest > CLEAR and pair.oracle.flattest < 10)
    expected = list(torch.autograd.grad(loss, list(pair.oracle.parameters())))
    floor = 0.3 if geometry.statistic_shapes else 1e-3
    noise = rounding_noise(pair, indices, expected)
    pair.compare(pair.model.to_numpy(pair.model.gradients), expected, tolerance=1e-4, floor=floor, noise=noise)
    assert pair.model.tally()[0] / n == pytest.approx(loss.item(), rel=1e-4)


def rounding_noise(pair: Pair, indices: NDArray[np.int64], exact: list[Tensor]) -> list[float]:
    """How far torch's own float32 gradients are off."""
    single = copy.deepcopy(pair.oracle).float()
    single.masks.update({index: mask.float() for index, mask in pair.oracle.masks.items()})
    loss = F.cross_entropy(single(pair.images[indices].float()), pair.labels[indices])
    gradients = torch.autograd.grad(loss, list(single.parameters()))
    return [float((ours.double() - theirs).norm()) for ours, theirs in zip(gradients, exact, strict=True)]


# Much like those that stay: the same layers, as the random networks have them too.
MORE = {(target, network) for target in TARGETS.keys() - {"host"} for network in ("skeleton", "lighter")}


@pytest.mark.parametrize(
    ("target", "network"),
    [pytest.param(*case, marks=pytest.mark.evidence if case in MORE else ()) for case in product(TARGETS, NETWORKS)],
)
def test_gradients_are_the_oracles_with_code_for_any_cpu(network: str, target: str) -> None:
    images = data.splits(data.load("mnist"), n_dev=0)
    few = data.Splits(images.train[:1024], images.evaluated[:16], images.image)
    pair = Pair(JitEngine(TARGETS[target]), recipe_of(network), few)
    pair.model.begin_epoch(dropout_seed=0)
    indices = pair.clear_batch(64)
    pair.model.learn(indices, None)
    expected = torch.autograd.grad(pair.oracle_loss(indices), list(pair.oracle.parameters()))
    pair.compare(pair.model.to_numpy(pair.model.gradients), list(expected), tolerance=1e-4)


def test_the_same_bits_from_fresh_and_from_cached_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    pairs = [Pair(JitEngine(), recipe_of("lighter", network=CACHED), small(48, 1, 10)) for _ in range(2)]
    results = []
    for pair in pairs:
        assert isinstance(pair.model, JitModel)
        pair.model.begin_epoch(dropout_seed=1)
        pair.model.learn(np.arange(48), None)
        results.append(pair.model.gradients.copy())
    assert [pair.model.code.was_cached for pair in pairs if isinstance(pair.model, JitModel)] == [False, True]
    np.testing.assert_array_equal(results[0], results[1])


def test_damaged_code_is_compiled_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    kernel = doubling()
    MachineCode([kernel], host())
    (path,) = (tmp_path / "machine-code").iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]):
        path.write_bytes(damaged)
        code = MachineCode([kernel], host())
        assert not code.was_cached
        assert doubled(code) == 6.0
        assert path.read_bytes() == whole
    assert doubled(MachineCode([kernel], host())) == 6.0


def test_code_for_another_cpu_or_text_is_other_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    for factor, target in ((2.0, host()), (3.0, host()), (2.0, replace(host(), features=""))):
        assert not MachineCode([doubling(factor)], target).was_cached
    assert len(list((tmp_path / "machine-code").iterdir())) == 3


def test_concurrent_writers_and_readers_of_the_cache_do_no_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Real processes compile and load the same code over and over while files are damaged."""
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    script = "from light import *\nfor _ in range(60):\n    assert doubled(MachineCode([doubling()], host())) == 6.0\n"
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen(command, cwd=Path(__file__).parents[1]) for _ in range(3)]
    while any(process.poll() is None for process in processes):
        for path in (tmp_path / "machine-code").glob("[!.]*"):
            path.write_bytes(path.read_bytes()[:40])
        time.sleep(0.01)
    assert [process.returncode for process in processes] == [0, 0, 0]


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", "/dev/null/no")
    assert doubled(MachineCode([doubling()], host())) == 6.0
    assert not MachineCode([doubling()], host()).was_cached


def test_a_cache_of_another_user_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even root's: who it trusts with code that is run, a user has to say by owning it."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are for their owner alone
        monkeypatch.setenv("STEPLADDER_CACHE", folder)
        object_cache.write("key", b"code")
        for path in (Path(folder), object_cache.folder()):
            path.chmod(0o755)
        said = as_nobody("print(object_cache.read('key'), object_cache.problem())", STEPLADDER_CACHE=folder)
        assert said.startswith(f"None the cache of machine code is not used, and every process compiles anew: {folder}")


def test_a_user_without_a_home_goes_without_a_cache() -> None:
    script = "print(doubled(MachineCode([doubling()], host())), object_cache.read('key'))"
    assert as_nobody(script) == "6.0 None"


def as_nobody(script: str, **environment: str) -> str:
    """What a script prints as a user without name, home and rights."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    whole = f"import os\nfrom light import *\nos.setgid(54321), os.setuid(54321)\n{script}"
    command = [sys.executable, "-c", whole]
    clean = {"PATH": os.environ["PATH"]} | environment
    here = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=here, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_longest_unused_code_is_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    monkeypatch.setattr(object_cache, "MOST_FILES", 5)
    keys = [f"{number:064x}" for number in range(8)]
    object_cache.folder().mkdir(parents=True, mode=0o700)
    own = [object_cache.folder() / f"my-own-{number}" for number in range(9)]
    for path in own:
        path.touch()
        os.utime(path, (1, 1))
    for number, key in enumerate(keys):
        object_cache.write(key, b"code")
        os.utime(object_cache.folder() / key, (1000 + number, 1000 + number))
        if number >= 2:
            assert object_cache.read(keys[2]) == b"code"  # used: it stays
    kept = [object_cache.read(keys[number]) is not None for number in (0, 1, 2, 6, 7)]
    assert kept == [False, False, True, True, True]
    assert all(path.exists() for path in own), "files of nobody's cache are nobody's to delete"


@pytest.mark.parametrize("batch_size", [1, 5, 16, 37, 300])
def test_batches_of_any_size_train_all_images(batch_size: int) -> None:
    splits = small(120, 1, 10)
    recipe = recipe_of(
        "all layers", network=["conv 6", "maxpool 2", "conv 4", "gap", "linear 10"], batch_size=batch_size
    )
    (progress,) = train(JitEngine(), recipe, splits=splits, seed=1, resume=Progress())
    (reference,) = train(choose_engine("torch", device="cpu")[0], recipe, splits=splits, seed=1, resume=Progress())
    ours, theirs = progress.epochs[0], reference.epochs[0]
    assert ours.n_train == 120
    assert ours.train_loss == pytest.approx(theirs.train_loss, rel=2e-3)
    assert ours.loss == pytest.approx(theirs.loss, rel=2e-2)


@pytest.mark.parametrize("probability", [0.02, 0.05, 0.5, 0.9])
def test_dropout_keeps_the_right_share_without_a_pattern(probability: float) -> None:
    """Over values, lanes and keys the share is binomial; neighbours in place and in key know nothing of each other."""
    first = np.stack([kept(key, (40, 10, 10, LANES), probability) for key in (1, 2, 12345, 2**31)]).astype(float)
    n = first[0].size
    spread = (probability * (1 - probability)) ** 0.5
    assert np.abs(first.mean((1, 2, 3, 4)) - (1 - probability)).max() < 4.5 * spread / n**0.5
    assert np.abs(first.mean((0, 1, 2, 3)) - (1 - probability)).max() < 4.5 * spread / (4 * n / LANES) ** 0.5
    centred = (first - first.mean()) / first.std()
    for one, other in (
        (centred[0], centred[1]),
        (centred[..., 1:], centred[..., :-1]),
        (centred[:, 1:], centred[:, :-1]),
    ):
        assert abs((one * other).mean()) < 4.5 / one.size**0.5


@pytest.mark.parametrize("probability", [0.05, 0.5, 1 - 2**-20, 1 - 2**-40])
def test_the_kernel_drops_what_its_twin_drops(probability: float) -> None:
    kernel = pointwise("k", [Dropout(probability)], channels=3, size=5, width=host().width)
    x, y = aligned(1, 3, 5, 5, LANES), aligned(1, 3, 5, 5, LANES)
    x[:] = np.random.default_rng(0).normal(size=x.shape)
    key = np.array([123456789], np.uint32)
    MachineCode([kernel], host()).call("k", x, y, key, n_blocks=1)
    twin = np.where(kept(123456789, (3, 5, 5, LANES), probability), x[0] / (1 - probability), 0)
    np.testing.assert_allclose(y[0], twin, rtol=1e-6)


def test_the_last_batch_of_a_training_moves_no_image_twice() -> None:
    """Lanes beyond the last image repeat an image and must not count: 37 images are the same in any order."""
    splits = small(37, 1, 10)
    pair = Pair(
        JitEngine(), recipe_of("all layers", network=["conv 6 bias", "gap", "linear 10"], batch_size=64), splits
    )
    results = []
    for order in (np.arange(37), np.arange(37)[::-1].copy()):
        pair.model.begin_epoch(dropout_seed=1)
        pair.model.learn(order, None)
        results.append(pair.model.to_numpy(pair.model.gradients))
    np.testing.assert_allclose(results[0], results[1], atol=2e-6 * float(np.abs(results[0]).max()))


def test_a_batch_that_does_not_fit_into_memory_is_refused() -> None:
    images = Labelled(np.zeros((65536, 1, 28, 28), np.uint8), np.zeros(65536, np.int64))
    splits = data.Splits(images, images[:16], ImageShape(1, 28, 10))
    recipe = recipe_of("lighter", network=["conv 600 pad 1", "conv 600 pad 1", "gap", "linear 10"], batch_size=65536)
    with pytest.raises(EngineError, match=r"batches of 65,536 images need \d+\.\d GB.*choose a smaller batch_size"):
        JitEngine().model(recipe.network_for(splits.image), recipe, splits=splits)


def test_it_trains_without_asserts(tmp_path: Path) -> None:
    """python -O drops them; none may do any work."""
    script = (
        "from light import *\n"
        "recipe = Recipe.model_validate({'network': CACHED, 'dropout': 0.1, 'epochs': 1})\n"
        "(end,) = train(JitEngine(), recipe, splits=small(48, 1, 10), seed=1, resume=Progress())\n"
        "print(len(end.epochs))"
    )
    environment = os.environ | {"STEPLADDER_CACHE": str(tmp_path)}
    command, here = [sys.executable, "-O", "-c", script], Path(__file__).parents[1]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr
