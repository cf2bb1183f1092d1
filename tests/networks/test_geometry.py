"""Sizes, receptive fields, parameters and multiply-adds: against the objective's own tables, and against PyTorch.

The PyTorch modules are built here from the layer values alone, not by stepladder's engine.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_networks import random_blocks

from stepladder.errors import GeometryError, LadderError
from stepladder.ladders import ladder_file
from stepladder.networks.geometry import ImageShape, LayerGeometry, Network, sees
from stepladder.networks.ops import (
    AvgPool,
    BatchNorm,
    Block,
    Conv,
    Depthwise,
    Dropout,
    GlobalAvgPool,
    Layer,
    LeakyRelu,
    Linear,
    MaxPool,
    Relu,
    Residual,
    SqueezeExcite,
    Step,
)
from stepladder.networks.sides import Sides, Span, joined, pair
from stepladder.networks.text import parse

if TYPE_CHECKING:
    from torch import Tensor, nn

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
EXAMPLES = settings(max_examples=300, deadline=None)

MNIST = ImageShape(channels=1, size=28, n_classes=10)
SHIPPED = ("mnist-8k", "mnist-8k-as-run")


def network(*texts: str, image: ImageShape = MNIST, block: str = "conv relu norm dropout") -> Network:
    return Network(tuple(parse(text) for text in texts), Block.parse(block), image)


# Known answers

PARAMS = {
    "skeleton": 9714,
    "lighter": 7826,
    "dropout": 7826,
    "rotation": 7826,
    "steplr": 7826,
    "receptive-field": 7946,
}

# The objective's tables, a line per layer: operation, input size, kernel, padding, stride, output size, jump in and
# out, receptive field in and out.
TABLE_28 = """
    Conv2d  28 3 0 1 26 1 1  1  3
    Conv2d  26 3 0 1 24 1 1  3  5
    MaxPool 24 2 0 2 12 1 2  5  6
    Conv2d  12 3 0 1 10 2 2  6 10
    Conv2d  10 3 0 1  8 2 2 10 14
    Conv2d   8 3 0 1  6 2 2 14 18
    Conv2d   6 3 0 1  4 2 2 18 22
    GAP      4 4 0 1  1 2 2 22 28
"""
TABLE_32 = """
    Conv2d  28 3 1 1 28 1 1  1  3
    Conv2d  28 3 1 1 28 1 1  3  5
    MaxPool 28 2 0 2 14 1 2  5  6
    Conv2d  14 3 0 1 12 2 2  6 10
    Conv2d  12 3 0 1 10 2 2 10 14
    Conv2d  10 3 0 1  8 2 2 14 18
    Conv2d   8 3 0 1  6 2 2 18 22
    Conv2d   6 3 0 1  4 2 2 22 26
    GAP      4 4 0 1  1 2 2 26 32
