"""The layers of a network as steps of a plan: each plans its forward calls when made, its backward ones when asked.

A step's ``backward`` finds the gradient by its output's values in ``output.gradient`` and leaves that by its input's
values in ``input.gradient``, the operations on the way back to the input's source included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stepladder.engines.jit.code.emit import Kernel
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.kernels.convolution import ConvolutionShape, convolution, dilation
from stepladder.engines.jit.kernels.gate import GateShape, finish_gate, gate, gate_gradient
from stepladder.engines.jit.kernels.loss import softmax_loss
from stepladder.engines.jit.kernels.norm import norm_from_running, norm_gradient, norm_statistics, norm_sums
from stepladder.engines.jit.kernels.pointwise import (
    Affine,
    Dropout,
    GradientSums,
    InUse,
    NormGradient,
    Operation,
    Plus,
    Relu,
    ReluGradient,
    RowSums,
    Sums,
    pointwise,
)
from stepladder.engines.jit.kernels.pooling import (
    max_pool,
    max_pool_gradient,
    mean_pool,
    mean_pool_gradient,
    tiles_exactly,
)
from stepladder.engines.jit.kernels.weight_gradient import weight_gradient
from stepladder.engines.jit.kernels.weights import Fold, finish_weights, pack_weights
from stepladder.engines.jit.kernels.winograd import PLACES, pays, scratch_sizes, transformed_weights, winograd
from stepladder.engines.jit.plan import Buffer, Call, Plan
from stepladder.networks.geometry import LayerGeometry
from stepladder.networks.layers import Depthwise, GlobalAvgPool, Linear, MaxPool, SqueezeExcite


@dataclass
class Chain:
    """Operations and what they work on."""

    operations: list[Operation] = field(default_factory=list)
    buffers: dict[str, Buffer] = field(default_factory=dict)

    def add(self, operation: Operation, **buffers: Buffer) -> None:
        """Operations that share a pointer share what it points to."""
        assert set(buffers) == set(operation.pointers)
        for name, buffer in buffers.items():
            known = self.buffers.setdefault(name, buffer)
            assert known == buffer, f"two buffers are called {name}"
        self.operations.append(operation)

    def and_then(self, other: "Chain") -> "Chain":
        assert not set(self.buffers) & set(other.buffers)
        return Chain([*self.operations, *other.operations], {**self.buffers, **other.buffers})


@dataclass
class Norm:
    """One layer's batch normalisation: a u + b of each channel; ``folded`` once the next weights carry it."""

    channels: int
    size: int
    per_channel: Mapping[str, Buffer]  # scale, shift, d_scale, ..., see norm
    row_sums: Mapping[str, Buffer]
    folded: bool = False


@dataclass
class Tensor:
    """What flows between steps: (B, C, H, W, L). With a ``norm``, the values are still to be normalised.

    ``gradient`` is None where nobody asks for it. ``way_back`` is what is left to do with the gradient by the values
    once it is known: a list of operations, told when all of the forward pass is planned. ``added`` are gradients that
    reach the values around the layers that come next.
    """

    channels: int
    size: int
    values: Buffer
    gradient: Buffer | None
    norm: Norm | None = None
    source: "Convolution | Normalised | None" = None
    added: list[Buffer] = field(default_factory=list)

    def way_back(self) -> Chain:
        chain = Chain()
        for number, buffer in enumerate(self.added):
            chain.add(Plus(f"added_{number}"), **{f"added_{number}": buffer})
        return chain.and_then(self.source.way_back()) if self.source else chain


@dataclass(frozen=True)
class Context:
    """What all steps of a network share. ``parameters``, ``gradients`` and ``statistics`` are by name."""

    plan: Plan
    parameters: Mapping[str, Buffer]
    gradients: Mapping[str, Buffer]
    statistics: Mapping[str, Buffer]
    in_use: Buffer
    dropout: float
    dropout_keys: Buffer  # (layers, B) i32

    def key(self, layer: int) -> Buffer:
        """The keys of a layer's dropout, one for each block."""
        keys = self.dropout_keys.part(layer * self.plan.n_blocks, self.plan.n_blocks)
        return Buffer(keys.start, keys.size, per_block=1)

    def add_gradient(self, chain: Chain, *, relu: bool, output: Buffer, key: Buffer | None) -> None:
        """The way back through a ReLU and, with a ``key``, a dropout beside it; ``output`` is what they gave."""
        dropout = Dropout(self.dropout)
        if relu:
            chain.add(ReluGradient(dropout.scale if key else 1.0), output=output)
        elif key:
            chain.add(dropout, key=key)


