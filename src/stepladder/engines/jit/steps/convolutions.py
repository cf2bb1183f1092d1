"""Convolutions of all kinds, and linear layers."""

from collections.abc import Mapping
from dataclasses import dataclass

from stepladder.engines.jit.code.emit import Kernel
from stepladder.engines.jit.kernels.convolution import ConvolutionShape, convolution, dilation
from stepladder.engines.jit.kernels.norm import norm_from_running, norm_statistics
from stepladder.engines.jit.kernels.pointwise import (
    InUse,
    NormGradient,
    RowSums,
    Sums,
)
from stepladder.engines.jit.kernels.weight_gradient import weight_gradient
from stepladder.engines.jit.kernels.weights import Fold, finish_weights, pack_weights
from stepladder.engines.jit.kernels.winograd import PLACES, pays, scratch_sizes, transformed_weights, winograd
from stepladder.engines.jit.plan import Buffer, Call, Plan
from stepladder.engines.jit.steps.activations import around_norm
from stepladder.engines.jit.steps.shapes import shape_of
from stepladder.engines.jit.steps.tensors import Chain, Context, Norm, Tensor, plan_norm_gradient, plan_pass
from stepladder.networks.geometry import LayerGeometry
from stepladder.networks.ops import BatchNorm, Dropout, Linear, has_step
from stepladder.networks.sides import area, pair


