"""Images that are not square, from a file to a page, as a person goes on the command line: spectrograms and signals."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CommandLine
from numpy.typing import NDArray
from PIL import Image

from stepladder.datasets import data
from stepladder.ladders.ladder_file import load
from stepladder.runs.results import collect
from stepladder.runs.store import Store

N_TRAIN, N_TEST = 400, 120


def keywords(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images of 49 x 10 pixels, as those of keywords are: digits (N, 28, 28), drawn out and thin."""
    resized = [Image.fromarray(each).resize((10, 49), Image.Resampling.BILINEAR) for each in digits]
    return np.stack([np.asarray(each) for each in resized])


def signals(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images of one row of 64 pixels: how dark digits (N, 28, 28) are by column and then by row."""
    profiles = np.concatenate([digits.mean(1), digits.mean(2), np.zeros((len(digits), 8))], 1)
    found: NDArray[np.uint8] = np.clip(2 * profiles, 0, 255).astype(np.uint8)[:, None]
    return found


KINDS = {"keywords": (keywords, (49, 10)), "signals": (signals, (1, 64))}


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_is_looked_at_climbed_reported_and_predicted(kind: str, stepladder: CommandLine, tmp_path: Path) -> None:
    made, (height, width) = KINDS[kind]
    mnist = data.load("mnist")
    arrays: dict[str, NDArray[Any]] = {}
    for prefix, part, n in (("train", mnist.train, N_TRAIN), ("test", mnist.test, N_TEST)):
        arrays |= {f"x_{prefix}": made(part.images[:n, 0]), f"y_{prefix}": part.labels[:n]}
    np.savez(tmp_path / f"{kind}.npz", **arrays)  # type: ignore[arg-type]

    looked = stepladder("data", f"{kind}.npz", "--json")
    assert looked.returncode == 0, looked.stderr
    assert json.loads(looked.stdout)["size"] == [height, width]
    assert stepladder("new", f"{kind}.npz", "-o", "mine.toml").returncode == 0
    text = (tmp_path / "mine.toml").read_text()
    text = text.replace("epochs = 30 }", "epochs = 2 }").replace("\nepochs = 30", "\nepochs = 2")
    (tmp_path / "mine.toml").write_text(text.replace("last_epochs = 3", "last_epochs = 1"))

    checked = stepladder("check", "mine.toml", "--json")
    assert checked.returncode == 0, checked.stderr
    first = json.loads(checked.stdout)["rungs"][0]["layers"][0]
    assert first["in_size"] == [height, width]
    assert f"{height}x{width}" in stepladder("check", "mine.toml").stdout

    climbed = stepladder("climb", "mine.toml", "--seeds", "1", "--jobs", "1")
    assert climbed.returncode in (0, 1), climbed.stderr
    assert "Engine: jit" in climbed.stdout
    assert stepladder("report", "mine.toml", "-o", "mine.html").returncode == 0
    page = (tmp_path / "mine.html").read_text()
    assert f"1 × {height} × {width}" in page
    assert re.search(r'<body style="--tall:[0-9.]+;--wide:[0-9.]+;--aspect:[0-9.]+">', page)
    assert ("Drawing area: drag to draw" in page) == (kind == "keywords"), "nobody draws a signal with a pen"

    Image.fromarray(arrays["x_test"][0]).save(tmp_path / "one.png")
    predicted = stepladder("predict", "mine.toml", "one.png", "--json")
    assert predicted.returncode == 0, predicted.stderr
    found = json.loads(predicted.stdout)
    assert found["model"]["size"] == [height, width]
    results = collect(load(tmp_path / "mine.toml"), Store.open(tmp_path / "runs"))
    model = results.rungs[-1].typical_model()
    assert found["pictures"][0]["label"] == model.predict(arrays["x_test"][:1])[0]
    refused = stepladder("search", "mine.toml", "--trials", "1", "--jobs", "1") if kind == "signals" else None
    if refused is not None:
        assert refused.returncode == 2
        assert "which images of 1 x 64 have no room for: climb networks of your own" in refused.stderr
