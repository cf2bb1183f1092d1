"""What to compile for: vector width and register budget follow the CPU."""

from dataclasses import dataclass
from pathlib import Path

import llvmlite.binding as llvm

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()


@dataclass(frozen=True)
class Target:
    """A CPU as LLVM names it. ``width`` float32 fit a vector.

    So many vectors may accumulate at once: ``registers`` in a convolution, which needs others for the inputs of a tap
    and a broadcast weight, and ``gradient_registers`` in a weight gradient, which needs fewer others. With AVX2's 16
    registers, 10 and 12 reach 80 to 95% of the peak; 12 and 10 reach 35 to 80% (docs/LOG.md). ``l1_bytes`` is the size
    of the data cache nearest to the core.
    """

    cpu: str
    features: str
    width: int
    registers: int
    gradient_registers: int
    l1_bytes: int = 32 * 1024

    def told(self) -> dict[str, str]:
        """What a run says of it: from these, width and registers follow."""
        features = " ".join(sorted(each[1:] for each in self.features.split(",") if each.startswith("+")))
        return {"cpu-target": self.cpu, "cpu-features": features, "l1-bytes": str(self.l1_bytes)}

    def machine(self) -> llvm.TargetMachine:
        return llvm.Target.from_default_triple().create_target_machine(cpu=self.cpu, features=self.features, opt=3)


def host() -> Target:
    """The CPU this runs on."""
    features = llvm.get_host_cpu_features()
    cpu, flat, cache = llvm.get_host_cpu_name(), features.flatten(), l1_bytes()
    if features.get("avx512f"):
        return Target(cpu, flat, width=16, registers=24, gradient_registers=24, l1_bytes=cache)
    if features.get("avx2") and features.get("fma"):
        return Target(cpu, flat, width=8, registers=10, gradient_registers=12, l1_bytes=cache)
    if llvm.get_process_triple().startswith(("aarch64", "arm64")):
        return Target(cpu, flat, width=4, registers=24, gradient_registers=24, l1_bytes=cache)
    return Target(cpu, flat, width=4, registers=10, gradient_registers=12, l1_bytes=cache)


def l1_bytes() -> int:
    """The data cache nearest to a core, where the system tells its size; most have at least 32 KiB."""
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if level == "1" and kind == "Data" and size.removesuffix("K").isdigit():
            return int(size.removesuffix("K")) * 1024
    return 32 * 1024
