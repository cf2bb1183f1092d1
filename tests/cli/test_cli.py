"""The command line as a person meets it: exit codes, one message, no traceback."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY_LADDER, CommandLine
from refusals import refused
from terminals import ANSI, on_terminal

from stepladder.errors import EXIT_CODES
from stepladder.ladders import ladder_file
from stepladder.runs.store import Store

HELP = ("check", "climb", "show", "reproduce", "ladders")


def test_check_prints_tables_and_the_time_a_climb_takes(stepladder: CommandLine) -> None:
    done = stepladder("check", "mnist-8k", "--seeds", 1)
    assert done.returncode == 0
    assert done.stderr == ""
    for word in (
        "9,714",
        "7,826",
        "7,946",
        "receptive field 28",
        "receptive field 32",
        "a climb of 6 runs takes about",
    ):
        assert word in done.stdout


def test_check_json_of_the_default_ladder(stepladder: CommandLine) -> None:
    done = stepladder("check", "mnist-8k", "--json")
    body = json.loads(done.stdout)
    assert (body["schema_version"], body["ladder"]) == (1, "mnist-8k")
    assert [rung["params"] for rung in body["rungs"]] == [9714, 7826, 7826, 7826, 7826, 7946]
    assert [rung["receptive_field"] for rung in body["rungs"]] == [28, 28, 28, 28, 28, 32]
    assert not any(rung["over_budget"] for rung in body["rungs"])


def test_a_rung_over_budget_is_shown_and_refused(stepladder: CommandLine, tiny_ladder: Path) -> None:
    tiny_ladder.write_text(tiny_ladder.read_text().replace("params = 1000, epochs = 100", "params = 300, epochs = 3"))
    done = stepladder("check", tiny_ladder, "--json")
    refused(done, 3, "342 parameters, 42 over its budget of 300", "layer 3 ('conv 6 3x3')", "4 epochs, 1 over")
    assert all(rung["over_budget"] for rung in json.loads(done.stdout)["rungs"])
    first, *others = ladder_file.load(tiny_ladder).rungs
    refused(
        done,
        3,
        f"over budget: {tiny_ladder}:{first.line}: rung {first.name!r} has",
        *[f":{each.line}: rung" for each in others],
    )
    assert tiny_ladder.read_text().split("\n")[first.line - 1] == "[[rung]]"
    refused(stepladder("climb", tiny_ladder), 3, f"over budget: {tiny_ladder}:{first.line}: ", "42 over its budget")
    assert not list((tiny_ladder.parent / "runs").glob("*/*"))


def test_climb_then_show(stepladder: CommandLine, tiny_ladder: Path) -> None:
    climbed = stepladder("climb", tiny_ladder, "--seeds", 2, "--jobs", 2, "--json")
    body = json.loads(climbed.stdout)
    assert climbed.returncode == (0 if body["reached"] else 1)
    assert "rung 'rotation', seed 2: test" in climbed.stderr
    shown = stepladder("show", tiny_ladder, "--json")
    assert shown.returncode == 0
    assert json.loads(shown.stdout) == body
    rung = body["rungs"][0]
    assert rung["seeds"] == [1, 2]
    assert rung["held"][1] == 2
    assert rung["test_final_min"] <= rung["test_final_mean"] <= 100
    assert body["n_test_looks"] == 3 * 2 * 4
    table = stepladder("show", tiny_ladder)
    assert "The test split was looked at 24 times" in table.stdout
    one_seed = json.loads(stepladder("climb", tiny_ladder, "--seeds", "2-2", "--json").stdout)
    assert [rung["seeds"] for rung in one_seed["rungs"]] == [[2]] * 3
    assert one_seed["n_test_looks"] == 24, "all seeds' looks count, whichever are shown"


def test_a_ladder_that_reaches_its_target_exits_with_0(stepladder: CommandLine, tiny_ladder: Path) -> None:
    easy = tiny_ladder.read_text().replace("accuracy = 50, last_epochs = 2", "accuracy = 2, last_epochs = 1")
    tiny_ladder.write_text(easy)
    assert stepladder("climb", tiny_ladder, "--seeds", 1).returncode == 0
    tiny_ladder.write_text(easy.replace("accuracy = 2", "accuracy = 100"))
    assert stepladder("climb", tiny_ladder, "--seeds", 1).returncode == 1


def test_a_diverged_run_is_no_accuracy(stepladder: CommandLine, tiny_ladder: Path) -> None:
    tiny_ladder.write_text(tiny_ladder.read_text().replace("lr = 0.05", "lr = 1e30"))
    done = stepladder("climb", tiny_ladder, "--seeds", 1, "--json")
    assert done.returncode == 1
    rung = json.loads(done.stdout)["rungs"][0]
    assert rung["diverged"] == [1]
    assert rung["test_final_mean"] is None
    assert rung["held"] == [0, 1]
    assert "lower learning rate" in " ".join(stepladder("show", tiny_ladder).stdout.split())


def test_show_before_any_climb(stepladder: CommandLine, tmp_path: Path) -> None:
    refused(stepladder("show", "mnist-8k"), 2, "no runs at", "climb first")
    Store.open(tmp_path / "runs", create=True)
    assert stepladder("show", "mnist-8k").stdout.count("not trained") == 6


def test_a_report_of_nothing_says_so(stepladder: CommandLine, tmp_path: Path) -> None:
    Store.open(tmp_path / "runs", create=True)
    done = stepladder("report", "mnist-8k", "-o", "nothing.md")
    assert (done.returncode, done.stdout) == (0, "nothing.md\n")
    assert done.stderr == (
        "note: no run of this ladder is stored, and the report is empty: climb first, with stepladder climb mnist-8k\n"
    )


def test_dev_is_held_out_and_test_is_not_looked_at(stepladder: CommandLine, tiny_ladder: Path) -> None:
    tiny_ladder.write_text(tiny_ladder.read_text().replace('evaluate_on = "test"', "dev_images = 400"))
    body = json.loads(stepladder("climb", tiny_ladder, "--seeds", 1, "--json").stdout)
    assert body["evaluated_on"] == "dev"
    assert body["n_test_looks"] == 0
    assert "dev_final_mean" in body["rungs"][0]
    assert "test_final_mean" not in body["rungs"][0]
    (record, *_) = (tiny_ladder.parent / "runs").glob("*/*.json")
    epoch = json.loads(record.read_text())["run"]["epochs"][0]
    assert (epoch["n_train"], epoch["n_evaluated"]) == (1600, 400)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["climb", "mnist-8k", "--seeds", "0"], 2, ["0 seeds train nothing"]),
        (["check", "mnist-8k", "--seeds", "0"], 2, ["0 seeds train nothing"]),
        (["climb", "mnist-8k", "--seeds", "5-2"], 2, ["runs backwards", "--seeds 2-5"]),
        (["check", "mnist-8k", "--seeds", "1-999999999"], 2, ["more than 10,000 seeds"]),
        (["show", "mnist-8k", "--store", ""], 2, ["an empty path is not a store"]),
        (["climb", "mnist8k"], 2, ["no ladder 'mnist8k'", "did you mean 'mnist-8k'"]),
        (["check", "absent.toml"], 2, ["absent.toml", "No such file"]),
        (["climb", "mnist-8k", "--engine", "torhc"], 2, ["no engine 'torhc'", "did you mean 'torch'"]),
        (["climb", "mnist-8k", "--store", "/dev/null/runs"], 2, ["cannot write runs to /dev/null/runs", "--store"]),
    ],
)
def test_bad_arguments(stepladder: CommandLine, arguments: list[str], exit_code: int, words: list[str]) -> None:
    refused(stepladder(*arguments), exit_code, *words)


@pytest.mark.parametrize(
    "arguments",
    [["climb", "x", "--seeds", "many"], ["climb", "x", "--jobs", "0"], ["clmb"], ["climb", "x", "--device", "tpu"]],
)
def test_usage_errors_exit_with_2(stepladder: CommandLine, arguments: list[str]) -> None:
    done = stepladder(*arguments)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_and_damaged_data_exit_with_4(stepladder: CommandLine, tmp_path: Path, digits: Path) -> None:
    ladder = tmp_path / "tiny.toml"
    ladder.write_text(TINY_LADDER.format(data="absent", epochs=4))
    Store.open(tmp_path / "runs", create=True)
    for command in ("check", "climb", "show"):
        refused(stepladder(command, ladder), 4, "no data at", str(tmp_path / "absent"))
    ladder.write_text(
        TINY_LADDER.format(data=str(digits), epochs=4).replace(
            "evaluate_on", f'data_sha256 = "{"0" * 64}"\nevaluate_on'
        )
    )
    for command in ("check", "climb", "show"):
        refused(stepladder(command, ladder), 4, "wrong checksum", "data_sha256")
    (tmp_path / "cut").mkdir()
    for path in digits.iterdir():
        (tmp_path / "cut" / path.name).write_bytes(path.read_bytes())
    images = tmp_path / "cut" / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:50_000])
    ladder.write_text(TINY_LADDER.format(data="cut", epochs=4))
    for command in ("check", "climb"):
        refused(stepladder(command, ladder), 4, "train-images-idx3-ubyte.gz", "truncated", "get it again")
    assert not list((tmp_path / "runs").glob("*/*"))


def test_ladder_errors_name_file_and_line(stepladder: CommandLine, tiny_ladder: Path) -> None:
    text = tiny_ladder.read_text()
    tiny_ladder.write_text(text.replace("change.dropout = 0.1", "change = { dropout = 0.1, lr = 0.02 }"))
    line = text.splitlines().index("change.dropout = 0.1") + 1
    refused(stepladder("check", tiny_ladder), 2, f"tiny.toml:{line}:", "changes dropout and lr", "split it into two")
    tiny_ladder.write_text(text.replace('"conv 6 3x3"', '"conv 6 9x9"'))
    refused(stepladder("check", tiny_ladder), 2, "rung 'start'", "layer 3", "9x9 kernel", "6x6")


def test_a_newer_store_is_refused(stepladder: CommandLine, tmp_path: Path, tiny_ladder: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "store.json").write_text('{"format_version": 99}')
    for command in ("climb", "show"):
        refused(stepladder(command, tiny_ladder), 2, "newer Stepladder", "upgrade")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(stepladder: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(stepladder("climb", "mnist-8k", "--store", tmp_path / "locked"), 2, "cannot write runs to")


def without(packages: set[str], *arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """The command line of a Python that cannot find some packages: their import fails as a missing one's does."""
    script = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name in {packages}: raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from stepladder.cli.main import main\n"
        f"main({list(arguments)})"
    )
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        (
            {"torch"},
            ["--engine", "torch"],
            "the torch engine needs PyTorch: pip install '.[torch]' in Stepladder's folder",
        ),
        (
            {"torch"},
            ["--device", "cuda"],
            "the torch engine needs PyTorch: pip install '.[torch]' in Stepladder's folder",
        ),
        ({"llvmlite"}, ["--engine", "jit"], "pip install llvmlite, or use --engine torch"),
        ({"torch", "llvmlite"}, [], "the torch engine needs PyTorch"),
        (set(), ["--engine", "jit", "--device", "cuda"], "the jit engine has no code for GPUs: use --engine torch"),
    ],
)
def test_an_engine_that_is_not_there_says_what_to_do(
    missing: set[str], arguments: list[str], message: str, tmp_path: Path
) -> None:
    refused(without(missing, "climb", "mnist-8k", *arguments, folder=tmp_path), 2, message)


