"""From a Network to the plan of its training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from stepladder.engines.jit.plan import Buffer, Plan
from stepladder.engines.jit.steps.activations import around_norm
from stepladder.engines.jit.steps.convolutions import Convolution
from stepladder.engines.jit.steps.gates import Gate
from stepladder.engines.jit.steps.losses import Loss
from stepladder.engines.jit.steps.normalised import Normalised
from stepladder.engines.jit.steps.pools import Pool
from stepladder.engines.jit.steps.sums import Sum
from stepladder.engines.jit.steps.tensors import Context, Tensor
from stepladder.networks.geometry import ImageShape, LayerGeometry, Network
from stepladder.networks.ops import (
    AvgPool,
    Conv,
    Depthwise,
    Dropout,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Operation,
    Residual,
    SqueezeExcite,
)

LayerStep = Convolution | Pool | Sum | Gate


@dataclass(frozen=True)
class LayerCode:
    """How a layer is planned on what the layer below gave; all layers below gave ``outputs``.

    ``passes_through`` says whether it can take in values that are still to be normalised: where the next weights carry
    the norm, or where it changes no order. Padding would be 0 before the norm, not after it.
    """

    make: Callable[[Context, LayerGeometry, Tensor, Sequence[Tensor]], LayerStep]
    passes_through: Callable[[LayerGeometry], bool]


def _never(row: LayerGeometry) -> bool:
    del row
    return False


def _unpadded(row: LayerGeometry) -> bool:
    return row.padding == 0


def _always(row: LayerGeometry) -> bool:
    del row
    return True


def _convolution(context: Context, row: LayerGeometry, tensor: Tensor, outputs: Sequence[Tensor]) -> Convolution:
    del outputs
    return Convolution(context, row, tensor)


def _pool(context: Context, row: LayerGeometry, tensor: Tensor, outputs: Sequence[Tensor]) -> Pool:
    del outputs
    return Pool(context, row, tensor)


def _sum(context: Context, row: LayerGeometry, tensor: Tensor, outputs: Sequence[Tensor]) -> Sum:
    assert row.added is not None
    return Sum(context, row, tensor, outputs[row.added])


def _gate(context: Context, row: LayerGeometry, tensor: Tensor, outputs: Sequence[Tensor]) -> Gate:
    del outputs
    return Gate(context, row, tensor)


LAYERS: dict[type[Operation], LayerCode] = {
    Conv: LayerCode(_convolution, _unpadded),
    Depthwise: LayerCode(_convolution, _never),
    MaxPool: LayerCode(_pool, _always),
    AvgPool: LayerCode(_pool, _unpadded),
    GlobalAvgPool: LayerCode(_pool, _unpadded),
    Residual: LayerCode(_sum, _never),
    SqueezeExcite: LayerCode(_gate, _never),
    Linear: LayerCode(_convolution, _unpadded),
}

UNSUPPORTED: frozenset[type] = frozenset()


@dataclass(frozen=True)
class PlannedNetwork:
    """A whole plan, and the buffers through which a model reaches into it."""

    image: ImageShape
    plan: Plan
    parameters: Buffer
    gradients: Buffer
    statistics: Mapping[str, Buffer]
    images: Buffer
    logits: Buffer
    in_use: Buffer
    dropout_keys: Buffer
    loss: Mapping[str, Buffer]


def plan_network(
    network: Network, plan: Plan, *, dropout: float, label_smoothing: float, targets: bool
) -> PlannedNetwork:
    """Plan forward, evaluation and backward passes of a network; it learns ``targets`` if not the labels."""
    parameters, gradients = plan.take(network.params), plan.take(network.params)
    statistics = {name: plan.take(prod(shape)) for name, shape in network.statistic_shapes.items()}

    def named_parts(flat: Buffer) -> dict[str, Buffer]:
        return {name: flat.part(part.start, part.stop - part.start) for name, part in network.parameter_slices.items()}

    context = Context(
        plan=plan,
        parameters=named_parts(parameters),
        gradients=named_parts(gradients),
        statistics=statistics,
        in_use=plan.take_blocks(1),
        dropout=dropout,
        dropout_keys=plan.take(len(network.rows) * plan.n_blocks),
    )
    image = network.image
    images = Tensor(image.channels, image.size, plan.take_blocks(image.channels * image.n_pixels), None)
    tensor = images
    steps: list[LayerStep | Normalised] = []
    added = {row.added for row in network.rows}
    outputs: list[Tensor] = []
    for row in network.rows:
        if tensor.norm and not LAYERS[type(row.layer)].passes_through(row):
            steps.append(Normalised(context, tensor, after=(), index=row.index - 1))
            tensor = steps[-1].output
        steps.append(LAYERS[type(row.layer)].make(context, row, tensor, outputs))
        tensor = steps[-1].output
        _, after = around_norm(row.steps)
        applied = any(dropout or not isinstance(step, Dropout) for step in after)
        if applied or (tensor.norm and row.index in added):
            steps.append(Normalised(context, tensor, after=after, index=row.index))
            tensor = steps[-1].output
        outputs.append(tensor)
    if tensor.norm:
        steps.append(Normalised(context, tensor, after=(), index=network.rows[-1].index))
        tensor = steps[-1].output
    loss = Loss(context, tensor, label_smoothing=label_smoothing, targets=targets)
    for step in (loss, *reversed(steps)):
        step.backward()
    return PlannedNetwork(
        image=image,
        plan=plan,
        parameters=parameters,
        gradients=gradients,
        statistics=statistics,
        images=images.values,
        logits=tensor.values,
        in_use=context.in_use,
        dropout_keys=context.dropout_keys,
        loss=loss.buffers,
    )
