"""What to compile for: vector width and register budget follow the CPU."""

from dataclasses import dataclass

import llvmlite.binding as llvm

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()


@dataclass(frozen=True)
class Target:
    """A CPU as LLVM names it. ``width`` float32 fit a vector.

    So many vectors may accumulate at once: ``registers`` in a convolution, which needs others for the inputs of a tap
    and a broadcast weight, and ``gradient_registers`` in a weight gradient, which needs fewer others. With AVX2's 16
    registers, 10 and 12 reach 80 to 95% of the peak; 12 and 10 reach 35 to 80% (docs/LOG.md).
    """

    cpu: str
    features: str
    width: int
    registers: int
    gradient_registers: int

    def machine(self) -> llvm.TargetMachine:
        return llvm.Target.from_default_triple().create_target_machine(cpu=self.cpu, features=self.features, opt=3)


def host() -> Target:
    """The CPU this runs on."""
    features = llvm.get_host_cpu_features()
    cpu, flat = llvm.get_host_cpu_name(), features.flatten()
    if features.get("avx512f"):
        return Target(cpu, flat, width=16, registers=24, gradient_registers=24)
    if features.get("avx2") and features.get("fma"):
        return Target(cpu, flat, width=8, registers=10, gradient_registers=12)
    if llvm.get_process_triple().startswith(("aarch64", "arm64")):
        return Target(cpu, flat, width=4, registers=24, gradient_registers=24)
    return Target(cpu, flat, width=4, registers=10, gradient_registers=12)
