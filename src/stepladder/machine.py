"""What machine and which versions a run was made with."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


def cpu_name() -> str:
    """The processor's name, such as ``AMD EPYC``; what the platform calls it where it says no more."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def n_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """The memory of the machine, or of the container this runs in, where the system tells."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        limit = Path("/sys/fs/cgroup/memory.max")
        allowed = limit.read_text().strip() if limit.exists() else "max"
    except (AttributeError, ValueError, OSError):
        return None
    return min(whole, int(allowed)) if allowed.isdigit() else whole


def blas_kernels() -> str | None:
    """The kernels that OpenBLAS is to use, where all processors with AVX2 can share some; None where it may choose.

    Its own choice differs between such processors, and a variable of the environment overrides it: numpy's matrix
    products, and with them Muon's steps, would have other bits.
    """
    import numpy as np  # not for all who ask for a name

    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    has = {*extensions["baseline"], *extensions["found"]}
    return "Haswell" if "X86_V3" in has or {"AVX2", "FMA3"} <= has else None  # numpy 2.4 has groups


def versions() -> dict[str, str]:
    """Of Stepladder, Python and numpy; an engine adds its own libraries'."""
    return {"stepladder": version("stepladder"), "python": platform.python_version(), "numpy": version("numpy")}
