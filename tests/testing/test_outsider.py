"""A package of somebody else's, installed into a folder of its own: its engine and its sources are found by name."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENGINES, DATASETS, TRACKERS = "stepladder.engines", "stepladder.datasets", "stepladder.trackers"
TOY = {
    ENGINES: {"toy": "toy:ToyEngine"},
    DATASETS: {"stripes": "toy:Stripes", ".stripes": "toy:StripesFile"},
    TRACKERS: {"lines": "toy:Lines"},
}

LADDER = """\
name = "striped"
data = {data!r}
evaluate_on = "test"
budget = {{ params = 1000, epochs = 10 }}
target = {{ accuracy = 50, last_epochs = 1 }}

[[rung]]
name = "start"
why = "small enough to train in a moment"
[rung.recipe]
network = {network}
block = "conv relu dropout"
epochs = 3

[[rung]]
name = "dropout"
why = "draws random numbers"
change.dropout = 0.1
"""
NETWORK = ["conv 4", "conv 6 stride 2", "gap", "linear 4"]
SUITE = """\
import json
from pathlib import Path

from stepladder.testing import DatasetConformance, EngineConformance, TrackerConformance
from stepladder.testing.trackers import Seen
from toy import Lines, ToyEngine


class TestToy(EngineConformance):
    layers = ("conv 6 stride 2", "conv 8", "gap", "linear 10")
    block = "conv relu dropout"

    def make_engine(self):
        return ToyEngine()


class TestStripes(DatasetConformance):
    def make_data(self, folder):
        return "stripes:4"

    def make_damaged(self, folder):
        return ["stripes:many", "stripes:"]


class TestStripesFile(DatasetConformance):
    def make_data(self, folder):
        (folder / "my.stripes").write_text("4")
        return str(folder / "my.stripes")

    def make_damaged(self, folder):
        for text in ("bug", "flat", "four"):
            (folder / f"{text}.stripes").write_text(text)
            yield str(folder / f"{text}.stripes")
        yield str(folder / "nothing.stripes")


class TestLines(TrackerConformance):
    def make_tracker(self, folder):
        return Lines(str(folder / "lines"))

    def seen(self, folder):
        return [self.read(path) for path in sorted(folder.glob("lines/*.json"))]

    def read(self, path):
        kept, values = json.loads(path.read_text()), {}
        for epoch, _, metrics in kept["points"]:
            for name, value in metrics.items():
                values.setdefault(name, {})[epoch] = value
        return Seen(kept["group"], kept["params"], values, {epoch: at_s for epoch, at_s, _ in kept["points"]})
"""


def install(folder: Path, name: str, brings: Mapping[str, Mapping[str, str]]) -> None:
    """What pip leaves of a package of one module, ``toy``, in a folder of packages."""
    folder.mkdir(exist_ok=True)
    shutil.copy(HERE / "toy.py", folder)
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = (f"[{group}]\n" + "".join(f"{key} = {of}\n" for key, of in each.items()) for group, each in brings.items())
    (info / "entry_points.txt").write_text("\n".join(groups))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where this process's children, and theirs, look for packages too."""
    folder = tmp_path / "packages"
    install(folder, "toy-engine", TOY)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    )
    return folder


