"""JIT kernels against torch in float64, on random shapes and for every vector width."""

import platform
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from stepladder.engines.jit.code.emit import Kernel
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.code.machine_code import MachineCode
from stepladder.engines.jit.code.memory import aligned
from stepladder.engines.jit.code.target import Target, host
from stepladder.engines.jit.kernels.convolution import ConvolutionShape, convolution, split_evenly
from stepladder.engines.jit.kernels.gate import GateShape, finish_gate, gate, gate_gradient
from stepladder.engines.jit.kernels.gather import gathered, lanes_of, warped, with_rim
from stepladder.engines.jit.kernels.loss import exponential, softmax_loss
from stepladder.engines.jit.kernels.pointwise import Operation, Relu, Sums
from stepladder.engines.jit.kernels.pooling import max_pool, max_pool_gradient, mean_pool, mean_pool_gradient
from stepladder.engines.jit.kernels.weight_gradient import weight_gradient
from stepladder.engines.jit.kernels.winograd import PLACES, scratch_sizes, transformed_weights, winograd
from stepladder.networks.sides import Sides, area, joined, pair
from stepladder.recipes import augment
from stepladder.recipes.recipe import Augment

Array = NDArray[np.float32]

FORCED = [
    (16, 24),
    (8, 10),
    (8, 12),
    (4, 10),
]  # AVX-512, AVX2, SSE: on any CPU LLVM makes do with the vectors that it has

widths = st.sampled_from(FORCED)


def sides(low: int, high: int) -> st.SearchStrategy[Sides]:
    """One number, or two."""
    numbers = st.integers(low, high)
    return st.builds(joined, numbers, numbers) | numbers


shapes = st.builds(
    ConvolutionShape,
    in_channels=st.integers(1, 5),
    out_channels=st.integers(1, 9),
    in_size=sides(1, 12),
    kernel=sides(1, 7),
    stride=sides(1, 3),
    padding=sides(0, 3),
)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hundreds of kernels that nobody asks for again would drive the code that tests share out of its cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEPLADDER_CACHE", str(tmp_path_factory.mktemp("kernels")))
        yield


def fits(shape: ConvolutionShape) -> bool:
    return all(span.padding < span.kernel <= span.in_size + 2 * span.padding for span in shape.directions)


def out_size(shape: ConvolutionShape) -> tuple[int, int]:
    return shape.down.out_size, shape.across.out_size


def random(rng: np.random.Generator, *shape: int) -> Array:
    array = aligned(*shape)
    array[:] = rng.normal(size=shape)
    return array


def as_images(blocks: Array) -> Tensor:
    """(B, C, H, W, L) as torch has it: (B * L, C, H, W), float64."""
    b, c, h, w, lanes = blocks.shape
    return torch.from_numpy(blocks.transpose(0, 4, 1, 2, 3).reshape(b * lanes, c, h, w).astype(np.float64))


def run(kernel: Kernel, *arrays: Array, n_blocks: int, cpu: Target | None = None) -> None:
    MachineCode([kernel], cpu or host()).call(kernel.name, *arrays, n_blocks=n_blocks)


def close(ours: Array, theirs: NDArray[np.float64], *, tolerance: float = 2e-6) -> None:
    assert np.linalg.norm(ours - theirs) <= tolerance * max(float(np.linalg.norm(theirs)), 1e-3)


