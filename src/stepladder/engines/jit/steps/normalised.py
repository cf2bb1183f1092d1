"""Batch norm as a pass of its own."""

from collections.abc import Sequence

from stepladder.engines.jit.kernels.norm import norm_sums
from stepladder.engines.jit.kernels.pointwise import (
    Affine,
    GradientSums,
    pointwise,
)
from stepladder.engines.jit.steps.tensors import Chain, Context, Tensor, plan_norm_gradient, plan_pass
from stepladder.networks.ops import Dropout, Step, has_step
from stepladder.networks.sides import area, pair


class Normalised:
    """A tensor after its batch norm, and after what comes behind it, where the next weights cannot carry that."""

    def __init__(self, context: Context, input: Tensor, *, after: Sequence[Step], index: int) -> None:
        assert input.norm is not None
        self.context, self.input, self.index = context, input, index
        self.norm = input.norm
        self.after = after
        self.drops = has_step(after, Dropout) and context.dropout > 0
        plan = context.plan
        values = plan.take_blocks(input.channels * area(input.size))
        self.output = Tensor(input.channels, input.size, values, input.gradient, None, self)
        n_sums = pair(input.size)[0] * input.channels * plan.width
        self.row_sums = {name: plan.take(n_sums) for name in ("sum_gradient", "sum_product")}
        for training, calls in ((True, plan.forward), (False, plan.evaluation)):
            chain = self._way_forward(training=training)
            name = f"normalised_{index}" if training or not self.drops else f"evaluated_normalised_{index}"
            if name not in plan.kernels:
                kernel = pointwise(name, chain.operations, channels=input.channels, size=input.size, width=plan.width)
            plan.call(calls, kernel, {"x": input.values, "y": values} | chain.buffers)

    def _way_forward(self, *, training: bool) -> Chain:
        chain = Chain()
        chain.add(Affine(), a=self.norm.per_channel["a"], b=self.norm.per_channel["b"])
        key = self.context.key(self.index) if self.drops and training else None
        for step in self.after:
            self.context.add_activation(chain, step, key=key)
        return chain

    def backward_chain(self) -> Chain:
        """To the gradient by the normalised values, counted."""
        chain = Chain()
        key = self.context.key(self.index) if self.drops else None
        self.context.add_gradient(chain, self.after, output=self.output.values, key=key)
        chain.add(GradientSums(), values=self.input.values, **self.row_sums)
        return chain

    def backward(self) -> None:
        plan = self.context.plan
        buffers = {**self.norm.per_channel, **self.row_sums}
        sums = norm_sums(f"norm_sums_{self.index}", channels=self.norm.channels, size=self.input.size, width=plan.width)
        plan.call(plan.backward, sums, buffers)
        plan_norm_gradient(plan, f"norm_gradient_{self.index}", self.norm)
        assert self.input.gradient is not None
        plan_pass(plan, f"backward_of_{self.index}", self.input.backward_chain(), self.input, self.input.gradient)
