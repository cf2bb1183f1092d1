"""The JIT engine on random networks from the vocabulary, for several CPUs, with dropout; its cache of machine code."""

import copy
import platform
from itertools import permutations

import llvmlite.binding as llvm
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import CLEAR, NETWORKS, Pair, recipe_of
from torch import Tensor

from stepladder import data
from stepladder.engines.jit.engine import JitEngine, JitModel
from stepladder.engines.jit.layout import LANES
from stepladder.engines.jit.target import Target, host
from stepladder.errors import GeometryError
from stepladder.geometry import ImageShape
from stepladder.layers import STEPS
from stepladder.recipe import Recipe

X86 = platform.machine() in ("x86_64", "AMD64")
HAS_AVX512 = bool(llvm.get_host_cpu_features().get("avx512f"))
TARGETS = {"host": host()}
if X86:
    TARGETS["SSE"] = Target("x86-64-v2", "", width=4, registers=10, gradient_registers=12)
    TARGETS["AVX2"] = Target("x86-64-v3", "", width=8, registers=10, gradient_registers=12)
    # where the CPU has none, LLVM makes do with smaller vectors
    cpu, features = ("x86-64-v4", "") if HAS_AVX512 else (host().cpu, host().features)
    TARGETS["AVX-512"] = Target(cpu, features, width=16, registers=24, gradient_registers=24)

ORDERS = ["bare", *(" ".join(order) for n in (1, 2, 3) for order in permutations(STEPS, n))]


def small(n: int, channels: int, size: int) -> data.Splits:
    """Every other pixel of the middle of real digits; further channels see them moved."""
    images = data.load("mnist").train.images[: 2 * n, :, 4:24, 4:24]
    moved = np.concatenate([np.roll(images, k, 3) for k in range(channels)], axis=1)[:, :, ::2, ::2][:, :, :size, :size]
    labelled = data.Labelled(np.ascontiguousarray(moved), data.load("mnist").train.labels[: 2 * n])
    return data.Splits(labelled[:n], labelled[n:], ImageShape(channels, size, 10))


def block_text(order: str, operation: str) -> str:
    return "bare" if order == "bare" else f"block {operation} {order}"


@st.composite
def layer_texts(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["conv", "conv", "conv", "depthwise", "maxpool", "avgpool"]))
    kernel, stride = draw(st.integers(1, 5)), draw(st.sampled_from([1, 1, 1, 2, 3]))
    if kind in ("maxpool", "avgpool"):
        return f"{kind} {kernel} stride {stride} pad {draw(st.integers(0, kernel // 2))}"
    kernel = max(kernel, 2 if kind == "depthwise" else 1)  # a norm makes one weight of a channel have no gradient
    head = f"conv {draw(st.integers(3, 9))}" if kind == "conv" else "depthwise"
    bias, order = draw(st.sampled_from(["", "bias "])), draw(st.sampled_from(ORDERS))
    pad = draw(st.integers(0, kernel - 1))
    return f"{head} {kernel}x{kernel} stride {stride} pad {pad} {bias}{block_text(order, kind)}"


@st.composite
def network_texts(draw: st.DrawFn) -> list[str]:
    body = draw(st.lists(layer_texts(), min_size=1, max_size=4))
    head = draw(st.sampled_from([[], ["gap"]]))
    hidden = [f"linear {draw(st.integers(3, 12))} block linear {draw(st.sampled_from(ORDERS[1:]))}"]
    bias = draw(st.sampled_from(["", " nobias"]))
    return [*body, *head, *draw(st.sampled_from([[], hidden])), f"linear 10{bias}"]


def kept(key: int, shape: tuple[int, ...], probability: float) -> NDArray[np.bool_]:
    """The slow twin of the kernels' dropout: which values of a block (C, H, W, L) are kept."""
    x = np.arange(np.prod(shape), dtype=np.uint32) ^ np.uint32(key)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return (x.view(np.int32) >= round(probability * 2**32) - 2**31).reshape(shape)


def masks(model: JitModel, recipe: Recipe, n: int) -> dict[int, Tensor]:
    """What dropout multiplied each layer's values by in the model's last step, as torch has it."""
    keys = model._keys.reshape(len(model.network.rows), model.n_blocks)
    found = {}
    for row in model.network.rows:
        shape = (row.out_channels, row.out_size, row.out_size, LANES)
        blocks = np.stack([kept(key, shape, recipe.dropout) for key in keys[row.index]])
        images = blocks.transpose(0, 4, 1, 2, 3).reshape(-1, *shape[:3])[:n]
        found[row.index] = torch.from_numpy(images / (1 - recipe.dropout))
    return found


@given(
    network_texts(),
    st.sampled_from(list(TARGETS)),
    st.sampled_from([(2, 7), (2, 10), (3, 9)]),
    st.sampled_from([32, 48, 27]),
    st.sampled_from([0.0, 0.3]),
)
@settings(deadline=None, max_examples=100)
def test_gradients_of_random_networks_equal_the_oracles(
    network: list[str], target: str, image: tuple[int, int], n: int, dropout: float
) -> None:
    """Within 1e-4 of each parameter's gradient, or no further off than ten times what torch's own float32 is.

    The floor: what a norm cancels (a bias, the scale of a whole input) has a gradient of almost 0, made of large terms.
    """
    recipe = Recipe.model_validate({"network": network, "epochs": 1, "batch_size": n, "dropout": dropout})
    splits = small(n, *image)
    try:
        geometry = recipe.network_for(splits.image)
    except GeometryError:
        assume(False)
    assume(geometry.macs < 3e6)
    pair = Pair(JitEngine(TARGETS[target]), recipe, splits)
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


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("target", TARGETS)
def test_gradients_are_the_oracles_with_code_for_any_cpu(network: str, target: str) -> None:
    images = data.splits(data.load("mnist"), n_dev=0)
    few = data.Splits(images.train[:1024], images.evaluated[:16], images.image)
    pair = Pair(JitEngine(TARGETS[target]), recipe_of(network), few)
    pair.model.begin_epoch(dropout_seed=0)
    indices = pair.clear_batch(64)
    pair.model.learn(indices, None)
    expected = torch.autograd.grad(pair.oracle_loss(indices), list(pair.oracle.parameters()))
    pair.compare(pair.model.to_numpy(pair.model.gradients), list(expected), tolerance=1e-4)