class Convolution:
    """A convolution, depthwise convolution or linear layer, with what comes before its batch norm if it has one."""

    def __init__(self, context: Context, row: LayerGeometry, input: Tensor) -> None:
        self.context, self.row, self.input = context, row, input
        self.shape = shape_of(row)
        self.bias = f"{row.index}.bias" in row.parameters
        self.has_norm = "norm" in row.steps
        self.before = row.steps[: row.steps.index("norm")] if self.has_norm else row.steps
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
        n_values = row.out_channels * row.out_size**2
        values, gradient = plan.take_blocks(n_values), plan.take_blocks(n_values)
        self.output = Tensor(row.out_channels, row.out_size, values, gradient, self.norm, self)
        self._plan_forward()

    @property
    def row_sums_size(self) -> int:
        return self.row.out_size * self.row.out_channels * self.context.plan.width

    @property
    def drops(self) -> bool:
        return "dropout" in self.before and self.context.dropout > 0

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
            sizes = {"channels": row.out_channels, "size": row.out_size, "width": plan.width}
            statistics = norm_statistics(f"norm_statistics_{index}", **sizes)
            running = norm_from_running(f"norm_from_running_{index}", **sizes)
            for calls, kernel in ((plan.forward, statistics), (plan.evaluation, running)):
                plan.call(calls, kernel, {**self.norm.per_channel, **self.norm.row_sums})

    def _way_forward(self, *, training: bool) -> Chain:
        chain = Chain()
        for step in self.before:
            if step == "relu":
                chain.add(Relu())
            elif training and self.drops:
                chain.add(Dropout(self.context.dropout), key=self.context.key(self.row.index))
        if self.norm:
            buffers = {name: self.norm.row_sums[name] for name in ("sum", "sum_squared")}
            buffers["pivot"] = self.norm.per_channel["running_mean"]
            if self.context.plan.ragged:
                buffers["in_use"] = self.context.in_use
            chain.add(Sums(self.context.plan.ragged), **buffers)
        return chain

    def way_back(self) -> Chain:
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
        self.context.add_gradient(chain, relu="relu" in self.before, output=self.output.values, key=key)
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
        if self.shape.stride > 1:
            x = plan.take_blocks(self.row.out_channels * self.shape.dilated_size**2)
            dilate = dilation(f"dilation_{index}", self.shape, width=plan.width)
            plan.call(calls, dilate, {"dy": self.output.gradient, "y": x})
        chain = self.input.way_back()
        spread = isinstance(self.row.layer, Linear) and self.row.in_size > 1
        done = Chain() if spread else chain
        code = convolution_code(plan, f"input_gradient_{index}", self.shape.transposed, bias=False, chain=done)
        code.plan(plan, calls, {"x": x, "w": self.buffers["w_flipped"], "y": to})
        if spread:  # the operations are for channels and rows, and a linear layer knows but numbers
            plan_pass(plan, f"way_back_before_{index}", chain, self.input, to)


class Normalised:
    """A tensor after its batch norm, and after what comes behind it, where the next weights cannot carry that."""

    def __init__(self, context: Context, input: Tensor, *, after: Sequence[str], index: int) -> None:
        assert input.norm is not None
        self.context, self.input, self.index = context, input, index
        self.norm = input.norm
        self.relu = "relu" in after
        self.drops = "dropout" in after and context.dropout > 0
        plan = context.plan
        values = plan.take_blocks(input.channels * input.size**2)
        self.output = Tensor(input.channels, input.size, values, input.gradient, None, self)
        n_sums = input.size * input.channels * plan.width
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
        if self.relu:
            chain.add(Relu())
        if self.drops and training:
            chain.add(Dropout(self.context.dropout), key=self.context.key(self.index))
        return chain

    def way_back(self) -> Chain:
        """To the gradient by the normalised values, counted."""
        chain = Chain()
        key = self.context.key(self.index) if self.drops else None
        self.context.add_gradient(chain, relu=self.relu, output=self.output.values, key=key)
        chain.add(GradientSums(), values=self.input.values, **self.row_sums)
        return chain

    def backward(self) -> None:
        plan = self.context.plan
        buffers = {**self.norm.per_channel, **self.row_sums}
        sums = norm_sums(f"norm_sums_{self.index}", channels=self.norm.channels, size=self.input.size, width=plan.width)
        plan.call(plan.backward, sums, buffers)
        plan_norm_gradient(plan, f"norm_gradient_{self.index}", self.norm)
        assert self.input.gradient is not None
        plan_pass(plan, f"way_back_{self.index}", self.input.way_back(), self.input, self.input.gradient)


