"""From numbers to verdicts: intervals, comparisons, what a rung's runs show. Words for it are in ``reporting``."""
