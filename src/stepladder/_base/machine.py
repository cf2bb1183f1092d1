"""What machine and which versions a run was made with, and how the libraries that compute must be set.

All of it is read from where a system may not have it, or another library may leave it out: what is not there is done
without.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stepladder import __version__
from stepladder.errors import StepladderError

UNKNOWN = "unknown"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# With these, numpy and PyTorch compute with other instructions than they would on this processor, and round otherwise.
INSTRUCTIONS = (
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
)


def cpu_name() -> str:
    """The processor's name, such as ``AMD EPYC``; what the platform calls it where it says no more."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name = line.partition(":")[2].strip()
            if line.startswith("model name") and name:
                return name
    import platform  # like importlib.metadata below, slow to import, and --help needs neither

    return platform.processor() or platform.machine() or UNKNOWN


def n_cores() -> int:
    """Cores this process may use."""
    with suppress(AttributeError, OSError):  # not every system has it, or tells
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """The memory of the machine, of the container this runs in, or that is allowed, where the system tells."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    if whole <= 0:  # -1 where it does not know
        return None
    limits = [whole, address_space_bytes() or whole]
    with suppress(OSError, ValueError):
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))  # "max" is no number
    return min(limits)


def address_space_bytes() -> int | None:
    """The most memory that this process may address (``ulimit -v``); None if that is not limited."""
    try:
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, AttributeError, OSError, ValueError):
        return None
    return limit if limit != resource.RLIM_INFINITY else None


def limit_in_words() -> str:
    """What to say after an error that a limit of the address space may be the reason of; empty without one."""
    limit = address_space_bytes()
    return f"; ulimit -v allows {limit / 1e9:.1f} GB of address space here: allow more" if limit else ""


def require_address_space(n_bytes: int, what: str) -> None:
    """Raise StepladderError where a limit is too small for a library that would end the process instead."""
    limit = address_space_bytes()
    if limit is not None and limit < n_bytes:
        raise StepladderError(f"{what} needs {n_bytes / 1e9:.1f} GB of address space{limit_in_words()}")


def library_settings() -> dict[str, str | None]:
    """The environment in which a process trains on one thread, and with the same bits whoever started it.

    None stands for a variable that must not be there. Libraries read them when they are loaded.
    """
    kernels = blas_kernels()
    return {
        **dict.fromkeys(INSTRUCTIONS),
        **dict.fromkeys(THREADS, "1"),
        **({"OPENBLAS_CORETYPE": kernels} if kernels else {}),
    }


def set_environment(settings: Mapping[str, str | None]) -> None:
    """Set or remove variables, for this process and those that it starts."""
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def blas_kernels() -> str | None:
    """The kernels that OpenBLAS is to use, where all processors with AVX2 can share some; None where it may choose.

    Its own choice differs between such processors, and a variable of the environment overrides it: numpy's matrix
    products, and with them Muon's steps, would have other bits.
    """
    return "Haswell" if {"avx2", "fma"} <= cpu_features() else None


def cpu_target() -> str:
    """The processor's generation as LLVM names it, such as ``znver4``, where LLVM is there."""
    try:
        import llvmlite.binding as llvm

        return str(llvm.get_host_cpu_name())
    except (ImportError, OSError, RuntimeError):
        return UNKNOWN


def cpu_features() -> set[str]:
    """What the processor can, in LLVM's words; of numpy's, which are fewer, where LLVM is not there."""
    try:
        import llvmlite.binding as llvm  # not for all who ask for a name

        return {name for name, has_it in llvm.get_host_cpu_features().items() if has_it}
    except (ImportError, OSError, RuntimeError):
        has = set(numpy_instructions().split())
        return {"avx2", "fma"} if "X86_V3" in has or {"AVX2", "FMA3"} <= has else set()  # numpy 2.4 has groups


def numpy_instructions() -> str:
    """The extensions of the processor that numpy computes with, as it names them."""
    import numpy as np

    extensions = np.show_config(mode="dicts").get("SIMD Extensions", {})
    return " ".join([*extensions.get("baseline", []), *extensions.get("found", [])]) or UNKNOWN


def versions() -> dict[str, str]:
    """Of Stepladder, Python and numpy, and the instructions numpy uses; an engine adds its own libraries'."""
    import platform

    return {
        "stepladder": __version__,
        "python": platform.python_version(),
        "numpy": _version_of("numpy"),
        "numpy-instructions": numpy_instructions(),
    }


def _version_of(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:  # it was put there without an installer
        return UNKNOWN