@given(shapes.filter(fits), widths, st.booleans(), st.booleans(), st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_convolution(shape: ConvolutionShape, forced: tuple[int, int], bias: bool, relu: bool, n_blocks: int) -> None:
    width, registers = forced
    rng = np.random.default_rng(0)
    x = random(rng, n_blocks, shape.in_channels, *pair(shape.in_size), LANES)
    w = random(rng, shape.in_channels, *pair(shape.kernel), shape.out_channels)
    b = random(rng, shape.out_channels)
    y = aligned(n_blocks, shape.out_channels, *out_size(shape), LANES)
    pivot = random(rng, shape.out_channels)
    sums = [aligned(shape.down.out_size, shape.out_channels, width) for _ in range(2)]
    operations: list[Operation] = [*([Relu()] if relu else []), Sums()]
    kernel = convolution("k", shape, width=width, registers=registers, bias=bias, operations=operations)
    run(kernel, x, w, *([b] if bias else []), y, pivot, *sums, n_blocks=n_blocks)
    weight = torch.from_numpy(w.transpose(3, 0, 1, 2).astype(np.float64).copy())
    offset = torch.from_numpy(b.astype(np.float64)) if bias else None
    expected = F.conv2d(as_images(x), weight, offset, shape.stride, shape.padding)
    expected = F.relu(expected) if relu else expected
    close(as_images(y).float().numpy(), expected.numpy())
    expected -= torch.from_numpy(pivot.astype(np.float64))[:, None, None]
    scale = float(expected.abs().sum()) + 1e-3
    assert np.abs(sums[0].sum((0, 2)) - expected.sum((0, 2, 3)).numpy()).max() < 1e-5 * scale
    assert np.abs(sums[1].sum((0, 2)) - (expected**2).sum((0, 2, 3)).numpy()).max() < 1e-5 * scale**2


@given(
    st.builds(
        ConvolutionShape,
        in_channels=st.integers(1, 9),
        out_channels=st.integers(1, 9),
        in_size=sides(3, 13),
        kernel=st.just(3),
        padding=sides(0, 2),
    ),
    widths,
    st.booleans(),
    st.integers(1, 2),
)
@settings(deadline=None, max_examples=60)
def test_winograd(shape: ConvolutionShape, forced: tuple[int, int], bias: bool, n_blocks: int) -> None:
    """Any 3x3 convolution, also where it does not pay."""
    width, _ = forced
    rng = np.random.default_rng(0)
    x = random(rng, n_blocks, shape.in_channels, *pair(shape.in_size), LANES)
    w, b = random(rng, shape.in_channels, 3, 3, shape.out_channels), random(rng, shape.out_channels)
    u = aligned(PLACES, shape.in_channels, shape.out_channels)
    y = aligned(n_blocks, shape.out_channels, *out_size(shape), LANES)
    pivot, *sums = (
        aligned(shape.out_channels),
        *(aligned(shape.down.out_size, shape.out_channels, width) for _ in range(2)),
    )
    scratch = [aligned(size) for size in scratch_sizes(shape, width).values()]
    run(transformed_weights("k", shape), w, u, n_blocks=n_blocks)
    kernel = winograd("k", shape, width=width, bias=bias, operations=[Relu(), Sums()])
    run(kernel, x, u, *([b] if bias else []), *scratch, y, pivot, *sums, n_blocks=n_blocks)
    weight = torch.from_numpy(w.transpose(3, 0, 1, 2).astype(np.float64).copy())
    offset = torch.from_numpy(b.astype(np.float64)) if bias else None
    expected = F.relu(F.conv2d(as_images(x), weight, offset, 1, shape.padding))
    close(as_images(y).float().numpy(), expected.numpy())
    total = float(expected.sum()) + 1e-3
    assert np.abs(sums[0].sum((0, 2)) - expected.sum((0, 2, 3)).numpy()).max() < 1e-5 * total
    assert not scratch[0].any(), "zeros were written to"


@given(shapes.filter(fits), widths, st.integers(1, 3))
@example(ConvolutionShape(1, 1, in_size=1, kernel=7, stride=2, padding=3), (16, 24), 1)  # a tap that no row has
@settings(deadline=None, max_examples=60)
def test_weight_gradient_adds_to_what_is_there(shape: ConvolutionShape, forced: tuple[int, int], n_blocks: int) -> None:
    width, registers = forced
    rng = np.random.default_rng(1)
    x = random(rng, n_blocks, shape.in_channels, *pair(shape.in_size), LANES)
    dy = random(rng, n_blocks, shape.out_channels, *out_size(shape), LANES)
    g = aligned(shape.in_channels, *pair(shape.kernel), shape.out_channels, width)
    g[:] = 1.0
    run(weight_gradient("k", shape, width=width, registers=registers), x, dy, g, n_blocks=n_blocks)
    size = (shape.out_channels, shape.in_channels, *pair(shape.kernel))
    expected = conv2d_weight(as_images(x), size, as_images(dy), shape.stride, shape.padding)  # type: ignore[no-untyped-call]
    close(g.sum(-1) - width, expected.numpy().transpose(1, 2, 3, 0), tolerance=5e-6)


@given(shapes.filter(fits), widths)
@settings(deadline=None, max_examples=30)
def test_the_input_gradient_is_the_transposed_convolution(shape: ConvolutionShape, forced: tuple[int, int]) -> None:
    shape = replace(shape, stride=1)
    width, registers = forced
    rng = np.random.default_rng(2)
    dy = random(rng, 1, shape.out_channels, *out_size(shape), LANES)
    w = random(rng, shape.out_channels, shape.in_channels, *pair(shape.kernel))
    flipped = aligned(shape.out_channels, *pair(shape.kernel), shape.in_channels)
    flipped[:] = w[:, :, ::-1, ::-1].transpose(0, 2, 3, 1)
    dx = aligned(1, shape.in_channels, *pair(shape.in_size), LANES)
    run(convolution("k", shape.transposed, width=width, registers=registers), dy, flipped, dx, n_blocks=1)
    size = (LANES, shape.in_channels, *pair(shape.in_size))
    weight = torch.from_numpy(w.astype(np.float64))
    expected = conv2d_input(size, weight, as_images(dy), 1, shape.padding)  # type: ignore[no-untyped-call]
    close(as_images(dx).float().numpy(), expected.numpy())


@given(shapes.filter(fits), widths, st.booleans(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_pools_and_their_gradients(shape: ConvolutionShape, forced: tuple[int, int], mean: bool, ties: bool) -> None:
    assume(all(2 * span.padding <= span.kernel for span in shape.directions))
    width, _ = forced
    rng = np.random.default_rng(3)
    x = random(rng, 2, shape.in_channels, *pair(shape.in_size), LANES)
    x[:] = np.round(x) if ties else x
    y = aligned(2, shape.in_channels, *out_size(shape), LANES)
    dy, dx = random(rng, *y.shape), aligned(*x.shape)
    theirs = as_images(x).requires_grad_()
    if mean:
        run(mean_pool("k", shape, width=width), x, y, n_blocks=2)
        run(mean_pool_gradient("k", shape, width=width), dy, dx, n_blocks=2)
        expected = F.avg_pool2d(theirs, shape.kernel, shape.stride, shape.padding)
    else:
        run(max_pool("k", shape, width=width), x, y, n_blocks=2)
        run(max_pool_gradient("k", shape, width=width), x, y, dy, dx, n_blocks=2)
        expected = F.max_pool2d(theirs, shape.kernel, shape.stride, shape.padding)
    expected.backward(as_images(dy))  # type: ignore[no-untyped-call]
    assert theirs.grad is not None
    close(as_images(y).float().numpy(), expected.detach().numpy())
    close(as_images(dx).float().numpy(), theirs.grad.numpy())


def gate_arrays(shape: GateShape, width: int, *, spread: float, n_blocks: int) -> dict[str, Array]:
    """All that the kernels of a squeeze-excite work on, by pointer; z is about ``spread`` in size."""
    rng = np.random.default_rng(6)
    image = (n_blocks, shape.channels, *pair(shape.size), LANES)
    arrays = {"x": random(rng, *image), "dy": random(rng, *image), "y": aligned(*image), "dx": aligned(*image)}
    arrays |= {name: aligned(n_blocks, n, LANES) for name, n in shape.values.items()}
    for part in shape.parts:
        arrays[f"{part.name}_weight"] = random(rng, part.n_outputs, part.n_inputs)
        arrays[f"{part.name}_bias"] = random(rng, part.n_outputs)
        arrays[f"d_{part.name}_weight"] = aligned(part.n_outputs, part.n_inputs)
        arrays[f"d_{part.name}_bias"] = aligned(part.n_outputs)
        arrays[f"{part.name}_sums"] = aligned(part.n_sums, width)
    arrays["expand_weight"] *= spread
    arrays["expand_bias"] *= spread
    return arrays


def theirs_of_gate(
    arrays: dict[str, Array], size: Sides
) -> tuple[Tensor, NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """A squeeze-excite by torch: what it gives, how large to take that for a rounding, and its gradients by pointer.

    A relative error of 1e-7 in the terms of z is one of that times their size in exp(-|z|), and so in a gate that is
    nearly closed: where this is more than the 2e-6 that ``close`` allows, a value counts as so much larger.
    """
    names = ("x", "reduce_weight", "reduce_bias", "expand_weight", "expand_bias")
    double = {name: torch.from_numpy(arrays[name].astype(np.float64)) for name in names} | {"x": as_images(arrays["x"])}
    inputs = {name: values.requires_grad_() for name, values in double.items()}
    reduced = F.relu(F.linear(inputs["x"].sum((2, 3)) / area(size), inputs["reduce_weight"], inputs["reduce_bias"]))
    z = F.linear(reduced, inputs["expand_weight"], inputs["expand_bias"])
    y = inputs["x"] * torch.sigmoid(z)[:, :, None, None]
    gradients = torch.autograd.grad(y, list(inputs.values()), as_images(arrays["dy"]))
    terms = F.linear(reduced, inputs["expand_weight"].abs(), inputs["expand_bias"].abs())
    magnified = (1e-7 / 2e-6 * terms * torch.sigmoid(-z)).clamp(min=1)
    sizes = y * magnified[:, :, None, None]
    return (
        y,
        sizes.detach().numpy(),
        {f"d{'_' * (name != 'x')}{name}": each.numpy() for name, each in zip(names, gradients, strict=True)},
    )


@given(
    st.builds(GateShape, channels=st.integers(1, 9), reduced=st.integers(1, 5), size=sides(1, 7)),
    widths,
    st.sampled_from([0.1, 1.0, 30.0]),
    st.integers(1, 2),
)
@example(GateShape(channels=2, reduced=5, size=3), (16, 24), 30.0, 1)  # gates of 1e-7 to 1e-3
@settings(deadline=None, max_examples=60)
def test_squeeze_excite_and_its_gradient(
    shape: GateShape, forced: tuple[int, int], spread: float, n_blocks: int
) -> None:
    width, _ = forced
    arrays = gate_arrays(shape, width, spread=spread, n_blocks=n_blocks)
    forward, back = gate("k", shape, width=width), gate_gradient("k", shape, width=width, operations=[Relu()])
    finish = finish_gate("k", shape, width=width)
    y, sizes, gradients = theirs_of_gate(arrays, shape.size)
    for turn in range(2):  # the sums are clear again
        for kernel in (forward, back, finish):
            by_block = {"n_blocks": n_blocks} if kernel is not finish else {}
            MachineCode([kernel], host()).call("k", *(arrays[name] for name in kernel.pointers), **by_block)
        if turn == 0:
            arrays["d_expand_bias"][:] = np.nan
    difference = as_images(arrays["y"]).numpy() - y.detach().numpy()
    close(sizes + difference, sizes)
    tolerance = 1e-6 * max(5.0, spread)  # of z in float32, and so of exp(-|z|), as a part of it
    close(as_images(arrays["dx"]).numpy(), gradients.pop("dx").clip(0), tolerance=tolerance)
    ours = np.concatenate([arrays[name].ravel() for name in gradients])  # in one of them all may cancel
    close(ours, np.concatenate([each.ravel() for each in gradients.values()]), tolerance=tolerance)
    for part in shape.parts:
        assert not arrays[f"{part.name}_sums"].any()


def test_a_gate_that_is_nearly_open_keeps_the_digits_of_its_slope() -> None:
    """1 - sigmoid(14) is 8e-7: as a difference in float32 it would have one digit."""
    shape = GateShape(channels=1, reduced=1, size=1)
    arrays = gate_arrays(shape, host().width, spread=0.0, n_blocks=1)
    for z in (14.0, -14.0, 80.0, -80.0):
        arrays["expand_bias"][:] = z
        kernel = gate("k", shape, width=host().width)
        run(kernel, *(arrays[name] for name in kernel.pointers), n_blocks=1)
        power = np.exp(-abs(z))
        np.testing.assert_allclose(arrays["gate_slope"], power / (1 + power) ** 2, rtol=1e-6)
        np.testing.assert_allclose(arrays["gate"], (1 if z > 0 else power) / (1 + power), rtol=1e-6)


@given(
    widths,
    st.integers(2, 62),
    st.sampled_from([0.0, 0.1, None]),
    st.sampled_from([0.1, 3.0, 60.0]),
    st.booleans(),
)
@settings(deadline=None, max_examples=50)
def test_softmax_loss(
    forced: tuple[int, int], n_classes: int, smoothing: float | None, spread: float, ties: bool
) -> None:
    """Without a smoothing, the targets are probabilities."""
    width, _ = forced
    rng = np.random.default_rng(5)
    logits = random(rng, 2, n_classes, LANES)
    logits[:] = np.round(spread * logits) if ties else spread * logits
    labels, weight, *written = (aligned(2, LANES) for _ in range(5))
    labels[:] = rng.integers(0, n_classes, labels.shape)
    weight.ravel()[:27] = 1 / 27  # five lanes are beyond the last image
    gradient, (sum_exp, rest, hit) = aligned(*logits.shape), written
    targets = aligned(*logits.shape)
    targets[:] = rng.dirichlet(np.ones(n_classes), (2, LANES)).transpose(0, 2, 1)
    soft = smoothing is None
    kernel = softmax_loss("k", n_classes, label_smoothing=smoothing or 0.0, targets=soft, width=width)
    run(kernel, logits, labels, weight, *[targets] * soft, gradient, sum_exp, rest, hit, n_blocks=2)
    theirs = torch.from_numpy(logits.transpose(0, 2, 1).reshape(-1, n_classes)[:27].astype(np.float64)).requires_grad_()
    wanted = torch.from_numpy(labels.ravel()[:27].astype(np.int64))
    probabilities = torch.from_numpy(targets.transpose(0, 2, 1).reshape(-1, n_classes)[:27].astype(np.float64))
    losses = F.cross_entropy(
        theirs, probabilities if soft else wanted, label_smoothing=smoothing or 0.0, reduction="none"
    )
    losses.mean().backward()  # type: ignore[no-untyped-call]
    assert theirs.grad is not None
    ours = gradient.transpose(0, 2, 1).reshape(-1, n_classes)
    close(ours[:27], theirs.grad.numpy())
    assert not ours[27:].any()
    np.testing.assert_allclose(
        (np.log(sum_exp) + rest).ravel()[:27], losses.detach().numpy(), rtol=1e-5, atol=1e-5 * spread
    )
    predicted = logits.transpose(0, 2, 1).reshape(-1, n_classes).argmax(1)
    np.testing.assert_array_equal(hit.ravel(), predicted == labels.ravel())


def test_exponential_is_exact_to_two_units_in_the_last_place() -> None:
    kernel = Kernel("k", ["x", "y"], ["n"], width=8)
    with kernel.loop(0, kernel.argument("n"), 8) as at:
        kernel.store("y", at, exponential(kernel, kernel.load("x", at)))
    x, y = aligned(1 << 16), aligned(1 << 16)
    x[:] = -np.linspace(0, 87, x.size, dtype=np.float32)
    MachineCode([kernel], host()).call("k", x, y, n=x.size)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(y - exact) / np.spacing(exact.astype(np.float32))).max() <= 2
    x[:] = np.nan
    MachineCode([kernel], host()).call("k", x, y, n=x.size)
    assert np.isnan(y).all()


@given(widths, st.integers(1, 3), sides(2, 14), st.booleans(), st.booleans(), st.integers(0, 2**32))
@example((8, 10), 1, (1, 20), True, True, 3)
@settings(deadline=None, max_examples=40)
def test_gathered_and_warped_images(
    forced: tuple[int, int], channels: int, size: Sides, bent: bool, cut: bool, seed: int
) -> None:
    width, _ = forced
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (9, channels, *pair(size)), dtype=np.uint8)
    indices = rng.integers(0, 9, (2, LANES))
    scale, offset = random(rng, channels), random(rng, channels)
    longest = max(pair(size))
    more = {"elastic_px": 2.0 * bent, "cutout_px": cut * int(rng.integers(1, longest + 2))}
    distortion = Augment(rotation_deg=180, shift_px=longest, scale=0.5, shear_deg=30, **more)  # type: ignore[arg-type]
    warps = augment.draw_warps(distortion, 2 * LANES, size=size, rng=lambda _: rng)
    x = aligned(2, channels, *pair(size), LANES)
    code = MachineCode(
        [
            gathered("plain", channels=channels, size=size, width=width),
            warped("warped", channels=channels, size=size, bent=bent, cut=cut, width=width),
        ],
        host(),
    )
    chosen = images[indices.ravel()].astype(np.float64)
    for name, expected, lanes in (("plain", chosen, []), ("warped", augment.warp(chosen, warps), [lanes_of(warps)])):
        code.call(name, with_rim(images), indices, *lanes, scale, offset, x, n_blocks=2)
        normalised = expected * scale[:, None, None] + offset[:, None, None]
        np.testing.assert_allclose(as_images(x).numpy(), normalised, atol=0.01 * float(np.abs(scale).max()))


def test_nan_is_not_hidden_by_relu_or_maximum_or_gate() -> None:
    shape = ConvolutionShape(1, 1, 2, 2)
    x, w, y = aligned(1, 1, 2, 2, LANES), aligned(1, 2, 2, 1), aligned(1, 1, 1, 1, LANES)
    x[:], w[:] = np.nan, 1.0
    width, registers = host().width, host().registers
    run(convolution("k", shape, width=width, registers=registers, operations=[Relu()]), x, w, y, n_blocks=1)
    assert np.isnan(y).all()
    y[:] = 0
    run(max_pool("k", shape, width=width), x, y, n_blocks=1)
    assert np.isnan(y).all()
    arrays = gate_arrays(GateShape(channels=2, reduced=2, size=2), width, spread=1.0, n_blocks=1)
    arrays["x"][:, 0, 0, 0] = np.nan
    kernel = gate("k", GateShape(channels=2, reduced=2, size=2), width=width)
    run(kernel, *(arrays[name] for name in kernel.pointers), n_blocks=1)
    assert np.isnan(arrays["y"]).all()


@pytest.mark.parametrize("cpu", ["x86-64-v2", "x86-64-v3"])
def test_code_for_older_cpus_gives_the_same_to_rounding(cpu: str) -> None:
    """SSE without fused multiply-add, and AVX2, on a CPU that has more."""
    target = host()
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("no x86-64")
    shape = ConvolutionShape(4, 6, 9, 3, padding=1)
    rng = np.random.default_rng(4)
    x, w = random(rng, 1, 4, 9, 9, LANES), random(rng, 4, 3, 3, 6)
    results = []
    for each in (target, Target(cpu, "", width=4 if cpu == "x86-64-v2" else 8, registers=10, gradient_registers=12)):
        y = aligned(1, 6, 9, 9, LANES)
        kernel = convolution("k", shape, width=each.width, registers=each.registers)
        run(kernel, x, w, y, n_blocks=1, cpu=each)
        results.append(y)
    close(results[1], results[0].astype(np.float64))


@given(st.integers(1, 200), st.integers(1, 30))
def test_split_evenly(n: int, most: int) -> None:
    parts = split_evenly(n, most)
    assert sum(parts) == n
    assert max(parts) <= most
    assert max(parts) - min(parts) <= 1
