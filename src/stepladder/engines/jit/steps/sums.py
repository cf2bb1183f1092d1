"""Residual connections."""

from stepladder.engines.jit.code.emit import Kernel
from stepladder.engines.jit.kernels.pointwise import (
    Plus,
    pointwise,
)
from stepladder.engines.jit.steps.tensors import Chain, Context, Tensor
from stepladder.networks.geometry import LayerGeometry
from stepladder.networks.sides import area


class Sum:
    """A residual: two tensors, neither still to be normalised, added."""

    def __init__(self, context: Context, row: LayerGeometry, input: Tensor, other: Tensor) -> None:
        assert input.norm is None
        assert other.norm is None
        self.context, self.row, self.input, self.other = context, row, input, other
        plan, n_values = context.plan, row.out_channels * area(row.out_size)
        gradient = plan.take_blocks(n_values) if input.gradient is not None else None
        self.output = Tensor(row.out_channels, row.out_size, plan.take_blocks(n_values), gradient)
        kernel = self._pass("sum", Chain([Plus()]))
        buffers = {"x": input.values, "other": other.values, "y": self.output.values}
        for calls in (plan.forward, plan.evaluation):
            plan.call(calls, kernel, buffers)

    def _pass(self, name: str, chain: Chain) -> Kernel:
        row, width = self.row, self.context.plan.width
        name = f"{name}_{row.index}"
        return pointwise(name, chain.operations, channels=row.out_channels, size=row.out_size, width=width)

    def backward(self) -> None:
        """The gradient goes both ways as it is: at once to the input, to the other tensor when its layers come."""
        if self.input.gradient is None or self.output.gradient is None:
            return
        self.other.added.append(self.output.gradient)
        plan, chain = self.context.plan, self.input.backward_chain()
        buffers = {"x": self.output.gradient, "y": self.input.gradient} | chain.buffers
        plan.call(plan.backward, self._pass("sum_gradient", chain), buffers)
