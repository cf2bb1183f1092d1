"""``stepladder predict``, as a person runs it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import CommandLine
from numpy.typing import NDArray
from PIL import Image
from refusals import refused
from stored import as_before_models, make_store

from stepladder.cli.main import main
from stepladder.datasets import data
from stepladder.ladders.ladder_file import load
from stepladder.runs.model import load_model
from stepladder.runs.results import Results, collect
from stepladder.runs.store import Store

Command = Callable[..., Result]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ladder, its store, and pictures of digits."""
    folder = tmp_path_factory.mktemp("predict")
    make_store(folder)
    images = data.load("mnist").test.images[:5, 0]
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index}.png")
    large = Image.fromarray(255 - images[0]).resize((60, 40)).convert("RGB")
    large.save(folder / "photo.png")
    (folder / "text.png").write_text("no picture")
    (folder / "half.png").write_bytes((folder / "0.png").read_bytes()[:-40])
    return folder


@pytest.fixture
def command(home: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``stepladder predict ...`` in this process, in that folder."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(main, ["predict", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture(scope="module")
def digits(home: Path) -> NDArray[np.uint8]:
    """The pictures' pixels (5, 28, 28)."""
    return np.stack([np.array(Image.open(home / f"{index}.png")) for index in range(5)])


@pytest.fixture
def results(home: Path) -> Results:
    return collect(load(home / "small.toml"), Store.open(home / "runs"))


def classes(result: Result) -> list[tuple[str, str]]:
    """The picture and the class of each line of the table."""
    lines = result.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("---"))
    return [(words[0], words[1]) for line in lines[start + 1 :] if len(words := line.split()) == 3]


def test_it_names_the_class_of_each_picture(command: Command, results: Results, digits: NDArray[np.uint8]) -> None:
    """By the top rung's run of median accuracy; as the model does in Python."""
    files = [f"{index}.png" for index in range(5)]
    result = command("small.toml", *files)
    assert result.exit_code == 0, result.stderr
    model = results.rungs[-1].typical_model()
    expected = model.predict(digits)
    assert classes(result) == [(file, str(label)) for file, label in zip(files, expected, strict=True)]
    assert model.origin is not None
    assert f"By seed {model.origin.seed} of 'slower' on small: 94 parameters, " in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("rung", ["start", "slower"])
def test_a_run_is_chosen_by_rung_and_seed(
    command: Command, results: Results, digits: NDArray[np.uint8], rung: str, seed: int
) -> None:
    result = command("small.toml", "1.png", "--rung", rung, "--seed", seed, "--json", "--top", 10)
    found = json.loads(result.stdout)
    run = next(each for each in results.rungs[["start", "slower"].index(rung)].runs if each.identity.seed == seed)
    origin = found["model"]["origin"]
    assert (origin["rungs"], origin["seed"], origin["key"]) == ([rung], seed, run.identity.key)
    assert run.final is not None
    assert origin["accuracy"] == run.final.n_correct
    shares = {each["label"]: each["probability"] for each in found["pictures"][0]["classes"]}
    model = Store.open("runs").model(run)
    expected = model.probabilities(digits[1:2])[0]
    assert [shares[label] for label in range(10)] == expected.tolist()
    assert found["model"]["weights_sha256"] == run.weights_sha256


def test_a_file_is_a_model(command: Command, results: Results, home: Path, tmp_path: Path) -> None:
    """The weights of a run, and what was saved, from a folder with nothing else."""
    run = results.rungs[0].runs[1]
    shutil.copy(home / "runs" / f"{run.identity.key}.safetensors", tmp_path / "weights.safetensors")
    results.rungs[0].model(2).save(tmp_path / "saved.model")
    for name, words in (
        ("weights.safetensors", "seed 2 on small: 94 p"),
        ("saved.model", "seed 2 of 'start' on small"),
    ):
        result = command(tmp_path / name, "0.png", "3.png")
        assert result.exit_code == 0, result.stderr
        assert words in result.stdout
        assert classes(result) == classes(command("small.toml", "0.png", "3.png", "--rung", "start", "--seed", 2))
    result = command(tmp_path / "saved.model", "0.png", "--seed", 0, "--rung", "start")
    assert result.exit_code == 2
    assert "is the file of one network: leave --rung and --seed out" in result.stderr


def test_an_old_store_is_used_by_its_ladder(command: Command, results: Results, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "runs", tmp_path / "old")
    store = Store.open(tmp_path / "old")
    for run in results.rungs[0].runs:
        as_before_models(store, run)
    options = ("0.png", "--rung", "start", "--json")
    now, then = (command("small.toml", *options, "--store", each) for each in (home / "runs", tmp_path / "old"))
    assert now.exit_code == 0
    assert now.stdout == then.stdout


