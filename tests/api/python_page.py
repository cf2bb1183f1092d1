"""The programs of docs/python.md, and what they need to run in a moment."""

import re
from pathlib import Path
from typing import Any

import numpy as np

import stepladder as sl

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
PROGRAM = BLOCKS[1]  # from the first rung to a network

QUICK = {"seeds=8": "seeds=2", "epochs=5)": "epochs=1)", "sl.Target(99.0)": "sl.Target(99.0, last_epochs=1)"}
SMALL = {'data="mnist"': 'data="tiny.npz"'}


def program(replaced: dict[str, str]) -> str:
    """The page's program with fewer seeds, epochs or images."""
    text = PROGRAM
    for before, after in replaced.items():
        assert before in text
        text = text.replace(before, after)
    return text


def make_ready(folder: Path) -> None:
    """A small data set and a ladder file on it, as the page has them."""
    mnist, few = sl.dataset("mnist"), slice(0, 400)
    parts: dict[str, Any] = {"x_train": mnist.train.images[few, 0], "y_train": mnist.train.labels[few]}
    np.savez(folder / "tiny.npz", **parts, x_test=mnist.test.images[few, 0], y_test=mnist.test.labels[few])
    limits: dict[str, Any] = {"budget": sl.Budget(params=2_000, epochs=5), "target": sl.Target(20.0, last_epochs=1)}
    recipe = sl.Recipe(network=["conv 4 stride 2", "maxpool 2", "conv 6", "gap", "linear 10"], epochs=1)
    ladder = sl.ladder("mine", data=folder / "tiny.npz", **limits).start("small", recipe, why="small")
    text = ladder.then("faster", lr=0.05, why="it learns slowly").to_toml(folder=folder)
    (folder / "mine.toml").write_text(text, encoding="utf-8")
