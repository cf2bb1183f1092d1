"""The text form of layers, such as ``conv 16 3x3 pad 1``. No numpy, no torch.

The vocabulary (brackets mark what may be left out)::

    conv OUT [HxW] [stride S] [pad P] [bias] [bare | block conv STEP ...]     kernel 3x3 unless given
    depthwise [HxW] [stride S] [pad P] [bias] [bare | block depthwise STEP ...]
    maxpool K [stride S] [pad P]                                              K or HxW; stride K unless given
    avgpool K [stride S] [pad P]
    gap                                                                       global average pool
    residual N                                                                plus what went into the N-th layer back
    squeeze-excite R                                                          channels times what their means decide
    linear OUT [nobias] [block linear STEP ...]                               bare and biased unless given

A stride or a pad is one number for both directions, or HxW: ``conv 16 10x4 stride 2x1 pad 5x1`` for spectrograms,
``conv 8 1x9 pad 0x4`` for signals, which are images of one row.

A STEP is ``relu``, ``leaky SLOPE`` (a ReLU that lets negative values through, times the slope: ``leaky 0.1``), ``norm``
or ``dropout``. A convolution takes its steps from the recipe's block order, such as ``conv relu norm dropout``;
``bare`` is short for no steps at all, and ``block`` gives a layer an order of its own.
"""

import re

from stepladder._base.wording import did_you_mean, shown, translation
from stepladder.errors import LadderError
from stepladder.networks.layer_code import meant_by
from stepladder.networks.ops import LAYERS, Layer
from stepladder.networks.ops.words import Words

_RATE = re.compile(r"0?\.[0-9]{1,9}")


def parse(text: str) -> Layer:
    """Read one layer from its text form; ``parse(str(layer)) == layer``.

    Raises LadderError that names the layer, the word and the remedy.
    """
    words = Words(text)
    if not words.left:
        raise LadderError(f"an empty layer; known layers are {', '.join(LAYERS)}")
    if meant := _meant_elsewhere(text):
        raise words.refuse(f"that is not how a layer is written here; {meant}")
    kind = words.left.pop(0)
    if kind not in LAYERS:
        rate = next((word for word in words.left[:1] if kind.lower() == "dropout" and _RATE.fullmatch(word)), None)
        place = f"; its rate belongs in the recipe, dropout = {rate}" if rate else ""
        raise LadderError(f"unknown layer {shown(kind)} in {shown(text)}{_layer_hint(kind)}{place}")
    words.example = LAYERS[kind].example
    return LAYERS[kind].read(words)


def _meant_elsewhere(text: str) -> str | None:
    """What to write instead of a layer as another library has it; None where it is none, or nothing that can be."""
    meant = meant_by(text)
    try:
        for each in meant.layers if meant else ():
            parse(each)
    except LadderError as error:
        return str(error)
    return str(meant) if meant else None


def _layer_hint(kind: str) -> str:
    """The end of a message about a layer that there is not."""
    known = list(LAYERS)
    joined = re.fullmatch(r"([a-z-]{1,20})[(,]?([0-9]{1,9})[),]?", kind)
    if joined and joined[1] in known and translation(kind, known, place="layer") in (None, joined[1]):
        return f"; write '{joined[1]} {joined[2]}'"
    return did_you_mean(kind, known, place="layer")
