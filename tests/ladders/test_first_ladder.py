"""What ``stepladder new`` writes: a ladder that is within its budget, has nothing to complain of, and climbs."""

import json
import tomllib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import CommandLine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stepladder.datasets.data import load as load_images
from stepladder.datasets.sources import MNIST, DataInfo
from stepladder.errors import DataError, LadderError
from stepladder.ladders.checking import check_rungs, excess_of, notes_of, require_declared, require_effects
from stepladder.ladders.first_ladder import SMALL, Labels, first_ladder, first_ladder_text, network_for, output_path
from stepladder.ladders.ladder_file import ladder_of, load
from stepladder.ladders.ladder_toml import data_path
from stepladder.networks.geometry import ImageShape
from stepladder.networks.sides import pair
from stepladder.recipes.recipe import Recipe

EVEN = Labels(Fraction(1, 10))


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 4),
    size=st.integers(2, 256),
    n_classes=st.integers(2, 200),
    n_train=st.integers(12, 100_000),
    largest=st.fractions(Fraction(1, 200), Fraction(999, 1000)),
)
def test_any_images_get_a_ladder_without_complaint(
    channels: int, size: int, n_classes: int, n_train: int, largest: Fraction
) -> None:
    info = DataInfo("some set", ImageShape(channels, size, n_classes), n_train, 10)
    n_trained = n_train - n_train // 6
    text = first_ladder_text(info, Labels(largest), data="set.npz", n_trained=n_trained, file="some-set.toml")
    ladder = ladder_of(text, Path("some-set.toml"))
    rungs = check_rungs(ladder, info)
    require_declared(ladder)
    require_effects(ladder, info)
    assert excess_of(rungs) == []
    assert notes_of(rungs) == []
    assert len(ladder.rungs) == 3
    assert 100 * largest < ladder.rungs[-1].target.accuracy
    assert rungs[0].network.params >= 0.5 * ladder.rungs[0].budget.params - 1_000


def test_uneven_classes_get_a_balanced_target() -> None:
    info = DataInfo("set", ImageShape(1, 8, 3), 600, 10)
    for uneven in (False, True):
        text = first_ladder_text(info, Labels(Fraction(2, 3), uneven), data="x.npz", n_trained=500, file="x.toml")
        assert ladder_of(text, Path("x.toml")).rungs[0].target.balanced is uneven


@pytest.mark.parametrize("name", ['a "set"', "a\\b", "a\x7fb", "two words", "Ziffern-ä"])
def test_whatever_a_set_is_called_its_ladder_is_toml(name: str) -> None:
    info = DataInfo(name, ImageShape(1, 8, 3), 600, 10)
    text = first_ladder_text(info, EVEN, data=f"/sets/{name}.npz", n_trained=500, file="x.toml")
    assert tomllib.loads(text)["data"] == f"/sets/{name}.npz"
    assert ladder_of(text, Path("x.toml")).rungs


def test_of_mnist(tmp_path: Path) -> None:
    text = first_ladder("mnist", tmp_path / "mine.toml")
    ladder = ladder_of(text, tmp_path / "mine.toml")
    assert (ladder.data, ladder.evaluate_on, ladder.name) == ("mnist", "dev", "mnist")
    assert [rung.name for rung in ladder.rungs] == ["skeleton", "cosine", "shift"]
    assert ladder.rungs[0].budget.params == 8_000
    assert notes_of(check_rungs(ladder, MNIST)) == []


@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from([1, 3]))
@example(1, 64, 1)
@example(49, 10, 1)
@settings(deadline=None)
def test_its_network_fits_images_of_any_size(height: int, width: int, channels: int) -> None:
    """And looks at as much of them in each direction as square ones of that side are looked at."""
    image = ImageShape(channels, (height, width), 5)
    network = Recipe(network=network_for(image), epochs=1).network_for(image)
    assert all(side < SMALL for side in pair(network.rows[-2].in_size))
    for place, side in enumerate((height, width)):
        square = ImageShape(channels, side, 5)
        alone = Recipe(network=network_for(square), epochs=1).network_for(square)
        if side >= max(height, width):
            assert pair(network.receptive_field)[place] == pair(alone.receptive_field)[place]


