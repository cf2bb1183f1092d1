"""What a person types who knows other tools: each command line that cannot run says what to type instead."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from stepladder.cli import main as cli
from stepladder.cli.commands import runs as cli_runs
from stepladder.ladders import ladder_file
from stepladder.runs.store import Store

TAKEN = {"ladder", "ladders"}
LADDER_COMMANDS = [name for name, each in cli.main.commands.items() if TAKEN & {str(p.name) for p in each.params}]


def refusal(*words: str) -> str:
    done = CliRunner().invoke(cli.main, words, prog_name="stepladder")
    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("command", LADDER_COMMANDS)
def test_nothing_begins_without_a_ladder(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = refusal(command)
    assert f"which ladder? Name a TOML file of your own, as in stepladder {command} mine.toml, or one of\n" in said
    assert [line.split()[0] for line in said.splitlines() if line.startswith("  ")] == list(ladder_file.shipped())
    assert not list(tmp_path.iterdir())


def test_six_commands_take_a_ladder() -> None:
    assert LADDER_COMMANDS == ["check", "climb", "show", "compare", "report", "search"]


READING = {**cli.main.commands, **cli_runs.runs.commands}
del READING["runs"], READING["delete"]


@pytest.mark.parametrize("command", READING.values(), ids=READING)
def test_every_command_that_says_something_speaks_json(command: click.Command) -> None:
    assert "--json" in {name for param in command.params for name in param.opts}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train", "no command 'train'; did you mean 'climb'?"),
        ("fit mnist-8k", "no command 'fit'; did you mean 'climb'?"),
        ("eval", "no command 'eval'; did you mean 'show'?"),
        ("plot", "no command 'plot'; did you mean 'report'?"),
        ("list", "no command 'list'; did you mean 'ladders'?"),
        ("clmb", "no command 'clmb'; did you mean 'climb'?"),
        ("version", "no command 'version'; write stepladder --version"),
        ("mine.toml", "no command 'mine.toml'; write the command before the ladder, as in stepladder check"),
        ("--json", "no option '--json' here; it belongs behind a command, such as stepladder check"),
        ("climb mnist-8k --epochs 2", "no option '--epochs'; epochs belongs in the recipe of the ladder file"),
        ("climb mnist-8k --batch-size 2", "no option '--batch-size'; batch_size belongs in the recipe"),
        ("climb mnist-8k --learning-rate 1", "no option '--learning-rate'; lr belongs in the recipe"),
        ("climb mnist-8k --seed 3", "no option '--seed'; did you mean '--seeds'?"),
        ("climb mnist-8k --gpu", "no option '--gpu'; write --device cuda"),
        ("climb mnist-8k --device gpu", "no device 'gpu'; did you mean 'cuda'?"),
        ("show mnist-8k --live", "no option '--live'; it is an option of stepladder climb"),
        ("show mnist-8k --port 1", "no option '--port'; it is an option of stepladder climb"),
        ("show mnist-8k --seeds 2", "it is an option of stepladder check, climb, search and reproduce"),
        ("report mnist-8k --format pdf", "no format 'pdf'; write html, and print that page to PDF in a browser"),
        ("report mnist-8k --format md", "no format 'md'; did you mean 'markdown'?"),
        ("report mnist-8k --json --format csv", "Error: --json and --format csv contradict each other: give one"),
        ("show a.toml b.toml", "one ladder at a time, and b.toml comes on top of one: run stepladder show b.toml"),
        ("ladders mine", "stepladder ladders takes no arguments: leave mine out"),
        ("reproduce a b", "stepladder reproduce takes one name: leave b out"),
        ("check mnist-8000", "no ladder 'mnist-8000'; known are mnist-1000"),
        ("climb mnist-8k --seeds x", "'x' is not a number of seeds, such as 8"),
    ],
)
def test_command_lines_of_other_tools(words: str, said: str) -> None:
    assert said in refusal(*words.split())


@pytest.mark.parametrize("command", cli.main.commands)
def test_no_option_is_guessed_by_spelling_alone(command: str) -> None:
    """Of ``report --json`` click had made '--store'."""
    meant = {"--jsn": "--json", "--sotre": "--store"}
    for option in (*meant, "--xyz", "--stride", "--norm", "--jobless"):
        said = refusal(command, option)
        assert "did you mean" not in said or f"did you mean {meant[option]!r}?" in said


def test_report_json_is_the_format(tiny_ladder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_ladder.parent)
    Store.open("runs", create=True)
    for words in (["--json"], ["--format", "json"], ["--json", "--format", "json"]):
        done = CliRunner().invoke(cli.main, ["report", str(tiny_ladder), *words])
        assert done.exit_code == 0
        assert json.loads(done.stdout)["ladder"] == "tiny"


def test_a_file_of_a_person_is_not_written_over(tiny_ladder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_ladder.parent)
    Store.open("runs", create=True)
    readme = tiny_ladder.parent / "README.md"
    readme.write_text("my own text\n")
    command = ["report", str(tiny_ladder), "--format", "markdown", "-o", "README.md"]
    assert "README.md is there already and is no report of Stepladder's" in refusal(*command)
    assert readme.read_text() == "my own text\n"
    for words in (["--force"], [], []):
        assert CliRunner().invoke(cli.main, [*command, *words]).exit_code == 0
    readme.write_text(readme.read_text().replace("# tiny", "# tiny, my conclusion"))
    assert "was changed since Stepladder wrote it" in refusal(*command)


def test_a_folder_to_delete_is_named_by_its_beginning(tiny_ladder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_ladder.parent)
    store = Store.open("runs", create=True)
    assert "no folder in runs begins with 5105c9ce: 'stepladder runs list'" in refusal("runs", "delete", "5105c9ce")
    for name in ("5105c9ce00000000", "5105c9ff00000000"):
        (store.folder / name).mkdir()
    assert "more than one folder in runs begins with 5105: 5105c9ce00000000, 5105" in refusal("runs", "delete", "5105")
    assert "nothing of 5105c9ce is in runs" in refusal("runs", "delete", "5105c9ce")
