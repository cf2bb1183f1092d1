"""The text form of layers: it round-trips, and every refusal says which word is wrong and what to write instead."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_blocks

from stepladder.errors import LadderError
from stepladder.networks.ops import (
    STEPS,
    AvgPool,
    Block,
    Conv,
    Depthwise,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Residual,
    SqueezeExcite,
)
from stepladder.networks.sides import Sides, joined, pair
from stepladder.networks.text import parse

EXAMPLES = settings(max_examples=500, deadline=None)

numbers = st.integers(1, 4) | st.integers(1, 999_999_999)
blocks = random_blocks()


def sides_of(draw: st.DrawFn, strategy: st.SearchStrategy[int]) -> Sides:
    """One number, or two."""
    down = draw(strategy)
    return down if draw(st.booleans()) else joined(down, draw(strategy))


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    kernel = sides_of(draw, numbers)
    stride, padding = sides_of(draw, numbers), sides_of(draw, st.integers(0, min(pair(kernel)) - 1))
    bias, block = draw(st.booleans()), draw(st.none() | blocks)
    if draw(st.booleans()):
        return Depthwise(kernel, stride, padding, bias, block)
    return Conv(draw(numbers), kernel, stride, padding, bias, block)


@st.composite
def pools(draw: st.DrawFn) -> Layer:
    kernel = sides_of(draw, numbers)
    stride = kernel if draw(st.booleans()) else sides_of(draw, numbers)
    padding = sides_of(draw, st.integers(0, min(pair(kernel)) // 2))
    return MaxPool(kernel, stride, padding) if draw(st.booleans()) else AvgPool(kernel, stride, padding)


layers = (
    convolutions()
    | pools()
    | st.just(GlobalAvgPool())
    | st.builds(Residual, numbers)
    | st.builds(SqueezeExcite, numbers)
    | st.builds(Linear, numbers, st.booleans(), blocks)
)

LAYERS = ("conv", "depthwise", "maxpool", "avgpool", "gap", "residual", "squeeze-excite", "linear")
VOCABULARY = (
    *LAYERS,
    *("stride", "pad", "bias", "nobias", "bare", "block"),
    *(*STEPS, "0", "1", "2", "3", "3x3", "2x2", "3x5", "1x0", "0x0", "x", "-1", "1.5", "1e3", "8x", "٣", "²", "convv"),
)
spaces = st.sampled_from((" ", "  ", "\t", "\n", "\u2003"))
word_salads = st.builds(
    lambda space, words: space.join(words), spaces, st.lists(st.sampled_from(VOCABULARY), max_size=8)
)


@EXAMPLES
@given(layers)
def test_a_layer_is_read_back_from_its_text(layer: Layer) -> None:
    assert parse(str(layer)) == layer


@EXAMPLES
@given(st.text(max_size=40) | word_salads)
def test_any_text_is_a_layer_or_a_ladder_error(text: str) -> None:
    try:
        layer = parse(text)
    except LadderError:
        return
    assert parse(str(layer)) == layer


@EXAMPLES
@given(blocks, st.sampled_from(("conv", "depthwise", "linear")))
def test_a_block_order_is_read_back_from_its_text(block: Block, operation: str) -> None:
    assert Block.parse(block.text(operation), operation=operation) == block


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("conv 16", Conv(16, kernel=3, stride=1, padding=0, bias=False, block=None)),
        ("conv 16 3x3", Conv(16)),
        ("conv 10 1x1 bias bare", Conv(10, kernel=1, bias=True, block=Block())),
        ("conv 8 5x5 stride 2 pad 2", Conv(8, kernel=5, stride=2, padding=2)),
        ("conv 8 pad 1 stride 2", Conv(8, stride=2, padding=1)),
        ("conv 16 10x4 stride 2x1 pad 5x1", Conv(16, kernel=(10, 4), stride=(2, 1), padding=(5, 1))),
        ("conv 8 3x3 stride 2x2 pad 1x1", Conv(8, stride=2, padding=1)),
        ("depthwise 1x9 pad 0x4 bare", Depthwise((1, 9), padding=(0, 4), block=Block())),
        ("maxpool 2x1", MaxPool((2, 1), stride=(2, 1))),
        ("maxpool 2x2", MaxPool(2, stride=2)),
        ("avgpool 3 stride 2x1 pad 0x1", AvgPool(3, stride=(2, 1), padding=(0, 1))),
        ("conv 8 block conv", Conv(8, block=Block())),
        ("conv 8 pad 1 block conv norm relu dropout", Conv(8, padding=1, block=Block.parse("conv norm relu dropout"))),
        ("depthwise", Depthwise(kernel=3)),
        ("depthwise 5x5 pad 2 block depthwise norm", Depthwise(5, padding=2, block=Block.parse("conv norm"))),
        ("maxpool 2", MaxPool(2, stride=2)),
        ("maxpool 3 stride 2 pad 1", MaxPool(3, stride=2, padding=1)),
        ("avgpool 2 stride 1", AvgPool(2, stride=1)),
        ("gap", GlobalAvgPool()),
        ("residual 2", Residual(2)),
        ("squeeze-excite 4", SqueezeExcite(4)),
        ("linear 10", Linear(10, bias=True, block=Block())),
        ("linear 32 nobias block linear relu", Linear(32, bias=False, block=Block.parse("conv relu"))),
        ("  conv\t 8   3x3 ", Conv(8)),
    ],
)
def test_known_texts(text: str, layer: Layer) -> None:
    assert parse(text) == layer


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Conv(16), "conv 16 3x3"),
        (Conv(16, (10, 4), (2, 1), (5, 1)), "conv 16 10x4 stride 2x1 pad 5x1"),
        (Conv(8, (3, 3), (2, 2), (0, 0)), "conv 8 3x3 stride 2"),
        (MaxPool((2, 1), (2, 1)), "maxpool 2x1"),
        (AvgPool((2, 1), 2, (1, 0)), "avgpool 2x1 stride 2 pad 1x0"),
        (Conv(8, 5, 2, 2, True, Block.parse("conv norm relu")), "conv 8 5x5 stride 2 pad 2 bias block conv norm relu"),
        (Conv(16, block=Block()), "conv 16 3x3 bare"),
        (Depthwise(bias=True), "depthwise 3x3 bias"),
        (MaxPool(2, 2), "maxpool 2"),
        (AvgPool(3, 2, 1), "avgpool 3 stride 2 pad 1"),
        (GlobalAvgPool(), "gap"),
        (Residual(3), "residual 3"),
        (SqueezeExcite(2), "squeeze-excite 2"),
        (Linear(10), "linear 10"),
        (Linear(10, False, Block.parse("conv norm")), "linear 10 nobias block linear norm"),
    ],
)
def test_known_layers(layer: Layer, text: str) -> None:
    assert str(layer) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("convv 8", "unknown layer 'convv' in 'convv 8'; did you mean 'conv'?"),
        ("Conv 8", "unknown layer 'Conv' in 'Conv 8'; did you mean 'conv'?"),
        ("squeeze 4", "unknown layer 'squeeze' in 'squeeze 4'; did you mean 'squeeze-excite'?"),
        ("dense 10", "unknown layer 'dense' in 'dense 10'; did you mean 'linear'?"),
        (
            "maxout 10",
            "unknown layer 'maxout' in 'maxout 10'; known are avgpool, conv, depthwise, gap, linear, maxpool, residual,"
            " squeeze-excite",
        ),
        *((text, f"an empty layer; known layers are {', '.join(LAYERS)}") for text in ("", " \t")),
    ],
)
def test_unknown_layers_are_refused(text: str, message: str) -> None:
    with pytest.raises(LadderError) as refused:
        parse(text)
    assert str(refused.value) == message


WHOLE = "must be a whole number of at least"
NO_CHANNELS = "a depthwise layer takes no number of channels, it has as many as come in"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # words nobody knows here
        ("conv 8 3x3 stid 2", "unknown word 'stid'; did you mean 'stride'?"),
        ("conv 8 3", "unknown word '3'; a kernel is written 3x3, a stride as 'stride 3', padding as 'pad 3'"),
        ("maxpool 2 bare", "unknown word 'bare'; a pool has no steps: they stand at the convolution before it"),
        ("linear 10 bias", "unknown word 'bias'; a linear layer has one unless told 'nobias': leave it out"),
        ("gap 2", "unknown word '2'; nothing may follow here"),
        ("residual 2 bare", "unknown word 'bare'; nothing may follow here"),
        ("residual", f"the number of layers to go back {WHOLE} 1, not nothing: write it, as in 'residual 2'"),
        ("residual 0", f"the number of layers to go back {WHOLE} 1, not 0"),
        ("squeeze-excite 4 relu", "unknown word 'relu'; nothing may follow here"),
        (
            "squeeze-excite",
            f"the number of values that the means are reduced to {WHOLE} 1, not nothing: write it, as in"
            " 'squeeze-excite 4'",
        ),
        ("squeeze-excite 0", f"the number of values that the means are reduced to {WHOLE} 1, not 0"),
        # an option twice
        ("conv 8 pad 1 pad 1", "'pad' comes on top of an earlier word about the same thing"),
        ("maxpool 3 stride 2 stride 3", "'stride' comes on top of an earlier word about the same thing"),
        ("conv 8 bias bias", "'bias' comes on top of an earlier word about the same thing"),
        ("conv 8 bare block conv relu", "'block' comes on top of an earlier word about the same thing"),
        # kernels and padding
        ("depthwise 0x0", "a kernel is at least 1x1, not 0x0"),
        ("conv 8 3x0", "a kernel is at least 1x1, not 3x0"),
        ("maxpool 0x2", "a kernel is at least 1x1, not 0x2"),
        ("conv 8 stride 2x0", "stride must be whole numbers of at least 1, not 2x0"),
        ("conv 8 3x1 pad 1", "pad 1 must be smaller than the kernel, or outputs at the rim see no image"),
        ("conv 8 3x1 pad 0x1", "pad 0x1 must be smaller than the kernel, or outputs at the rim see no image"),
        ("maxpool 2x1 pad 1", "the pad of a pool is at most half its kernel: 1 is over 1/2"),
        ("conv 8 3x3 pad 3", "pad 3 must be smaller than the kernel, or outputs at the rim see no image"),
        ("depthwise 1x1 pad 1", "pad 1 must be smaller than the kernel, or outputs at the rim see no image"),
        ("maxpool 2 pad 2", "the pad of a pool is at most half its kernel: 2 is over 2/2"),
        ("avgpool 3 pad 2", "the pad of a pool is at most half its kernel: 2 is over 3/2"),
        # block orders
        ("conv 8 block", "a block order starts with 'conv', as in 'conv relu norm', not ''"),
        ("conv 8 block relu norm", "a block order starts with 'conv', as in 'conv relu norm', not 'relu norm'"),
        (
            "depthwise block conv relu",
            "a block order starts with 'depthwise', as in 'depthwise relu norm', not 'conv relu'",
        ),
        ("linear 10 block conv", "a block order starts with 'linear', as in 'linear relu norm', not 'conv'"),
        ("conv 8 block conv rel", "unknown step 'rel' in a block order; did you mean 'relu'?"),
        (
            "conv 8 block conv tanh",
            "unknown step 'tanh' in a block order; of activations 'relu' and 'leaky' are known, as steps of a block",
        ),
        ("conv 8 block conv relu bare", "unknown step 'bare' in a block order; known are dropout, leaky, norm, relu"),
        ("conv 8 block conv relu norm relu", "block order 'conv relu norm relu' names a step twice"),
        # numbers that are missing, zero, or not whole
        ("conv", f"the number of output channels {WHOLE} 1, not nothing: write it, as in 'conv 8 3x3'"),
        ("conv 3x3", f"the number of output channels {WHOLE} 1, not 3x3: channels come first, as in 'conv 8 3x3'"),
        ("conv 0", f"the number of output channels {WHOLE} 1, not 0"),
        ("conv -8", f"the number of output channels {WHOLE} 1, not -8"),
        ("conv 8.0", f"the number of output channels {WHOLE} 1, not 8.0"),
        ("conv ²", f"the number of output channels {WHOLE} 1, not ²"),
        ("conv ٣", f"the number of output channels {WHOLE} 1, not ٣"),
        ("maxpool", f"the kernel {WHOLE} 1, not nothing: write it, as in 'maxpool 2'"),
        ("avgpool", f"the kernel {WHOLE} 1, not nothing: write it, as in 'avgpool 2'"),
        ("depthwise 8 3x3", f"{NO_CHANNELS}: write 'depthwise 3x3'"),
        ("depthwise 5", f"{NO_CHANNELS}: write 'depthwise', or 'depthwise 5x5' if 5 is the kernel"),
        ("avgpool 0", f"the kernel {WHOLE} 1, not 0"),
        ("linear", f"the number of output features {WHOLE} 1, not nothing: write it, as in 'linear 10'"),
        ("linear 0", f"the number of output features {WHOLE} 1, not 0"),
        ("conv 8 stride", f"stride {WHOLE} 1, not nothing: write it, as in 'stride 2'"),
        ("maxpool 2 stride 0", f"stride {WHOLE} 1, not 0"),
        ("conv 8 pad bias", f"pad {WHOLE} 0, not bias"),
    ],
)
def test_nonsense_is_refused_by_name(text: str, problem: str) -> None:
    with pytest.raises(LadderError) as refused:
        parse(text)
    assert str(refused.value) == f"layer {text!r}: {problem}"


# Layers as PyTorch and Keras have them, and what they are here, between bars.
FOREIGN = {
    "Conv2d(1, 8, 3)": "conv 8 3x3",
    "nn.Conv2d(1, 8, kernel_size=3, stride=2, padding=1)": "conv 8 3x3 stride 2 pad 1",
    "torch.nn.Conv2d(in_channels=1, out_channels=8, kernel_size=(5, 5), bias=True),": "conv 8 5x5 bias",
    "Conv2d(1, 8": "conv 8 3x3",
    "nn.Conv2d(8, 8, 3, padding='same', groups=8)": "depthwise 3x3 pad 1",
    "conv(1, 8, 3)": "conv 8 3x3",
    "conv2d 1 8 3": "conv 8 3x3",
    "conv(8, 3)": "conv 8 3x3",
    "Conv2D(8, (3,3), activation='relu')": "conv 8 3x3",
    "layers.Conv2D(32, 3, strides=(2, 2), padding='same', input_shape=(28, 28, 1))": "conv 32 3x3 stride 2 pad 1",
    "nn.LazyConv2d(8, 3)": "conv 8 3x3",
    "MaxPool2d(2)": "maxpool 2",
    "nn.MaxPool2d(3, 2, 1)": "maxpool 3 stride 2 pad 1",
    "MaxPooling2D((2, 2))": "maxpool 2",
    "AveragePooling2D(pool_size=3, strides=2)": "avgpool 3 stride 2",
    "AdaptiveAvgPool2d([1, 1])": "gap",
    "GlobalAveragePooling2D()": "gap",
    "Linear(64, 10)": "linear 10",
    "nn.Linear(in_features=64, out_features=10, bias=False)": "linear 10 nobias",
    "Dense(10)": "linear 10",
    "Dense(64, activation=tf.nn.relu)": "linear 64 block linear relu",
    "Dense(10, 'softmax')": "linear 10",
    "DepthwiseConv2D(3, padding='same')": "depthwise 3x3 pad 1",
    "SeparableConv2D(16, 3, padding='same')": "depthwise 3x3 pad 1 bare|conv 16 1x1",
    "conv1x1 8": "conv 8 1x1",
    "conv5x5 8 pad 2": "conv 8 5x5 pad 2",
    "pointwise 8": "conv 8 1x1",
    "separable 8": "depthwise bare|conv 8 1x1",
    "Conv2d(1, 8, (3, 5))": "conv 8 3x5",
    "nn.Conv2d(1, 64, (10, 4), stride=(2, 1), padding=(5, 1))": "conv 64 10x4 stride 2x1 pad 5x1",
    "Conv2D(64, (10, 4), strides=(2, 2), padding='same')": "conv 64 10x4 stride 2 pad 4x1",
    "MaxPool2d((2, 1))": "maxpool 2x1",
    "nn.AvgPool2d((4, 2), stride=(2, 2), padding=(1, 0))": "avgpool 4x2 stride 2 pad 1x0",
    "DepthwiseConv2D((3, 1), padding='same')": "depthwise 3x1 pad 1x0",
    "nn.Conv1d(1, 8, 9, stride=2, padding=4)": "conv 8 1x9 stride 1x2 pad 0x4",
    "Conv1D(8, 3, padding='same', activation='relu')": "conv 8 1x3 pad 0x1",
    "MaxPooling1D(2)": "maxpool 1x2",
    "sepconv 8 5x5 pad 2": "depthwise 5x5 pad 2 bare|conv 8 1x1",
}


@pytest.mark.parametrize("text", FOREIGN)
def test_a_layer_in_the_words_of_another_library_is_translated(text: str) -> None:
    with pytest.raises(LadderError) as refused:
        parse(text)
    layers = FOREIGN[text].split("|")
    listed = ", ".join(f"'{each}'" for each in layers)
    start = f"layer {text!r}: that is not how a layer is written here; write {listed}"
    assert str(refused.value).startswith(start)
    for each in layers:
        parse(each)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Conv2d(1, 8, (3, 5, 7))", "did you mean 'conv'?"),
        ("conv1d 8", "a signal is an image of one row, and its kernel has one: 'conv 8 1x3'"),
        ("Conv2d(8, 16, 3, dilation=2)", "there is no dilation here"),
        ("Conv2d(8, 16, 3, groups=2)", "there are no groups here but the 'depthwise' layer"),
        ("Conv2d(1, 8, 3, padding=5)", "pad 5 must be smaller than the kernel"),
        ("Conv2D(8, 3, activation='gelu')", "write 'conv 8 3x3'; of activations 'relu' and 'leaky' are known"),
        ("Dense(10, activation='softmax')", "write 'linear 10'; the loss takes the softmax"),
        ("nn.Dropout(0.25)", "dropout = 0.25"),
        ("relu", "leave it out, relu, norm and dropout follow every convolution already"),
        ("BatchNorm2d(8)", "leave it out, relu, norm and dropout follow every convolution already"),
        ("nn.ReLU()", "leave it out, relu, norm and dropout follow every convolution already"),
        ("conv 8 relu", "leave it out: relu, norm and dropout follow every convolution already"),
        ("conv 8 batchnorm", "leave it out: relu, norm and dropout follow every convolution already"),
        ("Conv2d(" + "(" * 250, "did you mean 'conv'?"),
        ("Conv2d(1, 8, kernel_size=k)", "did you mean 'conv'?"),
    ],
)
def test_what_no_layer_here_is_has_its_remedy(text: str, words: str) -> None:
    with pytest.raises(LadderError) as refused:
        parse(text)
    assert words in str(refused.value)


def test_layers_are_frozen_values() -> None:
    layer = Conv(8)
    with pytest.raises(FrozenInstanceError):
        layer.kernel = 5  # type: ignore[misc]
    assert len({Conv(8), parse("conv 8 3x3"), Conv(8, bias=True)}) == 2
