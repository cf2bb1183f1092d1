"""The steps after an operation, and their order.

To add a step: a file of its own beside this one, its name in ``Step`` and ``STEPS`` here. Then run
``pytest tests/networks/test_ops.py``: it says which target to open next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from stepladder._base.wording import did_you_mean, shown
from stepladder.errors import LadderError
from stepladder.networks.ops import op
from stepladder.networks.ops.batch_norm import BatchNorm
from stepladder.networks.ops.dropout import Dropout
from stepladder.networks.ops.leaky_relu import LeakyRelu
from stepladder.networks.ops.relu import Relu
from stepladder.networks.ops.words import Words

Step = Relu | LeakyRelu | BatchNorm | Dropout
STEPS: dict[str, type[Step]] = {step.word: step for step in get_args(Step)}


@dataclass(frozen=True)
class Block:
    """What follows an operation, in order: each kind of step at most once."""

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if len({type(step) for step in self.steps}) < len(self.steps):
            raise LadderError(f"block order {shown(self.text())} names a step twice")

    @classmethod
    def parse(cls, text: str, *, operation: str = "conv") -> "Block":
        """Read ``"conv relu norm dropout"``; raises LadderError."""
        words = Words(text)
        first = words.left.pop(0) if words.left else ""
        if first != operation:
            raise LadderError(
                f"a block order starts with {operation!r}, as in '{operation} relu norm', not {shown(text)}"
            )
        steps: list[Step] = []
        while words.left:
            word = words.left.pop(0)
            if word not in STEPS:
                hint = did_you_mean(word, tuple(STEPS), place="step")
                raise LadderError(f"unknown step {shown(word)} in a block order{hint}")
            steps.append(STEPS[word].read(words))
        if len({type(step) for step in steps}) < len(steps):
            raise LadderError(f"block order {shown(text)} names a step twice")
        return cls(tuple(steps))

    @classmethod
    def taken(cls, words: Words, *, operation: str) -> "Block":
        """Take all that is left of a layer's words as its own block order."""
        rest, words.left = " ".join(words.left), []
        try:
            return cls.parse(rest, operation=operation)
        except LadderError as error:
            raise words.refuse(str(error)) from None

    def text(self, operation: str = "conv") -> str:
        return " ".join((operation, *map(str, self.steps)))

    def has(self, kind: type[op.Step]) -> bool:
        return has_step(self.steps, kind)

    @property
    def short(self) -> str:
        """In the shorthand of tables: ``b`` for bare."""
        return f"[{' '.join(map(str, self.steps))}]" if self.steps else "b"

    def __str__(self) -> str:
        return self.text()


NO_STEPS = Block()
USUAL = Block((Relu(), BatchNorm(), Dropout()))


def has_step(steps: Sequence[op.Step], kind: type[op.Step]) -> bool:
    """Whether one of the steps is of a kind."""
    return any(isinstance(step, kind) for step in steps)
