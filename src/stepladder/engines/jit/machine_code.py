"""From kernels to functions that Python can call."""

import ctypes
from collections.abc import Callable, Sequence
from hashlib import sha256

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from stepladder.engines.jit import object_cache
from stepladder.engines.jit.emit import Kernel
from stepladder.engines.jit.target import Target

PASSES = 1  # counts the changes of ``object_code`` that change what it makes of the same text


class MachineCode:
    """Kernels compiled for a target, kept in memory as long as this lives."""

    def __init__(self, kernels: Sequence[Kernel], target: Target) -> None:
        text = assembly(kernels)
        made_by = f"{llvmlite.__version__} {llvm.llvm_version_info} {llvm.get_process_triple()} {PASSES} {target}"
        key = sha256(f"{made_by}\n{text}".encode()).hexdigest()
        code = object_cache.read(key)
        self.was_cached = code is not None
        if code is None:
            code = object_code(text, target)
            object_cache.write(key, code)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target.machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
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


def object_code(text: str, target: Target) -> bytes:
    """A module's text as the bytes of an object file.

    Of LLVM's passes only those that put variables into registers and simplify what is left: the kernels have been
    unrolled and vectorised where they were written. The code runs as fast as after -O2, which takes nine times as long
    (docs/LOG.md).
    """
    module, machine = llvm.parse_assembly(text), target.machine()
    module.verify()
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2)))
    code: bytes = machine.emit_object(module)
    return code
