"""The loss."""

from stepladder.engines.jit.kernels.loss import softmax_loss
from stepladder.engines.jit.steps.tensors import Context, Tensor, plan_pass


class Loss:
    """Softmax cross-entropy of the last tensor."""

    def __init__(self, context: Context, input: Tensor, *, label_smoothing: float, targets: bool) -> None:
        plan = context.plan
        self.context, self.input, self.label_smoothing = context, input, label_smoothing
        names = ("labels", "weight", "sum_exp", "rest", "hit")
        self.buffers = {name: plan.take_blocks(1) for name in names}
        if targets:
            self.buffers["targets"] = plan.take_blocks(input.channels)

    def backward(self) -> None:
        plan, calls = self.context.plan, self.context.plan.backward
        assert self.input.gradient is not None
        kernel = softmax_loss(
            "loss",
            self.input.channels,
            label_smoothing=self.label_smoothing,
            targets="targets" in self.buffers,
            width=plan.width,
        )
        buffers = self.buffers | {"logits": self.input.values, "gradient": self.input.gradient}
        plan.call(calls, kernel, buffers)
        plan_pass(plan, "backward_of_loss", self.input.backward_chain(), self.input, self.input.gradient)
