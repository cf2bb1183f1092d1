"""README's words around numbers; the numbers come from readme.py."""

import textwrap
from typing import Any

WIDTH = 128

CHANGES = ("", "narrower network", "5% after every batch norm", "±15°", "a tenth after every 6 epochs", "32 pixels")
# What the objective's authors got in their one run.
AUTHORS = ("99.18", "99.20", "99.28", "99.29", "99.48 (without dropout)", "99.51 (without dropout)")

SPEED = """\
- **Light and fast.** It works offline and needs no PyTorch: each network is compiled to machine code of its own. On one
  core of an {cpu}, that trains the networks of `mnist-8k` {usual} times as fast as PyTorch {torch} with its defaults,
  and {best} times as fast as with its best settings ([docs/engine.md](docs/engine.md))."""

STEPS = """\
Seeds {first} to {last} of `mnist-8k`, final epoch, {date} ({engine}); beside them what the objective's authors got in
their one run.

{table}

The authors removed dropout when they brought the schedule, and did not say so. `mnist-8k-as-run` is the ladder they
really climbed, with that step declared as compound: over 8 seeds its fifth rung ends at {fifth} (theirs: 99.48) and its
sixth at {sixth} (99.51)."""

WORTH = """\
{table}

- {n_decided} of {n_steps} steps is decided with 8 seeds. To show what was seen of rotation, {rotation} points, would
  take {for_rotation} seeds. The first rung's spread between seeds is {times} times the last one's, which is why the
  first step needs most.
- The last column is from `climb --down`. Rotation seemed to help on the way up, but the top ends at {without_rotation}%
  without it and at {top}% with it.
- The verdicts are about seeds, on these 10,000 images. For all digits of the kind each difference by
  itself is uncertain by ±{least_error} to ±{most_error} points, seeds included.

The objective's authors had one run of each step, and read its curve by eye. What they *saw* mostly stands:

- a gap between train and test in the first two steps;
- a loss that bounces at a constant learning rate and settles with the schedule (from one epoch to the next it changes
  by {before} in the second half of `rotation`, and by {after} in the last epochs of `steplr`);
- 6 taken for 0, and 2 for 7, which are among the pairs most often confused in {six} and {two} of the six rungs here.

What they *concluded* mostly does not follow:

- Dropout "resolved" the over-fitting and gained 0.08 points. Nothing was over-fitted: over 8 seeds the test loss does
  not clearly rise in any rung. Dropout gained nothing that shows. The gap closed because train accuracy, which is
  measured with dropout active, fell.
- The schedule gained 0.19 points. It gained {schedule}, which is not decided yet, and dropout had been taken out in the
  same step.
- The receptive field "may have helped". It did, and is the one step that 8 seeds show: {field}.
- Their top step ended at 99.51% and held 99.4% from epoch 7. Of 8 seeds {n_held} hold it over the last five epochs.
  They end at {top}% on average, the best at {best}%.

Nobody did anything wrong: the seeds of one recipe differ by more (a standard deviation of {least_spread} to
{most_spread} points) than most of these steps bring."""

RECORDS = """\
The ladder `mnist-8k-record` goes on from there in single concepts, to {params_best} parameters and {epochs} epochs.
Over {n_best} fresh seeds its top rung ends at {best}% of the test images (sd {sd}), the worst of them at {worst}%.
{held_best} hold 99.4% over their last five epochs. `stepladder reproduce mnist-8k-record` climbs it again.

- `mnist-4500` has {params_small} parameters and still holds 99.4% over the last five epochs with {held_small} of
  {n_small} fresh seeds ({small}% on average).
- `mnist-1000` leads to {params_least} parameters, with {least}% on average over {n_least} fresh seeds.
- `mnist-fast` needs {seconds} seconds from the command to the result, on one core of an {cpu}, for {fast}% on average
  over {n_fast} seeds."""


def filled(template: str, **values: Any) -> str:
    """A template with its values, each paragraph and each item of a list folded anew."""
    return "\n\n".join(_folded(part) for part in template.format_map(values).split("\n\n"))


def _folded(part: str) -> str:
    if part.startswith("|"):
        return part
    items = part.split("\n- ") if part.startswith("- ") else [part]
    return "\n".join(_item(each if n == 0 else f"- {each}") for n, each in enumerate(items))


def _item(text: str) -> str:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(
        " ".join(text.split()), WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
