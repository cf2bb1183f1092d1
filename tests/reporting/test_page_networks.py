"""Networks that the page draws, and runs, though it has not all of their layers in its tables."""

from typing import Any

import pytest

from stepladder.networks.geometry import ImageShape, Network
from stepladder.networks.ops import Block, LeakyRelu, SqueezeExcite
from stepladder.networks.text import parse
from stepladder.reporting.html import network_picture, page_networks

TEXTS = ("conv 4 block conv leaky 0.1", "squeeze-excite 2", "gap", "linear 10")
NETWORK = Network(tuple(map(parse, TEXTS)), Block(), ImageShape(1, 8, 10))


def test_a_layer_without_a_picture_is_a_plain_block_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: dict[Any, Any] = network_picture.LAYERS
    monkeypatch.delitem(pictures, SqueezeExcite, raising=False)
    drawn = network_picture.blocks(NETWORK, dropout=0.0)[1]
    assert (drawn.kind, drawn.operation) == ("plain", "squeeze-excite 2")


def test_a_network_that_the_page_has_no_code_for_is_not_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_networks, "UNSUPPORTED", frozenset([LeakyRelu]))
    assert not page_networks.can_run(NETWORK)
    assert page_networks.can_run(Network(tuple(map(parse, TEXTS[1:])), Block(), NETWORK.image))
