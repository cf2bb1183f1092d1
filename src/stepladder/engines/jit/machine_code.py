"""From kernels to functions that Python can call."""

import ctypes
from collections.abc import Callable, Sequence

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from stepladder.engines.jit.emit import Kernel
from stepladder.engines.jit.target import Target


class MachineCode:
    """Kernels compiled for a target, kept in memory as long as this lives."""

    def __init__(self, kernels: Sequence[Kernel], target: Target) -> None:
        module = llvm.parse_assembly(assembly(kernels))
        module.verify()
        machine = target.machine()
        optimise(module, machine)
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        self._kernels = {kernel.name: kernel for kernel in kernels}

    def function(self, name: str) -> Callable[..., None]:
        """A kernel as a function of its pointers (addresses, in the kernel's order), then its integers."""
        kernel = self._kernels[name]
        kinds = [ctypes.c_void_p] * len(kernel.pointers) + [ctypes.c_int64] * len(kernel.integers)
        return ctypes.CFUNCTYPE(None, *kinds)(self._engine.get_function_address(name))

    def call(self, name: str, *arrays: NDArray[np.generic], **integers: int) -> None:
        """Call a kernel on numpy arrays: convenient, not fast."""
        kernel = self._kernels[name]
        self.function(name)(*(array.ctypes.data for array in arrays), *(integers[each] for each in kernel.integers))


def assembly(kernels: Sequence[Kernel]) -> str:
    """Kernels as the text of one LLVM module."""
    declarations = sorted({line for kernel in kernels for line in kernel.declarations})
    return "\n".join([*declarations, *(kernel.text() for kernel in kernels)])


def optimise(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    """Variables into registers, and little else: the kernels have been unrolled and vectorised where they were written.

    The code runs as fast as after LLVM's -O2, which takes nine times as long (docs/LOG.md).
    """
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2)))
