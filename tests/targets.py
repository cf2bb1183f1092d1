"""What each target has code for, by its own tables, what it says that it lacks, and where both stand.

A test that a target cannot take part in, because an operation is in none of its tables, is skipped or tries other
networks: that the operation is missing is for tests/networks/test_ops.py alone to say, with the file to open.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from stepladder.engines import Engine
from stepladder.engines.jit import network as jit
from stepladder.engines.jit.steps import activations
from stepladder.engines.lacks import in_none_of, lacking
from stepladder.engines.torch import ops as torch_ops
from stepladder.engines.torch import stacked_ops
from stepladder.networks.geometry import Network
from stepladder.networks.ops import LAYERS, STEPS
from stepladder.reporting.html import network_picture, page_networks

PAGE = Path(page_networks.__file__).parent / "page" / "network.js"


@dataclass(frozen=True)
class Target:
    """What a target has code for, what it says that it lacks, and where both stand."""

    has: Collection[type]
    lacks: Collection[type]
    file: str


def in_page(table: str, named: dict[str, type]) -> set[type]:
    """The operations that a table of the page's JavaScript has a key for."""
    body = re.search(rf"^const {table} = {{\n(.*?)^}};", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert body is not None
    return {named[key] for key in re.findall(r"^  (\w+):", body[1], re.MULTILINE)}


TITLES: dict[str, type] = {layer.title: layer for layer in LAYERS.values()}
LAYER_TARGETS = {
    "torch": Target(torch_ops.LAYERS, torch_ops.UNSUPPORTED, "engines/torch/ops.py"),
    "torch, several seeds at once": Target(stacked_ops.LAYERS, stacked_ops.UNSUPPORTED, "engines/torch/stacked_ops.py"),
    "jit": Target(jit.LAYERS, jit.UNSUPPORTED, "engines/jit/network.py"),
    "page": Target(in_page("OPERATIONS", TITLES), page_networks.UNSUPPORTED, "reporting/html/page/network.js"),
    "picture": Target(network_picture.LAYERS, network_picture.UNSUPPORTED, "reporting/html/network_picture.py"),
}
STEP_TARGETS = {
    "torch": Target(torch_ops.STEPS, torch_ops.UNSUPPORTED, "engines/torch/ops.py"),
    "torch, several seeds at once": Target(stacked_ops.STEPS, stacked_ops.UNSUPPORTED, "engines/torch/stacked_ops.py"),
    "jit": Target(
        {*activations.ACTIVATIONS, *activations.OF_ANOTHER_KIND},
        activations.UNSUPPORTED,
        "engines/jit/steps/activations.py",
    ),
    "page": Target(in_page("STEPS", dict(STEPS)), page_networks.UNSUPPORTED, "reporting/html/page/network.js"),
}


def require_in_engine(engine: Engine, network: Network) -> None:
    """Skip a test of what an engine lacks."""
    if lacks := engine.lacks(network):
        pytest.skip(f"the {engine.identity.name} engine has no code for {', '.join(lacks)}")


def require_in_page(network: Network) -> None:
    """Skip a test of what the page's JavaScript lacks."""
    if lacks := lacking(network, in_none_of(LAYER_TARGETS["page"].has, STEP_TARGETS["page"].has)):
        pytest.skip(f"the page has no code for {', '.join(lacks)}")
