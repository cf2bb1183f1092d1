"""Networks drawn from the vocabulary, and weights such as a training could have come to."""

from itertools import permutations

import numpy as np
from hypothesis import strategies as st

from stepladder.engines.training import initial_arrays
from stepladder.engines.training import weights as named
from stepladder.networks.geometry import Network
from stepladder.networks.ops import STEPS, Block
from stepladder.runs.run import Arrays

ORDERS = [
    "bare",
    *(" ".join(step.examples[0] for step in order) for n in (1, 2, 3) for order in permutations(STEPS.values(), n)),
]


@st.composite
def random_blocks(draw: st.DrawFn) -> Block:
    """Any steps, in any order, with any of the numbers that they are tried with."""
    kinds = draw(st.permutations(list(STEPS.values())))[: draw(st.integers(0, len(STEPS)))]
    return Block.parse(" ".join(["conv", *(draw(st.sampled_from(kind.examples)) for kind in kinds)]))


def block_text(order: str, operation: str) -> str:
    return "bare" if order == "bare" else f"block {operation} {order}"


@st.composite
def layer_texts(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["conv", "conv", "conv", "depthwise", "maxpool", "avgpool", "squeeze-excite"]))
    if kind == "squeeze-excite":
        return f"{kind} {draw(st.integers(1, 5))}"
    pooled = kind in ("maxpool", "avgpool")
    kernels, strides, pads = zip(
        *draw(window_sides(pooled=pooled, at_least=2 if kind == "depthwise" else 1)), strict=True
    )
    window = f"{kernels[0]}x{kernels[1]} stride {strides[0]}x{strides[1]} pad {pads[0]}x{pads[1]}"
    if pooled:
        return f"{kind} {window}"
    head = f"conv {draw(st.integers(3, 9))}" if kind == "conv" else "depthwise"
    bias, order = draw(st.sampled_from(["", "bias "])), draw(st.sampled_from(ORDERS))
    return f"{head} {window} {bias}{block_text(order, kind)}"


@st.composite
def window_sides(draw: st.DrawFn, *, pooled: bool, at_least: int) -> list[tuple[int, int, int]]:
    """Kernel, stride and padding down and across, the same as often as not."""

    def side() -> tuple[int, int, int]:
        kernel = max(draw(st.integers(1, 5)), at_least)  # a norm makes one weight of a channel have no gradient
        pad = draw(st.integers(0, kernel // 2 if pooled else kernel - 1))
        return kernel, draw(st.sampled_from([1, 1, 1, 2, 3])), pad

    down = side()
    return [down, down if draw(st.booleans()) else side()]


@st.composite
def residual_texts(draw: st.DrawFn) -> list[str]:
    """Layers that keep the shape, and residuals around some of them."""
    layers: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kernel, block = draw(st.sampled_from([3, 5])), block_text(draw(st.sampled_from(ORDERS)), "depthwise")
        pools = [f"{kind} 3 stride 1 pad 1" for kind in ("maxpool", "avgpool")]
        depthwise = f"depthwise {kernel}x{kernel} pad {kernel // 2} {block}"
        layers.append(draw(st.sampled_from([depthwise, *pools, "squeeze-excite 2"])))
        if draw(st.booleans()):
            layers.append(f"residual {draw(st.integers(1, len(layers)))}")
    return [*layers, f"residual {draw(st.integers(1, len(layers)))}"]


@st.composite
def network_texts(draw: st.DrawFn) -> list[str]:
    body = draw(st.lists(layer_texts(), min_size=1, max_size=4))
    if draw(st.booleans()):
        place = draw(st.integers(1, len(body)))
        body[place:place] = draw(residual_texts())
    head = draw(st.sampled_from([[], ["gap"], ["gap", "squeeze-excite 3"]]))
    hidden = [f"linear {draw(st.integers(3, 12))} block linear {draw(st.sampled_from(ORDERS[1:]))}"]
    bias = draw(st.sampled_from(["", " nobias"]))
    return [*body, *head, *draw(st.sampled_from([[], hidden])), f"linear 10{bias}"]


def random_weights(network: Network, seed: int = 3) -> Arrays:
    """Parameters and statistics such as a training could have come to, float32."""
    rng = np.random.default_rng(seed)
    weights = named(network, initial_arrays(network, seed))
    for name, array in weights.items():
        moved = rng.uniform(0.5, 2, array.shape) if name.endswith("var") else array + rng.normal(0, 0.1, array.shape)
        weights[name] = moved.astype(np.float32)
    return weights
