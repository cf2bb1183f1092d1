"""What of a network an engine has no code for, found by the tables that engines keep."""

from collections.abc import Collection

from stepladder.networks.geometry import Network
from stepladder.networks.ops import LAYERS, STEPS


def lacking(network: Network, unsupported: Collection[type]) -> list[str]:
    """The layers whose operation is of one of these types, or whose steps are, in words that ``Engine.lacks`` gives."""
    found = []
    for row in network.rows:
        where = f"layer {row.index + 1} ('{row.layer}')"
        if type(row.layer) in unsupported:
            found.append(where)
        found += [f"the {step.word} of {where}" for step in row.steps if type(step) in unsupported]
    return found


def in_none_of(*tables: Collection[type]) -> frozenset[type]:
    """The operations and steps of the vocabulary that are in none of an engine's tables, whether it says so or not."""
    return frozenset({*LAYERS.values(), *STEPS.values()}.difference(*tables))
