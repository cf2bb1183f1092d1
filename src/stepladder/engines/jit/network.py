"""From a Network to the plan of its training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from stepladder.engines.jit.plan import Buffer, Plan
from stepladder.engines.jit.steps import Context, Convolution, Gate, Loss, Normalised, Pool, Sum, Tensor
from stepladder.networks.geometry import ImageShape, LayerGeometry, Network
from stepladder.networks.layers import Conv, Depthwise, Linear, Residual, SqueezeExcite


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
    images = Tensor(image.channels, image.size, plan.take_blocks(image.channels * image.size**2), None)
    tensor = images
    steps: list[Convolution | Normalised | Pool | Sum | Gate] = []
    added = {row.added for row in network.rows}
    outputs: list[Tensor] = []
    for row in network.rows:
        if tensor.norm and not passes_through(row):
            steps.append(Normalised(context, tensor, after=(), index=row.index - 1))
            tensor = steps[-1].output
        steps.append(_step(context, row, tensor, outputs))
        tensor = steps[-1].output
        after = row.steps[row.steps.index("norm") + 1 :] if "norm" in row.steps else ()
        applied = "relu" in after or ("dropout" in after and dropout)
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


def _step(
    context: Context, row: LayerGeometry, tensor: Tensor, outputs: Sequence[Tensor]
) -> Convolution | Pool | Sum | Gate:
    """A layer on what the layer below gave; ``outputs`` are what all layers below gave."""
    match row.layer:
        case Conv() | Depthwise() | Linear():
            return Convolution(context, row, tensor)
        case Residual():
            assert row.added is not None
            return Sum(context, row, tensor, outputs[row.added])
        case SqueezeExcite():
            return Gate(context, row, tensor)
        case _:
            return Pool(context, row, tensor)


def passes_through(row: LayerGeometry) -> bool:
    """Whether a layer can take in values that are still to be normalised: padding would be 0 before, not after."""
    match row.layer:
        case Conv() | Linear():
            return row.padding == 0
        case Depthwise() | Residual() | SqueezeExcite():
            return False
        case _:
            return row.operation == "MaxPool" or row.padding == 0
