"""Text that cannot steer what shows it: on a terminal, in Markdown, HTML, JSON and CSV, in a shell."""

import csv
import io
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from conftest import stepladder_command
from hypothesis import given
from hypothesis import strategies as st

from stepladder._base import plain
from stepladder.cli import ending
from stepladder.cli import main as cli
from stepladder.datasets import data
from stepladder.errors import LadderError
from stepladder.ladders import ladder_file
from stepladder.reporting.markdown_page import _text
from stepladder.reporting.tables import Table
from stepladder.reporting.terminal import render

STEERING = [
    *map(chr, range(9)), *map(chr, range(11, 32)), *map(chr, range(0x7F, 0xA0)),  # C0, DEL, C1
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",  # direction
    *"\xad\u200b\u200c\u200d\u2028\u2029\u2060\ufeff\u3164\U000e0041",  # not seen, ends of lines
    "\ud800", "\udc80", "\udfff",
]  # fmt: skip
MINIMAL = """\
name = {name}
budget = {{ params = 9000, epochs = 15 }}
target = {{ accuracy = 90, last_epochs = 1 }}

[[rung]]
name = {rung}
why = "to see"
recipe = {{ network = ["conv 4", "gap", "linear 10"], lr = 0.1, epochs = 1 }}
"""


def is_safe(text: str) -> bool:
    return not any(each in text for each in STEERING)


@pytest.mark.parametrize("character", STEERING, ids=lambda character: f"{ord(character):x}")
def test_a_character_that_steers_is_shown_as_python_writes_it(character: str) -> None:
    shown = plain.neutral(f"a{character}b")
    assert is_safe(shown)
    assert shown.isascii()
    assert eval(f"'{shown}'") == f"a{character}b"


def test_all_controls_and_formats_of_unicode_are_neutralised_but_for_signs_that_are_seen() -> None:
    seen = "\n\t\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    hieroglyphs = range(0x13430, 0x13440)  # they join signs, and are seen by what they do
    left = [
        f"{code:x}"
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and plain.neutral(chr(code)) == chr(code)
        and chr(code) not in seen
        and code not in hieroglyphs
    ]
    assert not left


def test_what_people_write_stays() -> None:
    for text in ("größer als ½", "学習率を下げる", "שלום", "مرحبا", "→ ± × –", "two\nlines\tand a tab", "π ≈ 3.14 🙂"):
        assert plain.neutral(text) == text


@given(st.text())
def test_neutral_text_is_safe_and_neutral_again(text: str) -> None:
    shown = plain.neutral(text)
    assert is_safe(shown)
    assert plain.neutral(shown) == shown


@given(
    st.recursive(st.text() | st.integers() | st.none(), lambda each: st.lists(each) | st.dictionaries(st.text(), each))
)
def test_json_is_safe_and_equal(value: object) -> None:
    text = plain.json_text({"value": value})
    assert is_safe(text)
    assert json.loads(text) == {"value": value}


@pytest.mark.parametrize("character", STEERING, ids=lambda character: f"{ord(character):x}")
def test_json_of_a_character_that_steers_is_equal(character: str) -> None:
    assert is_safe(plain.json_text([character]))
    assert json.loads(plain.json_text([character])) == [character]


