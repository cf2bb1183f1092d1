"""From kernels to functions that Python can call."""

import ctypes
from collections.abc import Callable, Sequence
from hashlib import sha256

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from stepladder.engines.jit.code import object_cache
from stepladder.engines.jit.code.emit import Kernel
from stepladder.engines.jit.code.target import Target

PASSES = 1  # counts the changes of ``object_code`` that change what it makes of the same text


class MachineCode:
    """Kernels compiled for a target, kept in memory as long as this lives. Without ``use_cache``, compiled anew.

    The code carries its own key: whatever lies in the cache, code that was made for other kernels is not run.
    """

    def __init__(self, kernels: Sequence[Kernel], target: Target, *, use_cache: bool = True) -> None:
        self._kernels = {kernel.name: kernel for kernel in kernels}
        self._target = target
        text = assembly(kernels)
        made_by = f"{llvmlite.__version__} {llvm.llvm_version_info} {llvm.get_process_triple()} {PASSES} {target}"
        self._key = sha256(f"{made_by}\n{text}".encode()).hexdigest()
        code = object_cache.read(self._key) if use_cache else None
        self.was_cached = code is not None and self._key.encode() in code
        if code is None or not self.was_cached:
            code = object_code(text + labelled(self._key), target)
            object_cache.write(self._key, code)
        self._sha256 = sha256(code).digest()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target.machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def is_sound(self) -> bool:
        """Whether this is the code that compiling gives. What was compiled here is; the cache's is compiled again."""
        if not self.was_cached:
            return True
        text = assembly(list(self._kernels.values())) + labelled(self._key)
        return sha256(object_code(text, self._target)).digest() == self._sha256

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


def labelled(key: str) -> str:
    """The line of a module that writes a key into its object code."""
    return f'\n@made_for = constant [{len(key)} x i8] c"{key}"'


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