def program(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "stepladder", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def write_ladder(folder: Path, data: str = "stripes:4", network: list[str] | None = None) -> Path:
    path = folder / "striped.toml"
    path.write_text(LADDER.format(data=data, network=json.dumps(network or NETWORK)))
    return path


def test_a_strangers_engine_climbs_on_a_strangers_images(packages: Path, tmp_path: Path) -> None:
    """By children of the program, which find both anew; and what they stored is read where neither is installed."""
    write_ladder(tmp_path)
    climbed = program("climb", "striped.toml", "--engine", "toy", "--seeds", "2", "--json", folder=tmp_path)
    assert climbed.returncode in (0, 1), climbed.stderr
    told = json.loads(climbed.stdout)
    assert told["engine"]["name"] == "toy"
    assert told["engine"]["revision"] == 1
    assert [rung["seeds"] for rung in told["rungs"]] == [[1, 2], [1, 2]]
    assert "toy 1.0 on cpu, revision 1: asked for" in climbed.stderr
    checked = program("runs", "check", "striped.toml", folder=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "4 agree" in checked.stdout
    shutil.rmtree(packages)
    listed = program("runs", "list", folder=tmp_path)
    assert listed.stdout.count("toy-1.0-cpu-r1") == 2, listed.stdout
    gone = program("climb", "striped.toml", "--engine", "toy", folder=tmp_path)
    assert gone.returncode == 4
    assert "stripes is a package's kind of data, install the package here" in gone.stderr
    write_ladder(tmp_path, data="mnist", network=["conv 4", "gap", "linear 10"])
    gone = program("climb", "striped.toml", "--engine", "toy", folder=tmp_path)
    assert gone.returncode == 2
    assert "no engine 'toy'; known are auto, jit, torch" in gone.stderr


def suite(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """What pytest says of the suites in a folder that knows nothing of ours."""
    folder.mkdir()
    (folder / "test_toy.py").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        *options,
        "test_toy.py",
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_suites_run_in_a_strangers_folder(packages: Path, tmp_path: Path) -> None:
    assert packages.exists()
    done = suite(tmp_path / "theirs")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


MISTAKES = {
    "/ len(labels))[:": "/ len(labels) * 1.01)[:",  # gradients a little too large
    "< share) / share)": "< share) / 1)",  # dropout that does not scale
    "self.random = np": "self.random = self.random if hasattr(self, 'random') else np",  # draws of epochs before
    "np.random.default_rng(1).integers": "np.random.default_rng().integers",  # other images each time
    "self._evaluated(self._images(indices, w": "self._evaluated(self._images(np.sort(indices), w",  # in another order
    "self.parameters = np.zeros(network.params, np.float32)": "self.parameters = SHARED[: network.params]",
    'if kept["is_over"] and not run.is_over': "if False",  # a run that is over begins again
}
FINDERS = {
    "test_gradients_are_those_by_differences",
    "test_dropout_keeps_the_mean",
    "test_going_on_from_an_epoch_ends_as_if_never_stopped",
    "test_reading_again_gives_the_same",
    "test_answers_are_those_of_the_reference",
    "test_models_share_nothing",
    "test_a_run_that_is_over_stays_as_it_is",
}


def test_a_suite_finds_what_is_wrong(packages: Path, tmp_path: Path) -> None:
    text = (packages / "toy.py").read_text()
    for right, wrong in MISTAKES.items():
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    (packages / "toy.py").write_text(f"{text}\n\nSHARED = np.zeros(100_000, np.float32)\n")
    done = suite(tmp_path / "theirs", "-k", " or ".join(FINDERS), "--tb=no")
    failed = [line.split()[1].partition("[")[0] for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert {name.rpartition("::")[2] for name in failed} == FINDERS


def test_a_layer_that_an_engine_lacks_is_refused_before_anything_trains(packages: Path, tmp_path: Path) -> None:
    assert packages.exists()
    write_ladder(tmp_path, network=["conv 4", "squeeze-excite 2", "conv 4 block conv leaky 0.1", "gap", "linear 4"])
    done = program("climb", "striped.toml", "--engine", "toy", folder=tmp_path)
    assert done.returncode == 2
    assert (
        "rung 'start': the toy engine has no code for layer 2 ('squeeze-excite 2'), the leaky of layer 3"
        " ('conv 4 3x3 block conv leaky 0.1'): use --engine jit" in done.stderr
    )
    assert not list(tmp_path.glob("runs/*/*"))


def test_a_device_that_it_does_not_know_it_refuses_itself(packages: Path, tmp_path: Path) -> None:
    assert packages.exists()
    write_ladder(tmp_path)
    done = program("climb", "striped.toml", "--engine", "toy", "--device", "cuda", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the toy engine knows no GPUs: use --device cpu" in done.stderr


BROKEN = {
    "does not load": ("other", {"toy_two": "nowhere:Engine"}, "toy_two", "of other 1.0 does not load (ModuleNotFound"),
    "two of a name": ("other", {"toy": "toy:ToyEngine"}, "toy", "by other 1.0 and by toy-engine 1.0: uninstall one"),
    "a built-in name": ("other", {"jit": "toy:ToyEngine"}, "jit", "other 1.0 brings the engine 'jit', and that name"),
    "another name": ("other", {"toy_two": "toy:ToyEngine"}, "toy_two", "is none: it calls itself 'toy', so that"),
    "no engine": ("other", {"toy_two": "toy:Stripes"}, "toy_two", "cannot be made (TypeError"),
    "half an engine": ("other", {"toy_two": "toy:Unfinished"}, "toy_two", "of other 1.0 is none: it has no versions"),
    "unknown": ("other", {}, "toi", "no engine 'toi'; did you mean 'toy'?"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_had_is_told_in_one_message(case: str, packages: Path, tmp_path: Path) -> None:
    name, brings, asked, message = BROKEN[case]
    install(packages, name, {ENGINES: brings})
    script = (
        "from stepladder import choose_engine, EngineError\n"
        f"try:\n    print(choose_engine({asked!r}))\nexcept EngineError as error:\n    print('REFUSED', error)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("REFUSED")
    refused = done.stdout.replace("by toy-engine 1.0 and by other 1.0", "by other 1.0 and by toy-engine 1.0")
    assert message in refused


def test_a_stranger_takes_no_name_from_a_built_in_source(packages: Path, tmp_path: Path) -> None:
    install(packages, "other", {DATASETS: {".npz": "toy:StripesFile"}})
    (tmp_path / "set.npz").write_text("4")
    write_ladder(tmp_path, data="set.npz")
    done = program("check", "striped.toml", folder=tmp_path)
    assert done.returncode == 4
    assert "other 1.0 brings the data source '.npz', and that name is a built-in one's" in done.stderr


def test_a_strangers_file_is_seen_from_the_ladders_folder(packages: Path, tmp_path: Path) -> None:
    assert packages.exists()
    (tmp_path / "ladders").mkdir()
    (tmp_path / "ladders" / "my.stripes").write_text("4")
    write_ladder(tmp_path / "ladders", data="my.stripes")
    done = program("check", "ladders/striped.toml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "my" in done.stdout


@pytest.mark.parametrize(("text", "message"), [("bug", "cannot give its read (KeyError"), ("flat", "are wanted")])
def test_a_strangers_mistake_is_bad_data_and_says_whose(
    text: str, message: str, packages: Path, tmp_path: Path
) -> None:
    assert packages.exists()
    (tmp_path / "my.stripes").write_text(text)
    write_ladder(tmp_path, data="my.stripes")
    done = program("check", "striped.toml", folder=tmp_path)
    assert done.returncode == 4
    assert "the data source '.stripes' of toy-engine 1.0" in done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("given:nothing", "of other 1.0 gives None; arrays by name are wanted: train-images, train-labels"),
        ("given:a list", "arrays by name are wanted"),
        ("given:lists", "gives train-images as a list; an array of numpy is wanted"),
        ("given:numbered", "gives the arrays 0, 1, 2, 3; train-images, train-labels, test-images, test-labels are"),
        ("given:an end", "cannot give its read (SystemExit: 0)"),
        ("given:a colour", "a name is to be one line of characters that can be seen, not '\\x1b[31m'"),
        ("given:a stamp", "a stamp is to be a text, a number or a tuple of them, not (['a stamp'],)"),
        ("unmade:4", "'unmade' of other 1.0 cannot be made without arguments (TypeError"),
        ("ending:4", "'ending' of ending 1.0 does not load (SystemExit: 0): install ending 1.0 again, or leave it out"),
    ],
)
def test_what_a_stranger_should_not_give_is_refused(data: str, message: str, packages: Path, tmp_path: Path) -> None:
    """Not with a traceback, and least of all with an end of the program that says nothing."""
    install(packages, "other", {DATASETS: {"given": "toy:Given", "unmade": "toy:without_arguments"}})
    install(packages, "ending", {DATASETS: {"ending": "ending:Source"}})
    (packages / "ending.py").write_text("import sys\nsys.exit(0)\n")
    script = (
        "from stepladder import dataset, DataError\n"
        f"try:\n    print(dataset({data!r}))\nexcept DataError as error:\n    print('REFUSED', error)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("REFUSED"), done.stdout
    assert message in done.stdout


def test_packages_are_not_looked_at_for_what_is_built_in(packages: Path, tmp_path: Path) -> None:
    """Not by help, nor by a check of MNIST; pydantic looks for plugins of its own whatever we do."""
    assert packages.exists()
    script = (
        "import sys, atexit, importlib.metadata as metadata\n"
        "looked, plain = [], metadata.entry_points\n"
        "metadata.entry_points = lambda **how: (looked.append(how['group']), plain(**how))[1]\n"
        "from stepladder.cli.main import main\n"
        "atexit.register(lambda: print('LOOKED', set(looked) - {{'pydantic'}}, 'toy' in sys.modules))\n"
        "main({arguments})"
    )
    for arguments in (["--help"], ["check", "mnist-8k"]):
        command = [sys.executable, "-c", script.format(arguments=arguments)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "LOOKED set() False"


def test_a_first_ladder_of_a_strangers_images(packages: Path, tmp_path: Path) -> None:
    assert packages.exists()
    done = program("new", "stripes:4", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'data = "stripes:4"' in (tmp_path / "stripes-4.toml").read_text()
    assert program("check", "stripes-4.toml", folder=tmp_path).returncode == 0


def test_a_climb_is_tracked_by_a_stranger(packages: Path, tmp_path: Path) -> None:
    assert packages.exists()
    write_ladder(tmp_path)
    words = ("--engine", "toy", "--seeds", "1", "--track", "lines", "--log-dir", "told")
    climbed = program("climb", "striped.toml", *words, folder=tmp_path)
    assert climbed.returncode in (0, 1), climbed.stderr
    assert "tracked in " in climbed.stderr
    assert len(list(tmp_path.glob("told/*.json"))) == 2
    replayed = program("replay", "striped.toml", "--to", "lines", "--log-dir", "told", folder=tmp_path)
    assert replayed.returncode == 0, replayed.stderr


NO_TRACKERS = {
    "does not load": ("nowhere:Tracker", "the tracker 'bad' of other 1.0 does not load (ModuleNotFound"),
    "half of one": ("toy:HalfATracker", "the tracker 'bad' of other 1.0 is none: it has no tell; see docs/extending"),
    "none": ("toy:Stripes", "the tracker 'bad' of other 1.0 cannot be had (TypeError"),
}


@pytest.mark.parametrize("case", NO_TRACKERS)
def test_what_is_no_tracker_is_told_in_one_message(case: str, packages: Path, tmp_path: Path) -> None:
    home, message = NO_TRACKERS[case]
    install(packages, "other", {TRACKERS: {"bad": home}})
    script = (
        "from stepladder import TrackerError, replay\n"
        "try:\n    replay(None, 'bad')\nexcept TrackerError as error:\n    print('REFUSED', error)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("REFUSED")
    assert message in done.stdout