@pytest.mark.parametrize(
    "text", ["=1+1", '=HYPERLINK("http://x")', "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", " =1", "＝1"]
)
def test_no_cell_is_a_formula(text: str) -> None:
    file = io.StringIO()
    csv.writer(file).writerow([plain.cell(text), plain.cell("a-b=c"), -1.5])
    assert next(csv.reader(io.StringIO(file.getvalue()))) == [f"'{text}", "a-b=c", "-1.5"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![x](http://t/p.png)", r"!\[x](http://t/p.png)"),
        ("[x](javascript:alert(1))", None),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("a | b `c`", r"a \| b \`c\`"),
        ("x\x1b]0;t\x07", r"x\\x1b]0;t\\x07"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown: str | None) -> None:
    written = _text(text)
    assert is_safe(written)
    assert shown is None or written.replace(r"x\](", "x](").replace(r"\[", "[") == shown.replace(r"\[", "[")
    assert "](" not in written.replace(r"\](", "")


def test_a_page_on_a_terminal_is_safe() -> None:
    nasty = "".join(STEERING)
    table = Table(title=nasty, header=(nasty,), rows=((nasty,),), numeric=frozenset())
    assert is_safe(render([nasty, table], width=80))


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\n", "\t", "\x9b", "\u202e", "\u200b", "\u2028"])
@pytest.mark.parametrize("which", ["name", "rung"])
def test_names_are_one_line_that_can_be_seen(which: str, character: str, tmp_path: Path) -> None:
    names = {"name": '"a"', "rung": '"b"'} | {which: json.dumps(f"x{character}y")}
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL.format(**names))
    line = {"name": 1, "rung": 6}[which]
    with pytest.raises(LadderError, match=rf"mine\.toml:{line}: .*name: .*leave .* out of it") as refused:
        ladder_file.load(path)
    assert is_safe(str(refused.value))


def test_a_long_message_loses_its_middle() -> None:
    said = plain.message("begin" + "x" * 100_000 + "\x1b end")
    assert len(said) <= 2000
    assert said.startswith("begin")
    assert said.endswith("\\x1b end")
    assert "(100,013 characters)" in said
    assert plain.message("short") == "short"


ARGUMENTS = [
    "a b",
    "it's",
    "$HOME",
    "",
    "-x",
    "é",
    "\x1b[31m",
    "two\nlines",
    "\udcff",
    "\u202eback",
    "back\\slash\x07'q'",
]


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_the_command_that_goes_on_is_read_by_a_shell_as_it_was_given(argument: str) -> None:
    line = ending.command_line(["climb", argument])
    assert is_safe(line)
    assert line.startswith("stepladder climb ")
    script = line.replace("stepladder", "printf '%s\\0'", 1)
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode(errors="surrogateescape").split("\0")[:-1] == ["climb", argument]


# All of it at once: a ladder whose texts are hostile, climbed, and shown in every way.

HOSTILE = (
    "".join(STEERING[:-4]).replace("\r", "") + "[red]x[/red] :bomb: <script>alert(1)</script> [x](javascript:1) `|`"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such a ladder, and the runs of both its rungs."""
    folder = tmp_path_factory.mktemp("hostile")
    images, name = data.load("mnist"), "few\x1b]0;\u202e.npz"
    train, test = images.train[:200], images.test[:50]
    np.savez(folder / name, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    text = MINIMAL.format(name='"=1+1 [red] :bomb:"', rung='"@SUM(1) <b>"')
    text = text.replace('"to see"', json.dumps(HOSTILE))
    about = f'about = {json.dumps(HOSTILE)}\ndata = {json.dumps(name)}\nevaluate_on = "test"\n'
    change = "change = { dropout = 0.1, lr = 0.2 }"
    above = f'\n[[rung]]\nname = "-b"\nwhy = {json.dumps(HOSTILE)}\n{change}\ncompound = {json.dumps(HOSTILE)}\n'
    (folder / "mine.toml").write_text(about + text + above)
    return folder


def test_nothing_hostile_reaches_a_terminal_or_a_page(
    hostile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 0
        return "".join(capsys.readouterr())

    climb = stepladder_command("climb", "mine.toml", "--seeds", 1, "--jobs", 1)
    climbed = subprocess.run(climb, capture_output=True, check=False, encoding="utf-8")
    assert climbed.returncode in (0, 1)
    assert "rung '@SUM(1) <b>', seed 1" in climbed.stderr
    said = {"climb": climbed.stdout + climbed.stderr}
    for command in ("check", "show", "compare"):
        for more in ((), ("--json",)):
            said[" ".join((command, *more))] = run(command, "mine.toml", *more)
    for form in ("html", "markdown", "json", "csv"):
        said[form] = run("report", "mine.toml", "--format", form, "-o", "-")
    page = re.sub(r"<script>.*?</script>", "", said["html"], flags=re.DOTALL)
    assert "alert(1)</script>" in said["html"].replace("&lt;", "<").replace("&gt;", ">")
    assert "<script>alert" not in page
    said["html"] = page
    assert not [name for name, text in said.items() if not is_safe(text)]
    rows = list(csv.DictReader(io.StringIO(said["csv"])))
    assert {row["ladder"] for row in rows} == {"'=1+1 [red] :bomb:"}
    assert {row["rung"] for row in rows} == {"'@SUM(1) <b>", "'-b"}
    body = json.loads(said["json"])
    assert body["about"] == HOSTILE.strip()
    assert body["rungs"][1]["compound"] == HOSTILE
    assert "<script" not in said["markdown"]
    assert "](javascript" not in said["markdown"].replace(r"\](", "")