def test_another_engine_than_the_default_is_taken_with_a_reason(tiny_ladder: Path, tmp_path: Path) -> None:
    done = without({"llvmlite"}, "climb", str(tiny_ladder), "--seeds", "1", "--jobs", "1", folder=tmp_path)
    assert re.search(r"note: engine torch \S+ on cpu.*the jit engine needs llvmlite, which does not load", done.stderr)


def test_over_budget_and_bad_batches_are_refused_before_anything_is_made(
    stepladder: CommandLine, tiny_ladder: Path, tmp_path: Path
) -> None:
    text = tiny_ladder.read_text()
    tiny_ladder.write_text(
        text.replace('"linear 10"]', '"linear 10 block linear norm"]').replace(
            "epochs = 4", "epochs = 4\nbatch_size = 1999"
        )
    )
    for command in ("check", "climb"):
        refused(stepladder(command, tiny_ladder), 2, "tiny.toml", "rung 'start'", "choose another batch_size")
    tiny_ladder.write_text(text.replace("params = 1000", "params = 300"))
    refused(stepladder("climb", tiny_ladder), 3, "over its budget")
    assert not (tmp_path / "runs").exists()


def test_output_that_cannot_be_written_is_one_message() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "stepladder", "check", "mnist-8k"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_encoding_without_arrows_is_no_reason_to_stop(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, "-m", "stepladder", "check", "mnist-8k"]
    done = subprocess.run(command, env=environment, capture_output=True, cwd=tmp_path, check=True)
    assert b"none ? 5%" in done.stdout


