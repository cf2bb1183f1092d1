"""Pools."""

from stepladder.engines.jit.code.emit import Kernel
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.kernels.pooling import (
    max_pool,
    max_pool_gradient,
    mean_pool,
    mean_pool_gradient,
    tiles_exactly,
)
from stepladder.engines.jit.steps.shapes import shape_of
from stepladder.engines.jit.steps.tensors import Context, Tensor, plan_pass
from stepladder.networks.geometry import LayerGeometry
from stepladder.networks.ops import MaxPool
from stepladder.networks.sides import area


class Pool:
    """A maximum or a mean over windows."""

    def __init__(self, context: Context, row: LayerGeometry, input: Tensor) -> None:
        self.context, self.row, self.input = context, row, input
        self.is_max = isinstance(row.layer, MaxPool)
        self.shape = shape_of(row)
        plan, n_values = context.plan, row.out_channels * area(row.out_size)
        gradient = plan.take_blocks(n_values) if input.gradient is not None else None
        self.output = Tensor(row.out_channels, row.out_size, plan.take_blocks(n_values), gradient, input.norm)
        buffers = {"x": input.values, "y": self.output.values}
        name = f"pool_{row.index}"
        if self.is_max:
            kernel = max_pool(name, self.shape, width=plan.width, scaled=input.norm is not None)
            buffers |= {"a": input.norm.per_channel["a"]} if input.norm else {}
        else:
            kernel = mean_pool(name, self.shape, width=plan.width)
        for calls in (plan.forward, plan.evaluation):
            plan.call(calls, kernel, buffers)

    def backward(self) -> None:
        if self.input.gradient is None or self.output.gradient is None:
            return
        plan, calls, to = self.context.plan, self.context.plan.backward, self.input.gradient
        chain = self.input.backward_chain()
        exact = tiles_exactly(self.shape)
        if not exact:
            clear = cleared(f"cleared_{self.row.index}", self.input, width=plan.width)
            plan.call(calls, clear, {"x": to})
        make = max_pool_gradient if self.is_max else mean_pool_gradient
        kernel = make(
            f"pool_gradient_{self.row.index}",
            self.shape,
            width=plan.width,
            operations=chain.operations if exact else (),
        )
        buffers = {"x": self.input.values, "y": self.output.values, "dy": self.output.gradient, "dx": to}
        plan.call(calls, kernel, buffers | chain.buffers)
        if not exact:
            plan_pass(plan, f"backward_before_{self.row.index}", chain, self.input, to)


def cleared(name: str, tensor: Tensor, *, width: int) -> Kernel:
    """x = 0."""
    kernel = Kernel(name, ["x"], ["n_blocks"], width=width)
    with kernel.loop(0, kernel.argument("n_blocks") * (tensor.channels * area(tensor.size) * LANES), width) as at:
        kernel.store("x", at, kernel.zero())
    return kernel
