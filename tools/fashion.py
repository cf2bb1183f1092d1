"""docs/fashion-8k.md: ``python tools/fashion.py STORE`` in this repository's folder; the store has the 48 runs of
examples/fashion-8k.toml.

The page is their report. What they came to is kept in docs/results, and a test holds the page's verdicts to it.
"""

import sys
from pathlib import Path

import compact

from stepladder import Results, Store, load, report
from stepladder.analysis.comparing import Verdicts, compare

ROOT = Path(__file__).parent.parent
LADDER = "examples/fashion-8k.toml"
PAGE = ROOT / "docs" / "fashion-8k.md"
KEPT = "fashion-8k"
SEEDS = range(1, 9)


def keep(store: Store) -> Results:
    found = compact.whole(load(LADDER), store, SEEDS)  # by a path that the page shows
    compact.write(KEPT, [found])
    return found


def verdicts() -> Verdicts:
    """Those of the runs that are kept; the images are not needed."""
    return compare(compact.results(compact.read(KEPT), load(ROOT / LADDER)))


if __name__ == "__main__":
    report(keep(Store.open(sys.argv[1])), PAGE, force=True)
