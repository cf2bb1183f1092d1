"""Suites that show whether an engine, a source of images or a tracker does what is relied on: an outsider's too.

A suite is a class of tests for pytest, which has to be installed: derive from it, say how to make what is tested, and
run pytest (docs/extending.md). The built-in ones pass the same suites.
"""

import pytest

pytest.register_assert_rewrite(
    "stepladder.testing.datasets", "stepladder.testing.engines", "stepladder.testing.trackers"
)

from stepladder.testing.datasets import DatasetConformance  # noqa: E402
from stepladder.testing.engines import EngineConformance  # noqa: E402
from stepladder.testing.trackers import TrackerConformance  # noqa: E402

__all__ = ["DatasetConformance", "EngineConformance", "TrackerConformance"]