def test_a_square_images_network_is_what_it_was() -> None:
    assert network_for(ImageShape(1, 28, 10)) == [
        *("conv 8 3x3", "maxpool 2", "conv 16 3x3", "maxpool 2", "conv 32 3x3 pad 1", "gap", "linear 10")
    ]
    assert network_for(ImageShape(1, (1, 20), 2)) == [
        *("conv 8 1x3", "maxpool 1x2", "conv 16 1x3", "maxpool 1x2", "conv 32 1x3 pad 0x1", "gap", "linear 2")
    ]


def save_colours(path: Path) -> None:
    """Sixty colour images of 9 x 9 pixels in two classes, one much the larger; own validation images."""
    random = np.random.default_rng(3)

    def part(n: int) -> tuple[NDArray[np.uint8], NDArray[np.int_]]:
        return random.integers(0, 256, (n, 3, 9, 9)).astype(np.uint8), np.array([0, 1, 1, 1] * (n // 4))

    (x, y), (x_val, y_val), (x_test, y_test) = part(60), part(20), part(20)
    np.savez(path, x_train=x, y_train=y, x_val=x_val, y_val=y_val, x_test=x_test, y_test=y_test)


def test_of_a_file_of_colour_images(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    save_colours(tmp_path / "sets" / "colours.npz")
    path = tmp_path / "mine.toml"
    path.write_text(first_ladder(str(tmp_path / "sets" / "colours.npz"), path))
    ladder = load(path)
    assert tomllib.loads(path.read_text())["data"] == "sets/colours.npz"
    assert Path(ladder.data).samefile(tmp_path / "sets" / "colours.npz")
    assert ladder.rungs[0].target.balanced
    info = load_images(ladder.data).info
    assert ladder.uses_own_validation(info)
    assert notes_of(check_rungs(ladder, info)) == []


def test_images_that_cannot_be_trained_on_get_none(tmp_path: Path) -> None:
    black = np.zeros((60, 9, 9), np.uint8)
    np.savez(tmp_path / "black.npz", x_train=black, y_train=[0, 1] * 30, x_test=black, y_test=[0, 1] * 30)
    with pytest.raises(DataError, match="black"):
        first_ladder(str(tmp_path / "black.npz"), tmp_path / "x.toml")
    with pytest.raises(DataError, match="no data at"):
        output_path(str(tmp_path / "nowhere"), None)


def test_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert output_path("mnist", None) == output_path("mnist", "-") == Path("mnist.toml")
    assert output_path(str(digits), None) == Path("digits.toml")
    Path("mnist.toml").write_text("mine")
    for output, message in (
        (None, "mnist.toml is there already, and is not overwritten"),
        ("mine.txt", "'mine.txt' is not a name for a ladder"),
        ("", "'.' is not a name for a ladder"),
        ("none/mine.toml", "cannot write none/mine.toml: its folder is not there"),
    ):
        with pytest.raises(LadderError, match=message):
            output_path("mnist", output)
    assert data_path("mnist", tmp_path) == "mnist"


def test_what_is_written_is_checked_and_climbs(stepladder: CommandLine, digits: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    written = stepladder("new", digits, "-o", path)
    assert (written.returncode, written.stdout) == (0, f"{path}\n")
    assert f"stepladder check {path}" in written.stderr
    checked = stepladder("check", path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "Note" not in checked.stdout
    text = path.read_text()
    again = stepladder("new", digits, "-o", path)
    assert (again.returncode, path.read_text()) == (2, text)
    assert "is there already" in again.stderr
    path.write_text(text.replace("epochs = 30 }", "epochs = 4 }").replace("\nepochs = 30", "\nepochs = 4"))
    climbed = stepladder("climb", path, "--seeds", "1")
    assert climbed.returncode in (0, 1), climbed.stderr
    assert "3 to train" in climbed.stderr


def test_it_is_printed_where_a_file_is_none(stepladder: CommandLine, tmp_path: Path) -> None:
    printed = stepladder("new", "mnist", "-o", "-")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert ladder_of(printed.stdout, tmp_path / "x.toml").name == "mnist"
    assert stepladder("new", "nowhere").returncode == 4
    path = tmp_path / "told.toml"
    told = stepladder("new", "mnist", "-o", path, "--json")
    assert json.loads(told.stdout) == {"schema_version": 1, "written": str(path)}
    assert load(path).name == "mnist"
    assert stepladder("new", "mnist", "-o", "-", "--json").returncode == 2
