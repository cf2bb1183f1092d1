"""How close do the JIT's convolution kernels come to the peak of one core's multiply-adds?

``python benchmarks/kernels.py``: peak and kernels in turn, several rounds in one run; medians and their ratio.
"""

import platform
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import llvmlite
import numpy as np
from numpy.typing import NDArray

from stepladder._base.machine import cpu_name
from stepladder.engines.jit.code.emit import Kernel
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.code.machine_code import MachineCode
from stepladder.engines.jit.code.memory import aligned
from stepladder.engines.jit.code.target import Target, host
from stepladder.engines.jit.kernels.convolution import ConvolutionShape, convolution
from stepladder.engines.jit.kernels.pointwise import Relu, Sums
from stepladder.engines.jit.kernels.weight_gradient import weight_gradient
from stepladder.ladders.ladder_file import load
from stepladder.networks.geometry import ImageShape
from stepladder.networks.ops import Conv
from stepladder.networks.sides import full_text

N_BLOCKS = 4  # a batch of 64 images
N_ROUNDS = 7
ROUND_S = 0.2
PEAK_TURNS = 100_000


def peak_kernel(target: Target) -> Kernel:
    """Independent multiply-adds on registers alone: nothing else to wait for."""
    kernel = Kernel("peak", ["x"], ["n_turns"], width=target.width)
    sums = [kernel.variable(kernel.load("x", n * target.width)) for n in range(target.registers)]
    factors = kernel.load("x", 0), kernel.load("x", target.width)
    with kernel.loop(0, kernel.argument("n_turns")):
        for total in sums:
            total.add_product(*factors)
    for n, total in enumerate(sums):
        kernel.store("x", n * target.width, total.get())
    return kernel


def seconds_per_call(call: Callable[[], None]) -> float:
    n_calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < ROUND_S:
        call()
        n_calls += 1
    return elapsed / n_calls


def main() -> None:
    target = host()
    network = load("mnist-8k").rungs[1].network(ImageShape(channels=1, size=28, n_classes=10))
    shapes = [
        ConvolutionShape(row.in_channels, row.out_channels, row.in_size, row.kernel, row.stride, row.padding)
        for row in network.rows
        if isinstance(row.layer, Conv)
    ]
    options = {"width": target.width, "registers": target.registers}
    kernels = [peak_kernel(target)]
    for n, shape in enumerate(shapes):
        kernels += [
            convolution(f"forward_{n}", shape, bias=True, operations=[Relu(), Sums()], **options),
            convolution(f"input_gradient_{n}", shape.transposed, **options),
            weight_gradient(
                f"weight_gradient_{n}",
                shape,
                width=target.width,
                registers=target.gradient_registers,
                l1_bytes=target.l1_bytes,
            ),
        ]
    start = time.perf_counter()
    code = MachineCode(kernels, target)
    compile_s = time.perf_counter() - start

    arrays = [aligned(1 << 20) for _ in range(7)]
    for array in arrays:
        array[:] = np.random.default_rng(0).normal(0, 1e-3, array.shape)
    calls: dict[str, Callable[[], None]] = {}
    work = {"peak": target.registers * target.width * PEAK_TURNS}
    registers = aligned(target.registers * target.width)
    registers[:] = 1e-3
    calls["peak"] = bind(code, "peak", [registers], PEAK_TURNS)
    for n, shape in enumerate(shapes):
        taps = shape.n_taps * shape.down.out_size * shape.across.out_size
        macs = N_BLOCKS * LANES * shape.in_channels * shape.out_channels * taps
        for name, n_arrays in ((f"forward_{n}", 7), (f"input_gradient_{n}", 3), (f"weight_gradient_{n}", 3)):
            if name == "input_gradient_0":
                continue  # nobody asks for the gradient of the images
            calls[name], work[name] = bind(code, name, arrays[:n_arrays], N_BLOCKS), macs
    rounds = [{name: work[name] / seconds_per_call(call) for name, call in calls.items()} for _ in range(N_ROUNDS)]
    report(rounds, work, shapes, target, compile_s)


def bind(code: MachineCode, name: str, arrays: list[NDArray[np.float32]], integer: int) -> Callable[[], None]:
    """A call without arguments; the arrays must outlive it."""
    return partial(code.function(name), *(array.ctypes.data for array in arrays), integer)


def report(
    rounds: list[dict[str, float]],
    work: dict[str, int],
    shapes: list[ConvolutionShape],
    target: Target,
    compile_s: float,
) -> None:
    print(f"{cpu_name()} as {target.cpu}, {target.width} lanes, {target.registers} accumulators; llvmlite", end=" ")
    print(f"{llvmlite.__version__}, Python {platform.python_version()}; compiled in {compile_s:.2f} s")
    print(f"peak {2e-9 * median(each['peak'] for each in rounds):.0f} GFLOP/s; one core, median of {N_ROUNDS} rounds\n")
    print("| kernel | shape | GFLOP/s | share of peak |\n|---|---|---|---|")
    for name in list(work)[1:]:
        shape = shapes[int(name.rsplit("_", 1)[1])]
        words = f"{shape.in_channels} to {shape.out_channels} channels, {full_text(shape.in_size, ' x ')}"
        speed, share = median(each[name] for each in rounds), median(each[name] / each["peak"] for each in rounds)
        print(f"| {name.rsplit('_', 1)[0].replace('_', ' ')} | {words} | {2e-9 * speed:.0f} | {share:.0%} |")
    total = sum(list(work.values())[1:])
    shares = [total / sum(work[name] / each[name] for name in list(work)[1:]) / each["peak"] for each in rounds]
    print(f"\nall of a step's convolutions: {median(shares):.0%} of peak")


if __name__ == "__main__":
    main()
