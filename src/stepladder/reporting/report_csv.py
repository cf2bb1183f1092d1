"""Every epoch of every run as a row of numbers, for spreadsheets and data frames."""

import csv
import io

from stepladder._base.plain import cell
from stepladder.runs.results import Results

HEADER = (
    "ladder",
    "rung",
    "params",
    "seed",
    "engine",
    "split",
    "epoch",
    "n_train",
    "n_train_correct",
    "train_loss",
    "n_evaluated",
    "n_correct",
    "loss",
    "train_s",
    "evaluate_s",
)


def report_csv(results: Results) -> str:
    """What ``stepladder report --format csv`` prints (RFC 4180, a header line first); no text in it is a formula."""
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(HEADER)
    for result, params in zip(results.trained, results.trained_params, strict=True):
        for run in result.runs:
            names = cell(results.ladder.name), cell(result.rung.name)
            whose = (*names, params, run.identity.seed, cell(run.identity.engine.tag))
            for number, epoch in enumerate(run.epochs, 1):
                counted = (getattr(epoch, name) for name in HEADER[7:])
                rows.writerow((*whose, results.ladder.evaluate_on, number, *counted))
    return file.getvalue()