"""


def table_row(row: LayerGeometry) -> list[str]:
    window = (row.in_size, row.kernel, row.padding, row.stride, row.out_size)
    field = (row.jump_in, row.jump_out, row.rf_in, row.rf_out)
    return [row.operation, *map(str, window + field)]


@pytest.mark.parametrize("name", SHIPPED)
def test_parameters_of_the_objective(name: str) -> None:
    assert {rung.name: rung.network(MNIST).params for rung in ladder_file.load(name).rungs} == PARAMS


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("rung_name", list(PARAMS))
def test_receptive_field_tables_of_the_objective(name: str, rung_name: str) -> None:
    table = TABLE_32 if rung_name == "receptive-field" else TABLE_28
    rows = ladder_file.load(name).rung(rung_name).network(MNIST).rows
    assert [table_row(row) for row in rows[:-2]] == [line.split() for line in table.strip().splitlines()]
    assert [row.operation for row in rows[-2:]] == ["Linear", "Linear"]


@pytest.mark.parametrize("name", SHIPPED)
def test_receptive_fields_of_the_objective(name: str) -> None:
    networks = [rung.network(MNIST) for rung in ladder_file.load(name).rungs]
    assert [net.receptive_field for net in networks] == [28, 28, 28, 28, 28, 32]
    # Two paddings of one pixel before any stride: the first output's field starts two pixels outside the image.
    assert [net.rows[-3].rf_start for net in networks] == [0, 0, 0, 0, 0, -2]


def test_multiply_adds_by_hand() -> None:
    net = network(
        "conv 4 3x3 bias",  # 8x8 -> 6x6: each of 4 * 6 * 6 values takes 2 * 3 * 3 multiply-adds
        "depthwise 3x3 pad 1",  # 6x6 -> 6x6: each of 4 * 6 * 6 takes 3 * 3
        "maxpool 2",  # 6x6 -> 3x3: none
        "conv 5 2x2 stride 1 bare",  # 3x3 -> 2x2: each of 5 * 2 * 2 takes 4 * 2 * 2
        "squeeze-excite 3",  # each of 3 takes 5, and each of 5 takes 3
        "linear 6",  # each of 6 takes 5 * 2 * 2
        "linear 3 nobias",  # each of 3 takes 6
        image=ImageShape(channels=2, size=8, n_classes=3),
    )
    assert [row.macs for row in net.rows] == [2592, 1296, 0, 320, 30, 120, 18]
    assert net.macs == 4376
    assert [row.params for row in net.rows] == [72 + 4 + 8, 36 + 8, 0, 80, 30 + 3 + 5, 120 + 6, 18]
    assert net.params == 390


def test_names_and_shapes_of_arrays() -> None:
    texts = ("conv 4 3x3", "depthwise 3x3 bias bare", "gap", "squeeze-excite 2", "linear 10 block linear norm")
    net = network(*texts, block="conv relu norm")
    assert net.parameter_shapes == {
        "0.weight": (4, 1, 3, 3),
        "0.norm.weight": (4,),
        "0.norm.bias": (4,),
        "1.weight": (4, 1, 3, 3),
        "1.bias": (4,),
        "3.reduce.weight": (2, 4),
        "3.reduce.bias": (2,),
        "3.expand.weight": (4, 2),
        "3.expand.bias": (4,),
        "4.weight": (10, 4),
        "4.bias": (10,),
        "4.norm.weight": (10,),
        "4.norm.bias": (10,),
    }
    assert net.statistic_shapes == {
        "0.norm.running_mean": (4,),
        "0.norm.running_var": (4,),
        "4.norm.running_mean": (10,),
        "4.norm.running_var": (10,),
    }
    assert (net.largest.index, net.largest.params) == (4, 40 + 10 + 20)


def test_a_norm_without_its_scale_has_a_shift_alone() -> None:
    scaled = network("conv 4 3x3", "gap", "linear 10 block linear norm", block="conv relu norm")
    plain = replace(scaled, norm_scale=False)
    assert scaled.parameter_shapes.keys() - plain.parameter_shapes.keys() == {"0.norm.weight", "2.norm.weight"}
    assert scaled.params - plain.params == 4 + 10
    assert plain.statistic_shapes == scaled.statistic_shapes


def test_after_a_squeeze_excite_every_pixel_sees_the_whole_map_below() -> None:
    rows = network("conv 4 3x3 pad 1", "maxpool 2", "squeeze-excite 2", "conv 8 3x3", "gap", "linear 10").rows
    assert (rows[1].out_size, rows[1].jump_out, rows[1].rf_start, rows[1].rf_out) == (14, 2, -1, 4)
    gated = rows[2]
    assert (gated.out_channels, gated.out_size, gated.jump_out) == (4, 14, 2)
    start, length = pair(gated.rf_start)[0], pair(gated.rf_out)[0]
    assert (gated.rf_start, gated.rf_out) == (start, length)
    starts = [start + i * 2 for i in range(14)]
    assert max(starts) == -1
    assert min(starts) + length == -1 + 13 * 2 + 4
    assert rows[3].rf_out == length + 2 * 2


def test_a_spectrogram_by_hand() -> None:
    """DS-CNN's first layers (Zhang et al. 2017) on 49 x 10 coefficients: both directions each for itself."""
    image = ImageShape(channels=1, size=(49, 10), n_classes=12)
    texts = ("conv 64 10x4 stride 2x1 pad 5x1 bare", "depthwise 3x1 pad 1x0 bare", "maxpool 2x1", "gap", "linear 12")
    net = network(*texts, image=image)
    first, second, pool, gap, _ = net.rows
    assert (first.in_size, first.kernel, first.padding, first.stride) == ((49, 10), (10, 4), (5, 1), (2, 1))
    assert (first.out_size, first.jump_out, first.rf_out, first.rf_start) == ((25, 9), (2, 1), (10, 4), (-5, -1))
    assert (first.parameters, first.macs) == ({"0.weight": (64, 1, 10, 4)}, 64 * 40 * 25 * 9)
    assert (second.out_size, second.rf_out, second.rf_start, second.macs) == ((25, 9), (14, 4), (-7, -1), 64 * 3 * 225)
    assert (pool.out_size, pool.jump_out, pool.rf_out) == ((12, 9), (4, 1), (16, 4))
    assert (gap.kernel, gap.out_size, gap.rf_out) == ((12, 9), 1, (60, 12))
    assert net.receptive_field == (60, 12)
    assert sees(net) == (16, 4)


