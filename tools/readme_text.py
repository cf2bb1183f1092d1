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
Seeds {first} to {last} of `mnist-8k`, last epoch, {date} ({engine}); beside them what the authors of the objective got
in their one run.

{table}

The authors took dropout out when they brought the schedule, and did not say so. `mnist-8k-as-run` is the ladder that
they really climbed, with that rung declared as compound: over 8 seeds its fifth rung ends at {fifth} (theirs: 99.48)
and its sixth at {sixth} (99.51)."""

WORTH = """\
{table}

{sentences}

- {n_decided} of {n_steps} changes is decided with 8 seeds. To show what was seen of rotation, {rotation} points, would
  take {for_rotation} seeds. The first rung's seeds spread {times} times as far as the last one's, which is why the
  first change needs most.
- Verdicts are about seeds, on these 10,000 images. For all digits of the kind each difference by
  itself is uncertain by ±{least_error} to ±{most_error} points, seeds included.
- The seeds of one recipe differ by more (a standard deviation of {least_spread} to {most_spread} points) than most of
  these changes bring: that is what one run of each, read by eye, cannot tell."""

# A sentence on each rung: what its authors concluded from their one run, and what eight seeds say.
SENTENCES = (
    "Train accuracy is above test, as its authors saw, but nothing over-fits: over 8 seeds the test loss does not"
    " clearly rise in any rung.",
    "A fifth fewer parameters cost nothing that 8 seeds show.",
    'It was to "resolve" the over-fitting and to gain 0.08 points; it gains nothing that shows, and the gap closed'
    " because train accuracy is measured with dropout active.",
    "It seemed to help on the way up, but the top ends at {without_rotation}% without it and at {top}% with it.",
    "It was to gain 0.19 points, with dropout taken out at the same time; it gains {schedule}, not decided yet, and the"
    " loss settles: from one epoch to the next it changes by {after} instead of {before}.",
    'It "may have helped", and is the one change that 8 seeds show: {field}; with {n_held} of 8 seeds the top holds'
    " 99.4% over the last five epochs, as it did in its authors' one run.",
)

RECORDS = """\
The ladder `mnist-8k-record` goes on from there, one concept at a time except for a warp that is declared as compound,
to {params_best} parameters and {epochs} epochs. Over {n_best} fresh seeds its top rung ends at {best}% of the test
images (sd {sd}), the worst of them at {worst}%. {held_best} hold 99.4% over their last five epochs. `stepladder
reproduce mnist-8k-record` climbs it again.

- `mnist-4500` has {params_small} parameters and still holds 99.4% over the last five epochs with {held_small} of
  {n_small} fresh seeds ({small}% on average).
- `mnist-1000` leads to {params_least} parameters, with {least}% on average over {n_least} fresh seeds.
- `mnist-fast`, a ladder without a record, takes {seconds} seconds from the command to the result, on one core of an
  {cpu}, for {fast}% on average
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