class Pool:
    """A maximum or a mean over windows."""

    def __init__(self, context: Context, row: LayerGeometry, input: Tensor) -> None:
        self.context, self.row, self.input = context, row, input
        self.is_max = isinstance(row.layer, MaxPool)
        self.shape = shape_of(row)
        plan, n_values = context.plan, row.out_channels * row.out_size**2
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
        chain = self.input.way_back()
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
            plan_pass(plan, f"way_back_before_{self.row.index}", chain, self.input, to)


class Sum:
    """A residual: two tensors, neither still to be normalised, added."""

    def __init__(self, context: Context, row: LayerGeometry, input: Tensor, other: Tensor) -> None:
        assert input.norm is None
        assert other.norm is None
        self.context, self.row, self.input, self.other = context, row, input, other
        plan, n_values = context.plan, row.out_channels * row.out_size**2
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
        plan, chain = self.context.plan, self.input.way_back()
        buffers = {"x": self.output.gradient, "y": self.input.gradient} | chain.buffers
        plan.call(plan.backward, self._pass("sum_gradient", chain), buffers)


class Gate:
    """A squeeze-excite of a tensor that is not still to be normalised."""

    def __init__(self, context: Context, row: LayerGeometry, input: Tensor) -> None:
        assert input.norm is None
        assert isinstance(row.layer, SqueezeExcite)
        self.context, self.row, self.input = context, row, input
        self.shape = GateShape(row.in_channels, row.layer.reduced, row.in_size)
        plan, n_values = context.plan, row.out_channels * row.out_size**2
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
            chain, buffers = self.input.way_back(), buffers | {"dx": to}
        kernel = gate_gradient(
            f"gate_gradient_{index}",
            self.shape,
            width=plan.width,
            operations=chain.operations,
            to_input=to is not None,
        )
        plan.call(plan.backward, kernel, buffers | chain.buffers)
        plan.call(plan.backward, finish_gate(f"finish_gate_{index}", self.shape, width=plan.width), buffers)


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
        plan_pass(plan, "way_back_of_loss", self.input.way_back(), self.input, self.input.gradient)


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


def shape_of(row: LayerGeometry) -> ConvolutionShape:
    """A layer's integers; a linear layer is a 1x1 convolution of one pixel with a channel for each number.

    A global pool is one window: with its size as stride, windows tile the input.
    """
    if isinstance(row.layer, Linear):
        return ConvolutionShape(row.in_channels * row.in_size**2, row.out_channels, 1, 1)
    depthwise = isinstance(row.layer, Depthwise)
    stride = row.kernel if isinstance(row.layer, GlobalAvgPool) else row.stride
    return ConvolutionShape(row.in_channels, row.out_channels, row.in_size, row.kernel, stride, row.padding, depthwise)


def plan_norm_gradient(plan: Plan, name: str, norm: Norm) -> None:
    """The gradients of a norm's scale and shift, and what its input's gradient needs."""
    kernel = norm_gradient(name, channels=norm.channels, size=norm.size, width=plan.width)
    plan.call(plan.backward, kernel, norm.per_channel)


def plan_pass(plan: Plan, name: str, chain: Chain, tensor: Tensor, gradient: Buffer) -> None:
    """Operations on a tensor's gradient where it lies; without any, nothing."""
    if chain.operations:
        sizes = {"channels": tensor.channels, "size": tensor.size, "width": plan.width}
        kernel = pointwise(name, chain.operations, in_place=True, **sizes)
        plan.call(plan.backward, kernel, {"x": gradient} | chain.buffers)


def cleared(name: str, tensor: Tensor, *, width: int) -> Kernel:
    """x = 0."""
    kernel = Kernel(name, ["x"], ["n_blocks"], width=width)
    with kernel.loop(0, kernel.argument("n_blocks") * (tensor.channels * tensor.size**2 * LANES), width) as at:
        kernel.store("x", at, kernel.zero())
    return kernel