class Convolution:
    """A convolution, depthwise convolution or linear layer, with what comes before its batch norm if it has one."""

    def __init__(self, context: Context, row: LayerGeometry, input: Tensor) -> None:
        self.context, self.row, self.input = context, row, input
        self.shape = shape_of(row)
        self.bias = f"{row.index}.bias" in row.parameters
        self.has_norm = row.has(BatchNorm)
        self.before, _ = around_norm(row.steps)
        self.fold = None
        if input.norm is not None:
            input.norm.folded = True
            self.fold = Fold(self.shape.in_channels // input.channels)
        plan, size = context.plan, self.shape.n_weights
        self.buffers = {
            name: context.parameters[f"{row.index}.{name}"]
            for name in ("weight", "bias")
            if name == "weight" or self.bias
        }
        self.buffers |= {"w": plan.take(size), "g": plan.take(size * plan.width)}
        if input.gradient is not None:
            self.buffers["w_flipped"] = plan.take(size)
        if self.fold:
            assert input.norm is not None
            self.buffers |= {"w_bias": plan.take(row.out_channels), "d_bias": plan.take(row.out_channels)}
            self.buffers |= input.norm.per_channel
        if self.bias:
            self.buffers["d_bias"] = context.gradients[f"{row.index}.bias"]
        self.buffers["d_weight"] = context.gradients[f"{row.index}.weight"]
        if self.bias or self.fold:
            self.buffers["row_sum"] = plan.take(self.row_sums_size)
        self.norm = self._plan_norm() if self.has_norm else None
        n_values = row.out_channels * area(row.out_size)
        values, gradient = plan.take_blocks(n_values), plan.take_blocks(n_values)
        self.output = Tensor(row.out_channels, row.out_size, values, gradient, self.norm, self)
        self._plan_forward()

    @property
    def row_sums_size(self) -> int:
        return pair(self.row.out_size)[0] * self.row.out_channels * self.context.plan.width

    @property
    def drops(self) -> bool:
        return has_step(self.before, Dropout) and self.context.dropout > 0

    def _plan_norm(self) -> Norm:
        context, row, prefix = self.context, self.row, f"{self.row.index}.norm"
        plan = context.plan
        names = ("mean", "rstd", "a", "b", "slope", "offset", "total_gradient", "total_product")
        per_channel = {name: plan.take(row.out_channels) for name in names}
        per_channel |= {"shift": context.parameters[f"{prefix}.bias"], "d_shift": context.gradients[f"{prefix}.bias"]}
        if f"{prefix}.weight" in context.parameters:
            scale, d_scale = context.parameters[f"{prefix}.weight"], context.gradients[f"{prefix}.weight"]
        else:
            scale, d_scale = plan.take_ones(row.out_channels), plan.take(row.out_channels)
        per_channel |= {"scale": scale, "d_scale": d_scale}
        per_channel |= {name: context.statistics[f"{prefix}.{name}"] for name in ("running_mean", "running_var")}
        row_sums = {name: plan.take(self.row_sums_size) for name in ("sum", "sum_squared")}
        return Norm(row.out_channels, row.out_size, per_channel, row_sums)

    def _plan_forward(self) -> None:
        plan, row, index = self.context.plan, self.row, self.row.index
        flipped = "w_flipped" in self.buffers
        pack = pack_weights(f"pack_{index}", self.shape, bias=self.bias, fold=self.fold, flipped=flipped)
        buffers = self.buffers | {"x": self.input.values, "y": self.output.values}
        if self.fold:
            buffers["bias"] = buffers["w_bias"]
        chain, bias = self._way_forward(training=True), "bias" in buffers
        codes = [convolution_code(plan, f"convolution_{index}", self.shape, bias=bias, chain=chain)] * 2
        if self.drops:
            chain = self._way_forward(training=False)
            codes[1] = convolution_code(plan, f"evaluated_convolution_{index}", self.shape, bias=bias, chain=chain)
        for calls, code in zip((plan.forward, plan.evaluation), codes, strict=True):
            plan.call(calls, pack, self.buffers)
            code.plan(plan, calls, buffers)
        if self.norm:
            channels, size, width = row.out_channels, row.out_size, plan.width
            statistics = norm_statistics(f"norm_statistics_{index}", channels=channels, size=size, width=width)
            running = norm_from_running(f"norm_from_running_{index}", channels=channels, size=size, width=width)
            for calls, kernel in ((plan.forward, statistics), (plan.evaluation, running)):
                plan.call(calls, kernel, {**self.norm.per_channel, **self.norm.row_sums})

    def _way_forward(self, *, training: bool) -> Chain:
        chain = Chain()
        key = self.context.key(self.row.index) if training and self.drops else None
        for step in self.before:
            self.context.add_activation(chain, step, key=key)
        if self.norm:
            buffers = {name: self.norm.row_sums[name] for name in ("sum", "sum_squared")}
            buffers["pivot"] = self.norm.per_channel["running_mean"]
            if self.context.plan.ragged:
                buffers["in_use"] = self.context.in_use
            chain.add(Sums(self.context.plan.ragged), **buffers)
        return chain

    def backward_chain(self) -> Chain:
        """From the gradient by the output's values to that by the convolution's own result."""
        chain = Chain()
        if self.norm:
            chain.add(
                NormGradient(scaled=self.norm.folded),
                values=self.output.values,
                **{name: self.norm.per_channel[name] for name in ("a", "slope", "offset")},
            )
            if self.context.plan.ragged:
                chain.add(InUse(), in_use=self.context.in_use)
        key = self.context.key(self.row.index) if self.drops else None
        self.context.add_gradient(chain, self.before, output=self.output.values, key=key)
        if self.bias or self.fold:
            chain.add(RowSums(), row_sum=self.buffers["row_sum"])
        return chain

    def backward(self) -> None:
        plan, index, calls = self.context.plan, self.row.index, self.context.plan.backward
        assert self.output.gradient is not None
        gradient = weight_gradient(
            f"weight_gradient_{index}",
            self.shape,
            width=plan.width,
            registers=plan.target.gradient_registers,
            l1_bytes=plan.target.l1_bytes,
        )
        plan.call(calls, gradient, self.buffers | {"x": self.input.values, "dy": self.output.gradient})
        finish = finish_weights(f"finish_weights_{index}", self.shape, bias=self.bias, fold=self.fold, width=plan.width)
        plan.call(calls, finish, self.buffers)
        if self.fold:
            assert self.input.norm is not None
            plan_norm_gradient(plan, f"norm_gradient_before_{index}", self.input.norm)
        if self.input.gradient is not None:
            self._plan_input_gradient(self.input.gradient)

    def _plan_input_gradient(self, to: Buffer) -> None:
        plan, index, calls = self.context.plan, self.row.index, self.context.plan.backward
        assert self.output.gradient is not None
        x = self.output.gradient
        if self.shape.stride != 1:
            x = plan.take_blocks(self.row.out_channels * area(self.shape.dilated_size))
            dilate = dilation(f"dilation_{index}", self.shape, width=plan.width)
            plan.call(calls, dilate, {"dy": self.output.gradient, "y": x})
        chain = self.input.backward_chain()
        spread = isinstance(self.row.layer, Linear) and self.row.in_size != 1
        done = Chain() if spread else chain
        code = convolution_code(plan, f"input_gradient_{index}", self.shape.transposed, bias=False, chain=done)
        code.plan(plan, calls, {"x": x, "w": self.buffers["w_flipped"], "y": to})
        if spread:  # the operations are for channels and rows, and a linear layer knows but numbers
            plan_pass(plan, f"backward_before_{index}", chain, self.input, to)


@dataclass(frozen=True)
class ConvolutionCode:
    """How one convolution is computed: its kernels, and what these work on beside x, w, bias and y."""

    kernels: tuple[Kernel, ...]
    buffers: Mapping[str, Buffer]

    def plan(self, plan: Plan, calls: list[Call], buffers: Mapping[str, Buffer]) -> None:
        for kernel in self.kernels:
            plan.call(calls, kernel, {**buffers, **self.buffers})


def convolution_code(plan: Plan, name: str, shape: ConvolutionShape, *, bias: bool, chain: Chain) -> ConvolutionCode:
    """A convolution and the operations after it: by Winograd where that pays, else directly."""
    if not pays(shape):
        kernel = convolution(
            name,
            shape,
            width=plan.width,
            registers=plan.target.registers,
            bias=bias,
            operations=chain.operations,
        )
        return ConvolutionCode((kernel,), chain.buffers)
    weights = transformed_weights(f"{name}_weights", shape)
    kernel = winograd(name, shape, width=plan.width, bias=bias, operations=chain.operations)
    scratch = {part: plan.scratch(part, size) for part, size in scratch_sizes(shape, plan.width).items()}
    u = plan.take(PLACES * shape.in_channels * shape.out_channels)
    return ConvolutionCode((weights, kernel), {**chain.buffers, **scratch, "u": u})
