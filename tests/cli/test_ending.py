"""How a command ends, as a shell sees it: exit codes, streams that are closed or full, signals, bugs."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
import numpy as np
import psutil
import pytest
from conftest import stepladder_command
from processes import Climb

from stepladder._base.signals import Stopped
from stepladder.cli import ending
from stepladder.datasets import data
from stepladder.errors import EXIT_CODES, BudgetError, DataError, LadderError, UnfinishedClimbError

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and streams of POSIX")
FULL = pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")

LADDER = """\
name = "one"
data = {data!r}
evaluate_on = "test"
budget = {{ params = 1000, epochs = 9000 }}
target = {{ accuracy = {accuracy}, last_epochs = 1 }}

[[rung]]
name = "start"
why = "small enough to train in a moment"
recipe = {{ network = ["conv 4 3x3 stride 2", "gap", "linear 10"], lr = 0.05, epochs = {epochs} }}
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real digits."""
    whole, path = data.load("mnist"), tmp_path_factory.mktemp("images") / "few.npz"
    train, test = whole.train[:200], whole.test[:50]
    np.savez(path, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    return path


@pytest.fixture(scope="module")
def ladder(images: Path) -> Callable[..., Path]:
    def write(*, epochs: int, accuracy: float = 2.0) -> Path:
        path = images.parent / f"{epochs}-{accuracy}.toml"
        path.write_text(LADDER.format(data=str(images), epochs=epochs, accuracy=accuracy))
        return path

    return write


def shell(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """A script of bash's, in which ``$SL`` is the command."""
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=os.environ | {"SL": " ".join(stepladder_command()), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


# Exceptions.


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (LadderError("a\x1bb"), 2, "Error: a\\x1bb"),
        (BudgetError("over"), 3, "Error: over"),
        (DataError("gone"), 4, "Error: gone"),
        (UnfinishedClimbError("some"), 5, "Error: some"),
        (click.ClickException("no"), 2, "Error: no"),
        (click.FileError("f", "gone"), 2, "Error: Could not open file 'f': gone"),
        (click.UsageError("no\x9b"), 2, "Error: no\\x9b"),
        (click.Abort(), 130, "Interrupted; every finished epoch is kept. Go on with:\n  stepladder climb"),
        (KeyboardInterrupt(), 130, "Interrupted; every finished epoch is kept. Go on with:\n  stepladder climb"),
        (Stopped(signal.SIGTERM), 143, "Go on with:\n  stepladder climb"),
        (OSError(errno.EPIPE, "Broken pipe"), 2, "Error: Broken pipe"),
        (OSError(errno.ENOSPC, "No space", "x\x07y"), 2, "Error: x\\x07y: No space"),
        (MemoryError(), 2, "not enough memory"),
        (ImportError("libblas"), 2, "libblas"),
        (RecursionError("deep"), 70, "this is a bug in Stepladder: RecursionError: deep in "),
        (KeyError("found"), 70, "STEPLADDER_DEBUG=1"),
        (AssertionError(), 70, "this is a bug in Stepladder: AssertionError"),
        (ValueError("x" * 9999), 70, "(9,999 characters)"),
        (GeneratorExit("of a library"), 70, "this is a bug in Stepladder: GeneratorExit: of a library"),
        (SystemExit("words"), 2, ""),
        (SystemExit(1), 1, ""),
        (SystemExit(None), 0, ""),
    ],
)
def test_whatever_is_raised_is_one_message_and_a_documented_code(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEPLADDER_DEBUG", raising=False)

    def raises() -> None:
        raise error

    assert ending.exit_code(raises, again=lambda: "stepladder climb") == code
    assert code in EXIT_CODES
    said = capsys.readouterr().err
    assert words in said
    assert len(said) <= 2000
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ("", "finished epoch"),
        (" --on local", "finished epoch"),
        (" --on dask", "epoch that came back"),
        (" --on=slurm:mem_gb=1 --seeds 2", "epoch that came back"),
    ],
)
def test_what_is_kept_is_said_as_it_is(more: str, kept: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Elsewhere a training sends its epochs in pieces: those of the last one are lost."""

    def stops() -> None:
        raise KeyboardInterrupt

    assert ending.exit_code(stops, again=lambda: f"stepladder climb a.toml{more}") == 130
    said = f"Interrupted; every {kept} is kept. Go on with:\n  stepladder climb a.toml{more}\n"
    assert capsys.readouterr().err == said


def test_a_bug_shows_its_traceback_to_those_who_ask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPLADDER_DEBUG", "1")
    assert ending.exit_code(lambda: EXIT_CODES[-1], again=str) == 70
    assert "Traceback" in capsys.readouterr().err


# Streams.


@POSIX
@pytest.mark.parametrize("arguments", ["check mnist-8k", "check mnist-8k --json", "--help", "ladders", "--version"])
def test_a_reader_that_leaves_changes_no_exit_code(arguments: str, tmp_path: Path) -> None:
    done = shell(f"$SL {arguments} | head -c 0; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.stdout, done.stderr) == ("0\n", "")


@POSIX
@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_change_no_exit_code(streams: str, tmp_path: Path) -> None:
    done = shell(f"$SL check mnist-8k {streams}; echo code $?; $SL show mnist-8k {streams}; echo code $?", tmp_path)
    assert [line for line in done.stdout.splitlines() if line.startswith("code")] == ["code 0", "code 2"]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@POSIX
@FULL
def test_a_full_stdout_is_an_error_said_once(tmp_path: Path) -> None:
    for arguments in ("check mnist-8k", "--help", "ladders --json"):
        done = shell(f"$SL {arguments} > /dev/full", tmp_path)
        assert (done.returncode, done.stderr) == (2, "Error: No space left on device\n")


@POSIX
@FULL
@pytest.mark.parametrize("stderr", ["2> /dev/full", "2>&-"])
def test_a_climb_does_not_need_its_log(stderr: str, tmp_path: Path, ladder: Callable[..., Path]) -> None:
    done = shell(f"$SL climb {ladder(epochs=2)} --seeds 2 {stderr}", tmp_path)
    assert done.returncode == 0
    assert "start" in done.stdout
    assert len(list(tmp_path.glob("runs/*/*.json"))) == 2
    assert shell(f"$SL check mnist-8k --seeds 0 {stderr}", tmp_path).returncode == 2


@POSIX
def test_only_a_missed_target_ends_with_1(tmp_path: Path, ladder: Callable[..., Path]) -> None:
    hard = ladder(epochs=2, accuracy=100)
    for streams in ("", "| head -c 0", ">&-"):
        done = shell(f"$SL climb {hard} --seeds 1 {streams}; exit ${{PIPESTATUS[0]}}", tmp_path)
        assert done.returncode == 1, done.stderr


@POSIX
def test_a_deleted_folder_is_one_message(tmp_path: Path) -> None:
    done = shell("mkdir gone; cd gone; rmdir ../gone; $SL climb --seeds 1; $SL show; $SL report --store x", tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr


@POSIX
@pytest.mark.parametrize(
    "arguments",
    [
        "check $'\\xff'",
        "check $'\\xff.toml'",
        "check $'\\e]0;x\\a.toml'",
        "check $'a\\nb'",
        "show --store $'\\xff'",
        "show --engine $'\\xff\\e'",
        "report --store /proc -o /",
        "reproduce $'\\xff.json'",
        "check --seeds $'\\e[31m'",
        "$'\\xff\\e'",
        "climb --store $(printf 'x%.0s' {1..5000})",
        "climb --$(printf 'x%.0s' {1..5000})",
    ],
)
def test_odd_command_lines_are_one_harmless_message(arguments: str, tmp_path: Path) -> None:
    done = shell(f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 $SL {arguments}", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("Error: ") == 1
    assert len(done.stderr) <= 2000
    assert not [each for each in done.stderr if not each.isprintable() and each != "\n"]
    assert "bug" not in done.stderr


@POSIX
def test_no_home_is_needed(tmp_path: Path, ladder: Callable[..., Path]) -> None:
    done = shell(f"unset HOME STEPLADDER_CACHE; $SL check {ladder(epochs=2)}", tmp_path)
    assert done.returncode == 0, done.stderr


@POSIX
@pytest.mark.parametrize("name", ["fifo.toml", "zero.toml", "fifo", "large.toml", "folder.toml"])
def test_a_ladder_is_an_ordinary_file(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifo.toml").symlink_to("fifo")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")  # it is read, and only read
    (tmp_path / "folder.toml").mkdir()
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(2**33)
    done = subprocess.run(
        stepladder_command("check", name), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert f"Error: {name}: " in done.stderr
    assert ("not a ladder file" if name == "large.toml" else "cannot read this ladder file: it ") in done.stderr


@POSIX
@pytest.mark.parametrize("name", ["fifo.npz", "fifo"])
def test_images_are_ordinary_files(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / "mine.toml").write_text(LADDER.format(data=name, epochs=1, accuracy=2))
    done = subprocess.run(
        stepladder_command("check", "mine.toml"), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 4
    assert "a named pipe, not an ordinary file" in done.stderr


# Signals.


@POSIX
@pytest.mark.parametrize("to", ["process", "group"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_ends_a_climb_with_the_command_that_goes_on(
    number: signal.Signals, code: int, to: str, tmp_path: Path, ladder: Callable[..., Path]
) -> None:
    path, store = ladder(epochs=9000), tmp_path / "it's here"
    with Climb(path, store, "--seeds", 2, "--jobs", 1) as climbing:
        climbing.wait_for("*/*.partial.safetensors")
        family = psutil.Process(climbing.process.pid).children(recursive=True)
        (os.kill if to == "process" else os.killpg)(climbing.process.pid, number)
        returncode, out, err = climbing.finish()
        assert not psutil.wait_procs(family, timeout=30)[1]
    assert (returncode, out) == (code, "")
    ended = re.sub("(?m)^note: images: .*\n", "", err.partition("2 to train.\n")[2])
    quoted = str(store).replace("'", "'\"'\"'")
    command = f"stepladder climb {path} --store '{quoted}' --seeds 2 --jobs 1"
    assert ended.strip() == f"Interrupted; every finished epoch is kept. Go on with:\n  {command}"
    assert list(store.glob("*/*.partial.safetensors"))


@POSIX
def test_a_second_signal_ends_it_at_once_and_quietly(tmp_path: Path, ladder: Callable[..., Path]) -> None:
    with Climb(ladder(epochs=9000), tmp_path / "runs", "--seeds", 2, "--jobs", 1) as climbing:
        climbing.wait_for("*/*.partial.safetensors")
        family = psutil.Process(climbing.process.pid).children(recursive=True)
        worker = climbing.workers()[0]
        worker.suspend()  # so that the climb has to wait for it
        os.kill(climbing.process.pid, signal.SIGTERM)
        time.sleep(0.7)
        os.kill(climbing.process.pid, signal.SIGTERM)
        climbing.process.wait(30)
        with suppress(psutil.NoSuchProcess):  # the system wakes what is suspended in a session that has lost its head
            worker.resume()
        returncode, _, err = climbing.finish()
        assert not psutil.wait_procs(family, timeout=30)[1]
    assert returncode == 143
    assert "Traceback" not in err
    assert "leaked" not in err


@POSIX
def test_a_hangup_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    script = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from stepladder._base import signals; signals.raise_when_stopped()\n"
        "signal.raise_signal(signal.SIGHUP); print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "still here\n"


# As Python's own start is nobody's to mend, signals count from where it says that ours comes next.
STARTED = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["/any/where/stepladder", "check", "mnist-8k", "--seeds", "1"]
print("starting", flush=True)
from stepladder.__main__ import run
run()
"""
INTERRUPTED_AT = """\
import signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == {name!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
"""


def require_quiet_end(code: int, err: str) -> None:
    assert "Traceback" not in err, err
    assert "KeyboardInterrupt" not in err, err
    assert code in (130, -signal.SIGINT), err


@POSIX
@pytest.mark.parametrize(
    "name", ["stepladder.__main__", "stepladder.cli.main", "click", "pydantic", "stepladder.ladders.checking"]
)
def test_ctrl_c_is_quiet_whatever_is_being_imported(name: str) -> None:
    script = INTERRUPTED_AT.format(name=name) + STARTED
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    require_quiet_end(done.returncode, done.stderr)


@POSIX
def test_ctrl_c_is_quiet_at_any_time() -> None:
    for after_s in (0.05, 0.1, 0.15, 0.2, 0.3, 0.5):
        command = [sys.executable, "-c", STARTED + "import time; time.sleep(60)"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "starting\n"
            time.sleep(after_s)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        if process.returncode != 0:  # a quick machine has checked by then
            require_quiet_end(process.returncode, err)


@POSIX
def test_a_signal_of_which_a_library_makes_an_error_is_one() -> None:
    """pydantic builds schemas in code that turns whatever is raised in it into an error of its own."""
    script = (
        "import signal, sys\nfrom stepladder.cli import ending; from stepladder._base import signals\n"
        "signals.raise_when_stopped()\n"
        "def command():\n    try:\n        signal.raise_signal(signal.SIGTERM)\n"
        "    except BaseException:\n        raise ValueError('no schema') from None\n"
        "sys.exit(ending.exit_code(command, again=lambda: 'stepladder climb x'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 143
    assert done.stderr == "Interrupted; every finished epoch is kept. Go on with:\n  stepladder climb x\n"


@POSIX
def test_a_signal_where_python_lets_no_exception_out_still_ends_the_command() -> None:
    script = (
        "import signal, sys, time\n"
        "from stepladder.cli import ending; from stepladder._base import signals\n"
        "class Going:\n"
        "    def __del__(self): signal.raise_signal(signal.SIGINT)\n"
        "def command():\n"
        "    Going()\n"
        "    time.sleep(60)\n"
        "signals.raise_when_stopped()\n"
        "sys.exit(ending.exit_code(command, again=str))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


@POSIX
def test_a_program_that_imports_stepladder_keeps_its_ctrl_c() -> None:
    script = "import signal, stepladder; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    for arguments in (["-c", script], ["-c", script, "-m", "stepladder"]):
        subprocess.run([sys.executable, *arguments], check=True)


@POSIX
def test_a_broken_pipe_is_no_end_of_a_climb(tmp_path: Path, ladder: Callable[..., Path]) -> None:
    """SIGPIPE is ignored, as Python does: who reads the log may leave."""
    done = shell(f"($SL climb {ladder(epochs=2)} --seeds 2; echo code $? >&3) 3>&1 2>&1 | head -c 1", tmp_path)
    assert len(list(tmp_path.glob("runs/*/*.json"))) == 2, done
