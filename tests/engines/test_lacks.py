"""What is in none of an engine's tables is refused in words: it is no error of the tables' own."""

from typing import Any

import pytest

from stepladder.engines import choose_engine, require_code
from stepladder.engines.jit.network import LAYERS as JIT_LAYERS
from stepladder.engines.jit.steps.activations import ACTIVATIONS
from stepladder.engines.lacks import in_none_of
from stepladder.engines.torch.ops import LAYERS as TORCH_LAYERS
from stepladder.engines.torch.ops import STEPS as TORCH_STEPS
from stepladder.errors import EngineError
from stepladder.networks.geometry import ImageShape, Network
from stepladder.networks.ops import LAYERS, STEPS, Block, LeakyRelu, SqueezeExcite
from stepladder.networks.text import parse

TEXTS = ("conv 4 block conv leaky 0.1", "squeeze-excite 2", "gap", "linear 10")
NETWORK = Network(tuple(map(parse, TEXTS)), Block(), ImageShape(1, 8, 10))
LEAKY, GATE = "the leaky of layer 1 ('conv 4 3x3 block conv leaky 0.1')", "layer 2 ('squeeze-excite 2')"
TABLES: dict[str, tuple[Any, Any]] = {"torch": (TORCH_LAYERS, TORCH_STEPS), "jit": (JIT_LAYERS, ACTIVATIONS)}


@pytest.mark.parametrize("name", TABLES)
def test_an_engine_lacks_what_is_in_none_of_its_tables(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layers, steps = TABLES[name]
    monkeypatch.delitem(layers, SqueezeExcite, raising=False)
    monkeypatch.delitem(steps, LeakyRelu, raising=False)
    engine = choose_engine(name, device="cpu")[0]
    assert engine.lacks(NETWORK) == [LEAKY, GATE]
    with pytest.raises(EngineError, match=f"the {name} engine has no code for the leaky of layer 1"):
        require_code(engine, NETWORK)


def test_what_is_in_a_table_is_lacked_by_nobody() -> None:
    assert in_none_of(LAYERS.values(), STEPS.values()) == frozenset()
    assert in_none_of(set(LAYERS.values()) - {SqueezeExcite}, STEPS.values()) == {SqueezeExcite}
