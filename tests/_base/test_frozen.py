"""Making many frozen values at once."""

import gc
import weakref

from stepladder._base.frozen import without_collecting


class Node:
    """What can be a part of a circle."""


def test_circles_made_without_collecting_are_collected_later() -> None:
    with without_collecting():
        assert not gc.isenabled()
        node = Node()
        node.own = node  # type: ignore[attr-defined]
    assert gc.isenabled()
    seen = weakref.ref(node)
    del node
    gc.collect()
    assert seen() is None


def test_what_a_program_has_frozen_stays_frozen() -> None:
    gc.freeze()
    try:
        n = gc.get_freeze_count()
        with without_collecting():
            pass
        assert gc.get_freeze_count() == n > 0
    finally:
        gc.unfreeze()


def test_who_collects_by_hand_goes_on_to() -> None:
    gc.disable()
    try:
        with without_collecting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
