"""Softmax cross-entropy with label smoothing, and its gradient, one image per lane."""

from stepladder.engines.jit.code.emit import Kernel, Vector
from stepladder.engines.jit.code.layout import LANES


def softmax_loss(name: str, n_classes: int, *, label_smoothing: float, targets: bool, width: int) -> Kernel:
    """Gradient of the loss by the logits, and what the loss is made of.

    Pointers: logits (B, K, L); labels (B, L), class numbers as float32; weight (B, L), what an image counts: 1/n, or 0
    in lanes beyond the last image; with ``targets`` these (B, K, L), the probabilities to learn. Written: gradient
    (B, K, L); sum_exp and rest (B, L): the loss of an image is log(sum_exp) + rest; hit (B, L), 1 where the first
    largest logit is the label's. The logarithm, one per image, is left to the caller. NaN among an image's logits makes
    its loss and gradient NaN.
    """
    pointers = ["logits", "labels", "weight", *["targets"] * targets, "gradient", "sum_exp", "rest", "hit"]
    kernel = Kernel(name, pointers, ["n_blocks"], width=width)
    off = label_smoothing / n_classes
    with kernel.loop(0, kernel.argument("n_blocks")) as block, kernel.loop(0, LANES, width) as lane:
        image, first = block * LANES + lane, block * (n_classes * LANES) + lane
        label, weight = kernel.load("labels", image), kernel.load("weight", image)

        largest, winner = kernel.variable(kernel.load("logits", first)), kernel.variable()
        number = kernel.variable()
        with kernel.loop(0, n_classes) as k:
            logit, best = kernel.load("logits", first + k * LANES), largest.get()
            winner.set(kernel.select("ogt", (logit, best), number.get(), winner.get()))
            largest.set(kernel.select("ogt", (logit, best), logit, best))
            number.add(kernel.constant(1.0))

        total = kernel.variable()
        with kernel.loop(0, n_classes) as k:
            power = exponential(kernel, kernel.load("logits", first + k * LANES) - largest.get())
            kernel.store("gradient", first + k * LANES, power)
            total.add(power)

        expected = kernel.variable()
        number.set(kernel.zero())
        with kernel.loop(0, n_classes) as k:
            at = first + k * LANES
            if targets:
                wanted = kernel.load("targets", at)
            else:
                wanted = kernel.select("oeq", (number.get(), label), 1 - label_smoothing + off, off)
            expected.add_product(wanted, kernel.load("logits", at))
            share = kernel.load("gradient", at) / total.get()
            kernel.store("gradient", at, (share - wanted) * weight)
            number.add(kernel.constant(1.0))

        kernel.store("sum_exp", image, total.get())
        kernel.store("rest", image, largest.get() - expected.get())
        kernel.store("hit", image, kernel.select("oeq", (winner.get(), label), 1.0, 0.0))
    return kernel


def exponential(kernel: Kernel, x: Vector) -> Vector:
    """exp of values up to 0, to 2 units in the last place; below -87 as of -87.

    Cephes' expf (Moshier): 2**n times a polynomial of the rest. Our own, because LLVM would call the process's libm,
    which differs between machines.
    """
    x = kernel.select("olt", (x, -87.0), -87.0, x)
    kind, whole = kernel.type_of(x.width), f"<{x.width} x i32>"
    rounded = x * 1.44269504088896341 - 0.5  # x is not above 0: cutting this off towards 0 rounds x log2(e)
    n = kernel.name_of(f"fptosi {kind} {rounded.text} to {whole}")
    steps = Vector(kernel, kernel.name_of(f"sitofp {whole} {n} to {kind}"), x.width)
    rest = (x - steps * 0.693359375) - steps * -2.12194440e-4
    series = kernel.constant(1.9875691500e-4)
    for coefficient in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        series = series * rest + coefficient
    series = series * rest * rest + rest + 1.0
    biased = kernel.name_of(f"add {whole} {n}, {kernel.all_lanes(127)}")
    exponent = kernel.name_of(f"shl {whole} {biased}, {kernel.all_lanes(23)}")
    return series * Vector(kernel, kernel.name_of(f"bitcast {whole} {exponent} to {kind}"), x.width)
