"""What the engine does for steps that look at single values: the table of their operations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stepladder.engines.jit.kernels.pointwise import LeakyRelu, LeakyReluGradient, Operation, Relu, ReluGradient
from stepladder.networks import ops
from stepladder.networks.ops.op import Step


@dataclass(frozen=True)
class Activation:
    """An operation, and that of its gradient, which looks at the ``output`` alone: it has the input's sign or is 0.

    ``drops_too`` if the gradient is 0 wherever the output is, so that one of a dropout beside it needs nothing but the
    dropout's scale, which ``gradient`` takes.
    """

    forward: Callable[[Any], Operation]
    gradient: Callable[[Any, float], Operation]
    drops_too: bool = False


def _relu(step: ops.Relu) -> Operation:
    del step
    return Relu()


def _relu_gradient(step: ops.Relu, scale: float) -> Operation:
    del step
    return ReluGradient(scale)


def _leaky_relu(step: ops.LeakyRelu) -> Operation:
    return LeakyRelu(step.slope)


def _leaky_relu_gradient(step: ops.LeakyRelu, scale: float) -> Operation:
    assert scale == 1
    return LeakyReluGradient(step.slope)


ACTIVATIONS: dict[type[Step], Activation] = {
    ops.Relu: Activation(_relu, _relu_gradient, drops_too=True),
    ops.LeakyRelu: Activation(_leaky_relu, _leaky_relu_gradient),
}

OF_ANOTHER_KIND: frozenset[type[Step]] = frozenset([ops.BatchNorm, ops.Dropout])
"""Steps that are not in this table, because they are more than a function of a value: see Normalised, and Context."""

UNSUPPORTED: frozenset[type] = frozenset()


def around_norm(steps: Sequence[ops.Step]) -> tuple[Sequence[ops.Step], Sequence[ops.Step]]:
    """The steps before a batch norm, all of them if there is none, and those after it."""
    at = next((at for at, step in enumerate(steps) if isinstance(step, ops.BatchNorm)), len(steps))
    return steps[:at], steps[at + 1 :]
