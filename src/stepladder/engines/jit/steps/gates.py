"""Squeeze-and-excitation."""

from stepladder.engines.jit.kernels.gate import GateShape, finish_gate, gate, gate_gradient
from stepladder.engines.jit.steps.tensors import Chain, Context, Tensor
from stepladder.networks.geometry import LayerGeometry
from stepladder.networks.ops import SqueezeExcite
from stepladder.networks.sides import area


class Gate:
    """A squeeze-excite of a tensor that is not still to be normalised."""

    def __init__(self, context: Context, row: LayerGeometry, input: Tensor) -> None:
        assert input.norm is None
        assert isinstance(row.layer, SqueezeExcite)
        self.context, self.row, self.input = context, row, input
        self.shape = GateShape(row.in_channels, row.layer.reduced, row.in_size)
        plan, n_values = context.plan, row.out_channels * area(row.out_size)
        values, gradient = plan.take_blocks(n_values), plan.take_blocks(n_values)
        self.output = Tensor(row.out_channels, row.out_size, values, gradient)
        self.buffers = {"x": input.values, "y": values}
        self.buffers |= {name: plan.take_blocks(n) for name, n in self.shape.values.items()}
        for part in self.shape.parts:
            self.buffers[f"{part.name}_sums"] = plan.take(part.n_sums * plan.width)
            for kind in ("weight", "bias"):
                self.buffers[f"{part.name}_{kind}"] = context.parameters[f"{row.index}.{part.name}.{kind}"]
                self.buffers[f"d_{part.name}_{kind}"] = context.gradients[f"{row.index}.{part.name}.{kind}"]
        kernel = gate(f"gate_{row.index}", self.shape, width=plan.width)
        for calls in (plan.forward, plan.evaluation):
            plan.call(calls, kernel, self.buffers)

    def backward(self) -> None:
        plan, index, to = self.context.plan, self.row.index, self.input.gradient
        assert self.output.gradient is not None
        chain, buffers = Chain(), self.buffers | {"dy": self.output.gradient}
        if to is not None:
            chain, buffers = self.input.backward_chain(), buffers | {"dx": to}
        kernel = gate_gradient(
            f"gate_gradient_{index}",
            self.shape,
            width=plan.width,
            operations=chain.operations,
            to_input=to is not None,
        )
        plan.call(plan.backward, kernel, buffers | chain.buffers)
        plan.call(plan.backward, finish_gate(f"finish_gate_{index}", self.shape, width=plan.width), buffers)
