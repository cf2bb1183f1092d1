"""How long does it take from a command to a network of 99.4%? ``python benchmarks/time_to_target.py -o FILE``.

Every seed is a ``stepladder climb --top`` of its own, one after another: a new process, an empty store, and an empty
cache of machine code, so that starting Python, reading MNIST, compiling, training, evaluating and storing are all in
it. The time is of a wall clock, and such a climb trains on one core. Mean accuracy and its 95% interval are over seeds.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

import click

from stepladder._base.machine import cpu_name, n_cores
from stepladder.analysis.intervals import interval_of_mean


def timed(ladder: str, seed: int) -> tuple[float, float]:
    """Seconds of the whole command, and the accuracy at its last epoch in percent."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"STEPLADDER_CACHE": str(Path(folder) / "cache")}
        command = ["climb", ladder, "--top", "--seeds", f"{seed}-{seed}", "--store", "runs", "--jobs", "1", "--json"]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "stepladder", *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    return seconds, json.loads(done.stdout)["rungs"][0]["test_final_mean"]


@click.command()
@click.argument("ladder", default="mnist-fast")
@click.option("--first", default=101, show_default=True, help="First seed.")
@click.option("--seeds", default=20, show_default=True, help="How many seeds.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file for all of it.")
def main(ladder: str, first: int, seeds: int, output: Path | None) -> None:
    """Time the whole way to a trained network, seed by seed."""
    runs = []
    for seed in range(first, first + seeds):
        seconds, accuracy = timed(ladder, seed)
        runs.append({"seed": seed, "seconds": round(seconds, 1), "accuracy": round(accuracy, 2)})
        print(f"seed {seed}: {seconds:.1f} s, {accuracy:.2f}%", flush=True)
    if output:
        about = {"ladder": ladder, "cpu": cpu_name(), "n_cores": n_cores(), "finished": f"{datetime.now(UTC):%Y-%m-%d}"}
        lines = ",\n".join(f"    {json.dumps(run)}" for run in runs)
        output.write_text(json.dumps(about)[:-1] + f', "runs": [\n{lines}\n]}}\n')
    times, accuracies = [run["seconds"] for run in runs], [run["accuracy"] for run in runs]
    low, high = interval_of_mean(accuracies)
    print(f"{ladder}, {seeds} seeds, {cpu_name()}: mean {mean(accuracies):.3f}% [{low:.3f}, {high:.3f}],", end=" ")
    print(f"in {mean(times):.1f} s (from {min(times):.1f} to {max(times):.1f} s)")


if __name__ == "__main__":
    main()