def test_help_speaks_of_every_command_and_exit_code(stepladder: CommandLine) -> None:
    text = stepladder("--help").stdout
    for command in HELP:
        assert re.search(rf"^  {command} ", text, re.MULTILINE)
        assert stepladder(command, "--help").returncode == 0
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^ *{code} +{meaning}$", text, re.MULTILINE)


def test_the_help_says_whole_sentences_at_80_columns(stepladder: CommandLine) -> None:
    text = stepladder("--help").stdout
    assert "..." not in text.partition("Commands:")[2]
    assert max(map(len, text.splitlines())) <= 80


def test_a_terminal_gets_lines_that_fit_and_colours_unless_it_wants_none(stepladder: CommandLine) -> None:
    coloured = on_terminal("check", "mnist-fast", columns=80)
    assert "\x1b[1m" in coloured
    lines = ANSI.sub("", coloured).splitlines()
    assert max(map(len, lines)) == 80
    for plain in (
        on_terminal("check", "mnist-fast", columns=80, NO_COLOR="1"),
        on_terminal("check", "mnist-fast", columns=80, TERM="dumb"),
    ):
        assert plain.splitlines() == lines
    assert "\x1b" not in stepladder("check", "mnist-fast").stdout


def test_marks_are_left_out_where_they_cannot_be_written(
    stepladder: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert re.search(r"^start .* ✓ yes$", stepladder("check", "mnist-fast").stdout, re.MULTILINE)
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert re.search(r"^start .* 15  yes$", stepladder("check", "mnist-fast").stdout, re.MULTILINE)


def test_shipped_ladders_are_listed(stepladder: CommandLine) -> None:
    body = json.loads(stepladder("ladders", "--json").stdout)
    assert [ladder["name"] for ladder in body["ladders"]] == list(ladder_file.shipped())
    listed = [line.split(":")[0] for line in stepladder("ladders").stdout.splitlines() if not line.startswith(" ")]
    assert listed == list(ladder_file.shipped())
