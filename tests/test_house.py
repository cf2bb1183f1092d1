"""The house: rooms in their order, none of them crowded, and what must stay light imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import stepladder
from stepladder.runs.store import Store

ROOT = Path(stepladder.__file__).parent
CONTRACTS = Path(__file__).parent.parent / "pyproject.toml"
MODULES = [path for path in ROOT.rglob("*.py") if path.stat().st_size]
ROOMS = sorted({path.parent for path in MODULES})
AT_THE_DOOR = 6  # modules in no room
IN_A_ROOM = 15
ONE_FILE_EACH = {"networks/ops", "datasets/forms"}
OPEN = {"cli/ending.py"}  # whatever error there is


def test_imports_point_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    """By the contracts in pyproject.toml: rooms in their order, and no circle at any level."""
    status = lint_imports(config_filename=str(CONTRACTS), cache_dir=None)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.relative_to(ROOT).as_posix())
def test_every_room_says_what_lives_there_and_is_not_crowded(room: Path) -> None:
    assert (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").endswith(".")
    assert len(list(room.glob("*.py"))) <= (AT_THE_DOOR if room == ROOT else IN_A_ROOM) or (
        room.relative_to(ROOT).as_posix() in ONE_FILE_EACH
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_not_known_is_not_swallowed(path: Path) -> None:
    """``case _`` hides a new kind of value from mypy, which knows what a match leaves out."""
    swallowing = [
        case.pattern.lineno
        for case in ast.walk(ast.parse(path.read_text()))
        if isinstance(case, ast.match_case) and case.guard is None and not _never(case)
        if isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and case.pattern.name is None
    ]
    assert not swallowing or path.relative_to(ROOT).as_posix() in OPEN, swallowing


def _never(case: ast.match_case) -> bool:
    return "assert_never(" in ast.unparse(case.body[-1])


def test_tests_mirror_the_rooms() -> None:
    here = Path(__file__).parent
    known = {room.relative_to(ROOT).parts[0] for room in ROOMS if room != ROOT}
    assert {path.parent.name for path in here.glob("*/test_*.py")} == known


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"torch", "llvmlite", "numpy", "pydantic", "rich"}),
        (["schema"], {"torch", "llvmlite", "numpy", "pydantic", "rich"}),
        (["check", "mnist-8k"], {"torch", "llvmlite", "numpy"}),
        (["show", "mnist-8k"], {"torch", "llvmlite"}),
        (["report", "mnist-8k", "-o", "r.html"], {"torch", "llvmlite"}),
    ],
)
def test_light_commands_import_nothing_heavy(arguments: list[str], heavy: set[str], tmp_path: Path) -> None:
    script = (
        "import sys, atexit\n"
        "from stepladder.cli.main import main\n"
        f"atexit.register(lambda: print('IMPORTED', *sorted(set(sys.modules) & {heavy})))\n"
        f"main({arguments})"
    )
    Store.open(tmp_path / "runs", create=True)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines()[-1] == "IMPORTED"


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.name}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 60
    ]
    assert not long


def test_every_noun_and_verb_is_there() -> None:
    for name in stepladder.__all__:
        assert callable(getattr(stepladder, name)), name
    with pytest.raises(AttributeError, match="no attribute 'clmb'"):
        stepladder.clmb  # noqa: B018