def test_what_is_done_to_a_picture_is_said(command: Command) -> None:
    result = command("small.toml", "photo.png", "--resize", "--invert")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "note: photo.png: converted from colour to grey",
        "note: photo.png: squeezed into a square of 28 x 28 pixels",
    ]
    forgotten = command("small.toml", "photo.png", "0.png", "--resize", "--json")
    assert "note: photo.png: light and dark may be the other way around" in forgotten.stderr
    photo, digit = json.loads(forgotten.stdout)["pictures"]
    assert photo["notes"] == ["converted from colour to grey", "squeezed into a square of 28 x 28 pixels"]
    assert digit["notes"] == []


def test_a_note_is_said_once(command: Command, tmp_path: Path) -> None:
    image = np.zeros((28, 28, 3), np.uint8)
    files = [tmp_path / f"{index}.png" for index in range(30)]
    for file in files:
        Image.fromarray(image).save(file)
    result = command("small.toml", *files)
    assert result.stderr == f"note: 30 pictures, such as {files[0]}: converted from colour to grey\n"


def test_pictures_that_cannot_be_used_are_all_listed(command: Command) -> None:
    for more in ((), ("--json",)):
        result = command("small.toml", "0.png", "text.png", "gone.png", "photo.png", "half.png", "1.png", *more)
        assert result.exit_code == 4
        lines = result.stderr.splitlines()
        assert lines[0].startswith("text.png: text, which is no picture")
        assert lines[1] == "gone.png: cannot be read: No such file or directory"
        assert lines[2].startswith("photo.png: 60 x 40 pixels, and this network takes 28 x 28: crop it")
        assert lines[2].endswith("add --resize")
        assert lines[3].startswith("half.png: a damaged picture")
        assert lines[4:] == ["Error: 4 of 6 pictures cannot be used: see above"]
        if more:
            found = json.loads(result.stdout)
            assert [each["file"] for each in found["pictures"]] == ["0.png", "1.png"]
            assert found["problems"] == lines[:4]
        else:
            assert [file for file, _ in classes(result)] == ["0.png", "1.png"]
    assert command("small.toml", "text.png").stdout == ""


def test_the_most_probable_classes_are_shown_in_order(command: Command) -> None:
    result = command("small.toml", "0.png", "--top", 99, "--json")
    (picture,) = json.loads(result.stdout)["pictures"]
    shares = [each["probability"] for each in picture["classes"]]
    assert len(shares) == 10
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert (picture["label"], picture["class"], picture["probability"]) == tuple(picture["classes"][0].values())
    lines = command("small.toml", "0.png", "--top", 3).stdout.splitlines()
    assert [line.split()[-2] for line in lines if line.endswith("%")] == [
        each["class"] for each in picture["classes"][:3]
    ]


def test_no_network_is_shown_as_sure_beyond_doubt(home: Path, tmp_path: Path, command: Command) -> None:
    model = load_model(next((home / "runs").glob("*/seed-1.*.safetensors")))
    weights = {name: array.copy() for name, array in model.weights.items()}
    weights["2.bias"][3] += 1e6
    type(model)(model.network, weights, model.pixel_mean, model.pixel_std, model.class_names).save(tmp_path / "sure")
    assert "3           99.99%" in command(tmp_path / "sure", "0.png").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("small.toml", "0.png", "--rung", "x"), "no rung 'x'; it has start, slower"),
        (("small.toml", "0.png", "--seed", "7"), "no stored run of seed 7 of rung 'slower': there are seeds 1 to 2"),
        (("small.toml", "0.png", "--engine", "torch"), "no stored run of an engine 'torch'"),
        (("small.toml", "0.png", "--store", "empty"), "climb first, or give another folder with --store"),
        (("nothing", "0.png"), "no ladder 'nothing'"),
        (("gone.safetensors", "0.png"), "gone.safetensors: this model cannot be read: No such file"),
        (("small.npz", "0.png"), "small.npz: a zip archive"),
        (
            ("0.png", "small.toml"),
            "0.png is a PNG picture: name the model first, then the pictures, as in stepladder predict mine.toml 0.png",
        ),
        (("small.toml",), "Missing argument 'IMAGE...'"),
        (("small.toml", "0.png", "--top", "0"), "0 is not in the range x>=1"),
    ],
)
def test_refusals(command: Command, arguments: tuple[str, ...], words: str) -> None:
    result = command(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("Error: ") == 1


def test_a_command_of_its_own_ends_as_documented(stepladder: CommandLine, home: Path) -> None:
    done = stepladder("predict", home / "small.toml", "gone.png", "--store", home / "runs")
    refused(done, 4, "1 of 1 picture cannot be used")


def test_no_engine_is_loaded(home: Path) -> None:
    script = (
        "import sys, atexit\n"
        "from stepladder.cli.main import main\n"
        "atexit.register(lambda: print('IMPORTED', *sorted(set(sys.modules) & {'torch', 'llvmlite', 'rich'})))\n"
        "main(['predict', 'small.toml', '0.png'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=home, check=True)
    assert done.stdout.splitlines()[-1] == "IMPORTED"