def test_a_square_size_is_one_number_however_it_is_given() -> None:
    image = ImageShape(channels=1, size=(28, 28), n_classes=10)
    assert image == MNIST
    assert image.size == 28
    assert (image.height, image.width) == (28, 28)
    oblong = ImageShape(channels=3, size=(49, 10), n_classes=10)
    assert (oblong.height, oblong.width, oblong.n_pixels, oblong.in_words) == (49, 10, 490, "3 x 49 x 10")
    assert network("conv 8 3x3", "gap", "linear 10", image=image) == network("conv 8 3x3", "gap", "linear 10")


@pytest.mark.parametrize("size", [0, (0, 3), (28, 28, 28), (1.5, 2), "28", (True, 2)])
def test_what_is_no_size_of_images_is_refused(size: object) -> None:
    with pytest.raises(
        LadderError, match=r"size of images is a whole number from 1 on, or two, \(height, width\), not"
    ):
        ImageShape(channels=1, size=size, n_classes=10)  # type: ignore[arg-type]


def test_without_spatial_layers_a_network_sees_one_pixel_at_a_time() -> None:
    assert network("linear 10").receptive_field == 28


# Errors


@pytest.mark.parametrize(
    ("texts", "layer_index", "message"),
    [
        (
            ("conv 8 3x3", "maxpool 2", "conv 8 14x14", "linear 10"),
            2,
            "layer 3 ('conv 8 14x14') has a 14x14 kernel but its input is 13x13:"
            " use a smaller kernel, padding, or fewer pools and strides before it",
        ),
        (
            ("avgpool 14", "maxpool 5 pad 1", "gap", "linear 10"),
            1,
            "layer 2 ('maxpool 5 pad 1') has a 5x5 kernel but its input is 2x2 padded by 1:"
            " use a smaller kernel, padding, or fewer pools and strides before it",
        ),
        (
            ("conv 8 3x3", "gap", "linear 11"),
            None,
            "the network ends in 11 x 1 x 1 values; it must end in one number for each of 10 classes,"
            " as 'gap' and 'linear 10' do",
        ),
        (
            ("conv 10 3x3",),
            None,
            "the network ends in 10 x 26 x 26 values; it must end in one number for each of 10 classes,"
            " as 'gap' and 'linear 10' do",
        ),
        (
            ("conv 8 3x1", "maxpool 20x2 stride 1", "conv 8 10x3 pad 1x0"),
            2,
            "layer 3 ('conv 8 10x3 pad 1x0') has a 10x3 kernel but its input is 7x27 padded by 1x0:"
            " use a smaller kernel, padding, or fewer pools and strides before it",
        ),
        ((), None, "a network without layers"),
        (
            ("conv 8", "depthwise pad 1", "residual 2", "gap", "linear 10"),
            2,
            "layer 3 ('residual 2') goes back to the image or beyond it: it can add what a layer gave",
        ),
        (
            ("conv 8", "conv 8", "residual 1", "gap", "linear 10"),
            2,
            "layer 3 ('residual 1') adds to its 8 x 24 x 24 values, 1 px apart, what layer 1 ('conv 8 3x3') gave:"
            " 8 x 26 x 26 values, 1 px apart. Give the layers between as many channels, stride 1 and padding",
        ),
        (  # 4 x 4, then 2 x 2, then 4 x 4 again, but of places 3 pixels apart
            ("maxpool 7", "conv 8 1x1", "conv 8 stride 3 pad 2", "conv 8 pad 2", "residual 2", "gap", "linear 10"),
            4,
            "layer 5 ('residual 2') adds to its 8 x 4 x 4 values, 21 px apart, what layer 2 ('conv 8 1x1') gave:"
            " 8 x 4 x 4 values, 7 px apart. Give the layers between as many channels, stride 1 and padding",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused(texts: tuple[str, ...], layer_index: int | None, message: str) -> None:
    with pytest.raises(GeometryError) as refused:
        network(*texts)
    assert str(refused.value) == message
    assert refused.value.layer_index == layer_index


def test_a_kernel_as_large_as_its_padded_input_fits() -> None:
    assert network("avgpool 14", "conv 10 4x4 pad 1").rows[-1].out_size == 1


# Random networks


@st.composite
def windows(draw: st.DrawFn, size: Sides, channels: int, *, gaps: bool = True) -> tuple[Layer, int, Sides]:
    """A layer that fits an input of channels x size, and the channels and size of its output."""
    kind = draw(st.sampled_from((Conv, Depthwise, MaxPool, AvgPool)))

    def span(n: int) -> Span:
        padding = draw(st.integers(0, 3))
        smallest = padding + 1 if kind in (Conv, Depthwise) else max(1, 2 * padding)
        kernel = draw(st.integers(smallest, min(7, n + 2 * padding)))
        return Span(kernel, padding, draw(st.integers(1, 3 if gaps else min(3, kernel))), n)

    down = span(pair(size)[0])
    across = down if isinstance(size, int) and draw(st.booleans()) else span(pair(size)[1])
    kernel, stride, padding = (
        joined(getattr(down, name), getattr(across, name)) for name in ("kernel", "stride", "padding")
    )
    size = joined(*(len(range(0, s.in_size + 2 * s.padding - s.kernel + 1, s.stride)) for s in (down, across)))
    if kind in (MaxPool, AvgPool):
        return kind(kernel, stride, padding), channels, size
    bias = draw(st.booleans())
    block = draw(st.none() | st.just(Block()) | orders)
    if kind is Depthwise:
        return Depthwise(kernel, stride, padding, bias, block), channels, size
    out_channels = draw(st.integers(1, 8))
    return Conv(out_channels, kernel, stride, padding, bias, block), out_channels, size


orders = random_blocks()
linears = st.builds(Linear, st.integers(1, 12), st.booleans(), orders)


@st.composite
def networks(draw: st.DrawFn, *, gaps: bool = True) -> Network:
    """Any network on images of any size: windows, then a way to end in one number per class."""
    side = st.integers(1, 40)
    image_channels, image_size = draw(st.integers(1, 3)), draw(side | st.builds(joined, side, side))
    channels, size = image_channels, image_size
    layers: list[Layer] = []
    for _ in range(draw(st.integers(0, 5))):
        layer, channels, size = draw(windows(size, channels, gaps=gaps))
        layers.append(layer)
        if draw(st.integers(0, 3)) == 0:
            half = draw(st.integers(0, 2))
            n = draw(st.integers(1, 2))
            layers += [Depthwise(2 * half + 1, padding=half)] * n + [Residual(draw(st.integers(1, n)))]
        if draw(st.integers(0, 5)) == 0:
            layers.append(SqueezeExcite(draw(st.integers(1, 9))))
    end: list[Layer] = draw(st.lists(linears, max_size=2))
    if not end or draw(st.booleans()):
        layers.append(GlobalAvgPool())
        if draw(st.booleans()):
            channels = draw(st.integers(1, 8))
            layers.append(Conv(channels, kernel=1, bias=draw(st.booleans()), block=draw(st.none() | orders)))
    n_classes = end[-1].out_features if end and isinstance(end[-1], Linear) else channels
    return Network((*layers, *end), draw(orders), ImageShape(image_channels, image_size, n_classes))


def torch_module(layer: Layer, block: Block, shape: "tuple[int, ...]") -> "nn.Sequential":
    """The layer in PyTorch's words, for an input of this shape (N, C, H, W); output (N, C, H, W) too."""
    from oracle import Gated
    from torch import nn

    channels = shape[1]
    match layer:
        case Conv() | Depthwise():
            window = (layer.kernel, layer.stride, layer.padding)
            n, groups = (layer.out_channels, 1) if isinstance(layer, Conv) else (channels, channels)
            conv = nn.Conv2d(channels, n, *window, groups=groups, bias=layer.bias)
            return nn.Sequential(conv, *torch_steps(layer, block, n))
        case MaxPool() | AvgPool():
            pool = nn.MaxPool2d if isinstance(layer, MaxPool) else nn.AvgPool2d
            return nn.Sequential(pool(layer.kernel, layer.stride, layer.padding))
        case GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1))
        case Residual():
            return nn.Sequential(nn.Identity())
        case SqueezeExcite(reduced=n):
            return nn.Sequential(Gated(channels, n))
        case Linear(out_features=n):
            linear = nn.Linear(channels * shape[2] * shape[3], n, bias=layer.bias)
            return nn.Sequential(nn.Flatten(), linear, nn.Unflatten(1, (n, 1, 1)), *torch_steps(layer, block, n))


def torch_steps(layer: Conv | Depthwise | Linear, block: Block, channels: int) -> "list[nn.Module]":
    """The steps of the layer's own block, or of the network's."""
    from torch import nn

    def made(step: Step) -> nn.Module:
        match step:
            case Relu():
                return nn.ReLU()
            case LeakyRelu():
                return nn.LeakyReLU(step.slope)
            case Dropout():
                return nn.Dropout()
            case BatchNorm():
                return nn.BatchNorm2d(channels)

    return [made(step) for step in layer.steps(block)]


def torch_layers(net: Network) -> "list[tuple[nn.Module, Tensor]]":
    """Each layer as a module, with the output it gives; without values ("meta"), so only shapes are worked out."""
    import torch

    x = torch.empty(1, net.image.channels, net.image.height, net.image.width, device="meta")
    found: list[tuple[nn.Module, Tensor]] = []
    with torch.device("meta"), torch.no_grad():
        for layer in net.layers:
            module = torch_module(layer, net.block, tuple(x.shape)).eval()
            x = module(x)
            found.append((module, x))
    return found


@needs_torch
@EXAMPLES
@given(networks())
def test_shapes_parameters_and_multiply_adds_are_those_of_torch(net: Network) -> None:
    """PyTorch counts a multiply-add as two operations, and like us leaves out biases, pools and norms."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        found = torch_layers(net)
    assert [(1, row.out_channels, *pair(row.out_size)) for row in net.rows] == [tuple(x.shape) for _, x in found]
    assert [row.params for row in net.rows] == [sum(p.numel() for p in module.parameters()) for module, _ in found]
    assert net.params == sum(p.numel() for module, _ in found for p in module.parameters())
    for row, (module, _) in zip(net.rows, found, strict=True):
        assert sorted(row.parameters.values()) == sorted(tuple(p.shape) for p in module.parameters())
    assert counter.get_total_flops() == 2 * net.macs


def seen_by(net: Network, rows: tuple[LayerGeometry, ...], pixel: tuple[int, int]) -> list[tuple[int, int]]:
    """Where in the image the gradient of one output pixel is not zero: (start, end) down and across.

    With weights that are all positive, means instead of maxima and of gates, and nothing in between, no gradient
    cancels.
    """
    import torch
    from torch import nn

    image = torch.zeros(
        1, net.image.channels, net.image.height, net.image.width, dtype=torch.float64, requires_grad=True
    )
    x = image
    given: list[Tensor] = []
    for row in rows:
        layer: Layer = row.layer
        if isinstance(layer, MaxPool):
            layer = AvgPool(layer.kernel, layer.stride, layer.padding)
        module = torch_module(layer, net.block, tuple(x.shape))[0].double()
        for weights in module.parameters():
            nn.init.constant_(weights, 0.5)
        x = x + x.mean((1, 2, 3), keepdim=True) if isinstance(layer, SqueezeExcite) else module(x)
        if isinstance(layer, Residual):
            x = x + given[-layer.back - 1]
        given.append(x)
    (gradient,) = torch.autograd.grad(x[0, 0, *pixel], image)
    touched = [(gradient != 0).any(dim).any(0).any(0).nonzero().flatten().tolist() for dim in (3, 2)]
    return [(indices[0], indices[-1] + 1) for indices in touched]


def field(rows: tuple[LayerGeometry, ...], i: int, size: int, direction: int) -> tuple[int, int]:
    """The receptive field of output i of the last row, down (0) or across (1), cut to what exists of the image.

    It ends where the image does, or earlier: a stride may leave pixels at the far rim of a layer over, and padding
    further up then stands in for what would have seen them. So it ends no later than the last field of any row below.
    """

    def of(row: LayerGeometry, i: int) -> tuple[int, int]:
        start, jump, length = (pair(each)[direction] for each in (row.rf_start, row.jump_out, row.rf_out))
        return start + i * jump, start + i * jump + length

    start, end = of(rows[-1], i)
    return max(0, start), min(size, end, *(of(row, pair(row.out_size)[direction] - 1)[1] for row in rows[:-1]))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost more than they give on such small convolutions: five times the time on busy cores."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@needs_torch
@pytest.mark.usefixtures("one_thread")
@EXAMPLES
@given(st.data())
def test_receptive_fields_are_where_gradients_reach(data: st.DataObject) -> None:
    """Strides are no larger than kernels here: else a field has gaps, and one may lie at the image's rim."""
    net = data.draw(networks(gaps=False))
    rows = tuple(row for row in net.rows if not isinstance(row.layer, Linear))
    assume(rows)
    height, width = pair(rows[-1].out_size)
    pixel = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    assert seen_by(net, rows, pixel) == [field(rows, pixel[k], pair(net.image.size)[k], k) for k in (0, 1)]


@needs_torch
def test_a_field_cut_short_by_a_stride_by_hand() -> None:
    """5 pixels, kernel 2, stride 2: the last pixel is left over. Then kernel 3 with padding: output 1 sees 0 to 3."""
    net = network("conv 1 2x2 stride 2", "conv 1 3x3 pad 1", "gap", image=ImageShape(1, 5, 1), block="conv")
    second = net.rows[1]
    assert (second.rf_start, second.jump_out, second.rf_out) == (-2, 2, 6)
    assert seen_by(net, net.rows[:2], (1, 1)) == [(0, 4), (0, 4)]
