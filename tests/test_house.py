"""The house: imports point one way, and what must stay light imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import stepladder
from stepladder.store import Store

ROOT = Path(stepladder.__file__).parent

# Each module may import those above it only (design.md, "The house").
ORDER = [
    "foreign",
    "wording",
    "errors",
    "machine",
    "plain",
    "streams",
    "_first",
    "signals",
    "ending",
    "files",
    "outputs",
    "ours",
    "layer_code",
    "layers",
    "geometry",
    "recipe",
    "schedule",
    "idle",
    "idle_steps",
    "slight",
    "plain_network",
    "happening",
    "draws",
    "augment",
    "odd_files",
    "sources",
    "split_rules",
    "pixels",
    "npz",
    "idx",
    "data",
    "ladder",
    "descent",
    "toml_lines",
    "ladder_text",
    "faults",
    "ladder_file",
    "run",
    "image_notes",
    "speeds",
    "engines",
    "engines.averaging",
    "engines.optimizer",
    "engines.recalibrating",
    "engines.training",
    "engines.torch",
    "engines.jit",
    "engines.jit.memory",
    "engines.jit.layout",
    "engines.jit.emit",
    "engines.jit.target",
    "engines.jit.object_cache",
    "engines.jit.machine_code",
    "engines.jit.pointwise",
    "engines.jit.convolution",
    "engines.jit.winograd",
    "engines.jit.weight_gradient",
    "engines.jit.pooling",
    "engines.jit.norm",
    "engines.jit.weights",
    "engines.jit.loss",
    "engines.jit.gate",
    "engines.jit.gather",
    "engines.jit.plan",
    "engines.jit.steps",
    "engines.jit.network",
    "engines.jit.engine",
    "soundness",
    "run_files",
    "store",
    "reference",
    "effective_field",
    "stats",
    "results",
    "intervals",
    "verdict_errors",
    "other_images",
    "comparing",
    "conditions",
    "protocol",
    "record",
    "seeds_to_tell",
    "curves",
    "outliers",
    "classes",
    "fit",
    "movements",
    "mistakes",
    "findings",
    "attempts",
    "advice",
    "diagnosis",
    "evidence",
    "checking",
    "one_run",
    "sent_run",
    "housekeeping",
    "rechecking",
    "workers",
    "climbing",
    "deciding",
    "reproducing",
    "search_space",
    "search_guesses",
    "search_trials",
    "search_seals",
    "search_study",
    "searching",
    "search_ladder",
    "report",
    "report.numbers",
    "report.tables",
    "report.check_page",
    "report.check_json",
    "report.summary",
    "report.result_page",
    "report.result_json",
    "report.compare_page",
    "report.subject",
    "report.outlier_text",
    "report.mistakes_text",
    "report.advice_text",
    "report.diagnosis_text",
    "report.compare_json",
    "report.down_page",
    "report.down_json",
    "report.repeat_page",
    "report.record_page",
    "report.runs_page",
    "report.terminal",
    "report.live",
    "report.provenance",
    "report.pictures",
    "report.network_picture",
    "report.page_networks",
    "report.charts",
    "report.vega",
    "report.search_page",
    "report.live_search",
    "report.ladder_picture",
    "report.rung_page",
    "report.html_page",
    "report.live_page",
    "report.markdown_page",
    "report.report_json",
    "report.report_csv",
    "report.writing",
    "usage",
    "cli_runs",
    "cli",
    "__main__",
]
LATE = {
    ("engines", "engines.torch"),
    ("engines", "engines.jit.engine"),
}  # an engine is imported when it is chosen, by the function that chooses


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> set[str]:
    """Names of stepladder's own modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "stepladder":
            module = (node.module or "").partition(".")[2]
            names = [f"{module}.{alias.name}".strip(".") for alias in node.names]
            found |= {name if name in ORDER else module for name in names} - {""}
        if isinstance(node, ast.Import):
            found |= {a.name.partition(".")[2] for a in node.names if a.name.startswith("stepladder.")}
    return found


MODULES = {module_name(path): path for path in ROOT.rglob("*.py") if module_name(path)}


def test_every_module_has_its_place() -> None:
    assert set(MODULES) == set(ORDER)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    above = set(ORDER[: ORDER.index(module)])
    upward = {name for name in imported_modules(MODULES[module]) - above if (module, name) not in LATE}
    assert not upward, f"{module} imports {upward}"


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"torch", "llvmlite", "numpy", "pydantic", "rich"}),
        (["check", "mnist-8k"], {"torch", "llvmlite", "numpy"}),
        (["show", "mnist-8k"], {"torch", "llvmlite"}),
        (["report", "mnist-8k", "-o", "r.html"], {"torch", "llvmlite"}),
    ],
)
def test_light_commands_import_nothing_heavy(arguments: list[str], heavy: set[str], tmp_path: Path) -> None:
    script = (
        "import sys, atexit\n"
        "from stepladder.cli import main\n"
        f"atexit.register(lambda: print('IMPORTED', *sorted(set(sys.modules) & {heavy})))\n"
        f"main({arguments})"
    )
    Store.open(tmp_path / "runs", create=True)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines()[-1] == "IMPORTED"


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.name}:{node.lineno} {node.name}"
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 60
    ]
    assert not long


def test_every_noun_and_verb_is_there() -> None:
    for name in stepladder.__all__:
        assert callable(getattr(stepladder, name)), name
    with pytest.raises(AttributeError, match="no attribute 'clmb'"):
        stepladder.clmb  # noqa: B018
