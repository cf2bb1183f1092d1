"""What the engine does for steps that look at single values: the table of their operations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stepladder.engines.jit.kernels.pointwise import Operation, Relu, ReluGradient
from stepladder.networks import ops
from stepladder.networks.ops.op import Step


@dataclass(frozen=True)
class Activation:
    """An operation, and that of its gradient.

    The gradient's operation looks at the ``output`` alone, which has the sign of the input or is 0, and multiplies by
    a scale too.
    """

    forward: Callable[[Any], Operation]
    gradient: Callable[[Any, float], Operation]


ACTIVATIONS: dict[type[Step], Activation] = {
    ops.Relu: Activation(lambda step: Relu(), lambda step, scale: ReluGradient(scale)),  # noqa: ARG005
}

OF_ANOTHER_KIND: frozenset[type[Step]] = frozenset([ops.BatchNorm, ops.Dropout])
"""Steps that this table has not, because they are more than a function of a value: see Normalised, and Context."""

UNSUPPORTED: frozenset[type] = frozenset()


def around_norm(steps: Sequence[ops.Step]) -> tuple[Sequence[ops.Step], Sequence[ops.Step]]:
    """The steps before a batch norm, all of them if there is none, and those after it."""
    at = next((at for at, step in enumerate(steps) if isinstance(step, ops.BatchNorm)), len(steps))
    return steps[:at], steps[at + 1 :]
