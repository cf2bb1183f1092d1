"""What flows between the steps of a plan, and what they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stepladder.engines.jit.kernels.norm import norm_gradient
from stepladder.engines.jit.kernels.pointwise import (
    Dropout,
    Operation,
    Plus,
    pointwise,
)
from stepladder.engines.jit.plan import Buffer, Plan
from stepladder.engines.jit.steps.activations import ACTIVATIONS
from stepladder.networks import ops
from stepladder.networks.ops import Step
from stepladder.networks.sides import Sides


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


class Source(Protocol):
    """The step that a tensor comes from, where backward has something left to do before it."""

    def backward_chain(self) -> Chain: ...


@dataclass
class Norm:
    """One layer's batch normalisation: a u + b of each channel; ``folded`` once the next weights carry it."""

    channels: int
    size: Sides
    per_channel: Mapping[str, Buffer]  # scale, shift, d_scale, ..., see norm
    row_sums: Mapping[str, Buffer]
    folded: bool = False


@dataclass
class Tensor:
    """What flows between steps: (B, C, H, W, L). With a ``norm``, the values are still to be normalised.

    ``gradient`` is None where nobody asks for it. ``backward_chain`` is what is left to do with the gradient by the
    values once it is known: a list of operations, told when all of the forward pass is planned. ``added`` are gradients
    that reach the values around the layers that come next.
    """

    channels: int
    size: Sides
    values: Buffer
    gradient: Buffer | None
    norm: Norm | None = None
    source: "Source | None" = None
    added: list[Buffer] = field(default_factory=list)

    def backward_chain(self) -> Chain:
        chain = Chain()
        for number, buffer in enumerate(self.added):
            chain.add(Plus(f"added_{number}"), **{f"added_{number}": buffer})
        return chain.and_then(self.source.backward_chain()) if self.source else chain


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

    def add_activation(self, chain: Chain, step: Step, *, key: Buffer | None) -> None:
        """The way forward through a step that looks at single values; without a ``key`` nothing is dropped."""
        if isinstance(step, ops.Dropout):
            if key:
                chain.add(Dropout(self.dropout), key=key)
            return
        chain.add(ACTIVATIONS[type(step)].forward(step))

    def add_gradient(self, chain: Chain, steps: Sequence[Step], *, output: Buffer, key: Buffer | None) -> None:
        """Backward through such steps; with a ``key`` one of them is a dropout. ``output`` is what they gave.

        They keep the sign of a value or make it 0, so that their order does not matter, and the sign of what they gave
        is that of what each of them took in.
        """
        activations = [step for step in reversed(steps) if not isinstance(step, ops.Dropout)]
        dropout, scaled = Dropout(self.dropout), False
        if key and not any(ACTIVATIONS[type(step)].drops_too for step in activations):
            chain.add(dropout, key=key)
            scaled = True
        for step in activations:
            activation, scale = ACTIVATIONS[type(step)], 1.0
            if key and activation.drops_too and not scaled:
                scale, scaled = dropout.scale, True
            chain.add(activation.gradient(step, scale), output=output)


def plan_norm_gradient(plan: Plan, name: str, norm: Norm) -> None:
    """The gradients of a norm's scale and shift, and what its input's gradient needs."""
    kernel = norm_gradient(name, channels=norm.channels, size=norm.size, width=plan.width)
    plan.call(plan.backward, kernel, norm.per_channel)


def plan_pass(plan: Plan, name: str, chain: Chain, tensor: Tensor, gradient: Buffer) -> None:
    """Operations on a tensor's gradient where it lies; without any, nothing."""
    if chain.operations:
        channels, size, width = tensor.channels, tensor.size, plan.width
        kernel = pointwise(name, chain.operations, channels=channels, size=size, width=width, in_place=True)
        plan.call(plan.backward, kernel, {"x": gradient} | chain.buffers)
