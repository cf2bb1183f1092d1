"""What decides the bits of a run's numbers besides recipe, images and seed, as far as a run or a record tells it.

The engine and its revision; numpy, whose random numbers and float64 functions are used; and what machine code was
compiled for, which a processor's name does not tell: one cloud sells three generations as "AMD EPYC". For the JIT
engine that is LLVM's name of the processor, its features, and the size of its L1 data cache, which decides in what
order a weight gradient is added up. PyTorch chooses its code by the processor, so that there the name counts too, and
by the size of what it computes: where seeds are trained together, by how many, which is not told.

Where all of it is told and equal, numbers must be equal. What earlier versions stored tells less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from stepladder._base.machine import UNKNOWN, cpu_name, versions
from stepladder.runs.run import EngineIdentity, Run

State = Literal["equal", "other", "not told"]

TARGET, TOGETHER = "cpu-target", "together"
COMMON = ("numpy", "numpy-instructions")  # keys of versions that count
OF_ENGINE = {"jit": (TARGET, "cpu-features", "l1-bytes"), "torch": (TARGET, "torch-instructions")}


@dataclass(frozen=True)
class Origin:
    """What computed a number, and on what. ``versions`` are those of Provenance."""

    engine: EngineIdentity
    versions: Mapping[str, str]
    cpu: str


@dataclass(frozen=True)
class Condition:
    """One thing that counts, there and here; None where it is not told.

    ``what`` is "engine", "revision", "cpu" (the processor's name), "together" (how many seeds were trained at once), or
    a key of versions; of a record also "experiment".
    """

    what: str
    there: str | None
    here: str | None

    @property
    def state(self) -> State:
        if self.there is None or self.here is None:
            return "not told"
        return "equal" if self.there == self.here else "other"


class _Versioned(Protocol):
    """An engine, as far as it is asked here."""

    @property
    def identity(self) -> EngineIdentity: ...

    @property
    def versions(self) -> dict[str, str]: ...


def origin_of(run: Run) -> Origin:
    return Origin(run.identity.engine, run.provenance.versions, run.provenance.cpu)


def origin_here(engine: _Versioned) -> Origin:
    """What an engine computes with on this machine."""
    return Origin(engine.identity, versions() | engine.versions, cpu_name())


def conditions(there: Origin, here: Origin) -> tuple[Condition, ...]:
    """All that counts for these two. Of different engines there is no more to say than that."""
    identities = [
        Condition("engine", _engine(there.engine), _engine(here.engine)),
        Condition("revision", str(there.engine.revision), str(here.engine.revision)),
    ]
    own = OF_ENGINE.get(here.engine.name, ()) if there.engine.name == here.engine.name else ()
    others = [Condition(key, _told(there, key), _told(here, key)) for key in (*COMMON, *own)]
    if here.engine.name != "jit" or any(each.what == TARGET and each.state == "not told" for each in others):
        others.append(Condition("cpu", there.cpu, here.cpu))  # the best that is known
    if here.engine.trains_together or there.engine.trains_together:
        others.append(Condition(TOGETHER, None, None))
    return (*identities, *others)


def are_equal(found: Sequence[Condition]) -> bool:
    """Whether all that counts is told, and equal."""
    return all(each.state == "equal" for each in found)


def _engine(identity: EngineIdentity) -> str:
    return f"{identity.name} {identity.version} on {identity.device}"


def _told(origin: Origin, key: str) -> str | None:
    value = origin.versions.get(key, UNKNOWN)
    return None if value == UNKNOWN else value
