"""Executors whose workers stand in another folder, with another environment, or have another Stepladder."""

import os
import re
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import stepladder
from stepladder.runs.run import EngineIdentity

ROOT = Path(stepladder.__file__).resolve().parent
OTHER_REVISION = 99
# With these, numpy would compute with other instructions and more threads.
ENVIRONMENT = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4",
    "OMP_NUM_THREADS": "7",
    "OPENBLAS_NUM_THREADS": "7",
}


def elsewhere(folder: Path, *, modules: Path | None = None) -> ProcessPoolExecutor:
    """One worker in a new folder; ``modules`` is where it looks for modules first."""
    folder.mkdir()
    cache = folder.with_name("cache elsewhere")
    places = (str(folder), str(cache), str(modules or ""))
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=stand, initargs=places)


def stand(folder: str, cache: str, modules: str) -> None:
    """In a worker: be elsewhere. What it has of the environment that began it is the way to programs."""
    os.chdir(folder)
    way = os.environ.get("PATH", "")
    os.environ.clear()
    os.environ.update(ENVIRONMENT, PATH=way, STEPLADDER_CACHE=cache)
    if modules:
        sys.path.insert(0, modules)
    import numpy  # noqa: F401  # its libraries have read these settings


def other_revision(folder: Path) -> Path:
    """A folder with this Stepladder, but with another revision of the JIT engine."""
    there = folder / "other revision"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT, there / "stepladder", copy_function=os.symlink, ignore=ignored)
    engine = there / "stepladder" / "engines" / "jit" / "engine.py"
    text, n_found = re.subn(r"revision=\d+", f"revision={OTHER_REVISION}", engine.read_text())
    assert n_found == 1
    engine.unlink()
    engine.write_text(text)
    return there


def another(engine: EngineIdentity) -> EngineIdentity:
    """What ``other_revision`` computes with."""
    return engine.model_copy(update={"revision": OTHER_REVISION})
