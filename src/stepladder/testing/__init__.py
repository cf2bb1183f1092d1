"""Suites that show whether an engine or a source of images does what Stepladder relies on: an outsider's too.

A suite is a class of tests for pytest, which has to be installed: derive from it, say how to make what is tested, and
run pytest (docs/extending.md). The built-in engines and sources pass the same ones.
"""

import pytest

pytest.register_assert_rewrite("stepladder.testing.datasets", "stepladder.testing.engines")

from stepladder.testing.datasets import DatasetConformance  # noqa: E402
from stepladder.testing.engines import EngineConformance  # noqa: E402

__all__ = ["DatasetConformance", "EngineConformance"]
