"""The command line: the group of all commands. Each command is one library call, in a file of its own (commands)."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

from stepladder import __version__
from stepladder._base import signals, streams
from stepladder._base.wording import at_the_command
from stepladder.cli import ending
from stepladder.cli.commands.check import check
from stepladder.cli.commands.climb import climb
from stepladder.cli.commands.compare import compare
from stepladder.cli.commands.data import data
from stepladder.cli.commands.ladders import ladders
from stepladder.cli.commands.new import new
from stepladder.cli.commands.predict import predict
from stepladder.cli.commands.replay import replay
from stepladder.cli.commands.report import report
from stepladder.cli.commands.reproduce import reproduce
from stepladder.cli.commands.runs import runs
from stepladder.cli.commands.schema import schema
from stepladder.cli.commands.search import search
from stepladder.cli.commands.show import show
from stepladder.cli.usage import Commands
from stepladder.errors import EXIT_CODES

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:3} {meaning}" for code, meaning in EXIT_CODES.items())
GOES_ON = ("climb", "reproduce", "search")  # started again, these go on where they were stopped


class _Group(Commands):
    """A click group that ends with one message and a documented exit code, whatever happens (see ending)."""

    def main(self, args: Sequence[str] | None = None, *more: Any, standalone_mode: bool = True, **named: Any) -> Any:
        run = at_the_command()(partial(super().main, args, *more, standalone_mode=False, **named))
        if not standalone_mode:
            return run()
        streams.make_sound()
        given = list(sys.argv[1:] if args is None else args)

        def again() -> str:
            return ending.command_line(given) if given[:1] and given[0] in GOES_ON else ""

        sys.exit(_until_stopped(partial(ending.exit_code, run, again=again)))


def _until_stopped(command: Callable[[], int]) -> int:
    """The exit code of a command, also where a signal comes as it begins or has just ended."""
    try:
        signals.raise_when_stopped()
        code = command()
        signals.left_to_the_system()
    except signals.Stopped as stopped:
        return stopped.exit_code
    return code


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__, prog_name="stepladder")
def main() -> None:
    """Climb to the accuracy you need, one concept at a time, inside a budget, and prove that it holds.

    LADDER is the name of a shipped ladder (see 'stepladder ladders') or a TOML file of your own.
    """


_COMMANDS = (check, climb, show, compare, report, replay, search, reproduce, ladders, data, new, predict, runs, schema)
for command in _COMMANDS:
    main.add_command(command)
