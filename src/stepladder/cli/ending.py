"""How a command ends: whatever happens is one message and a documented exit code (errors.EXIT_CODES).

1 says that a target was missed or a claim failed, and nothing else does: not Python, nor click, nor a closed pipe.
"""

import io
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from stepladder._base import plain
from stepladder._base.signals import Stopped, stopped
from stepladder._base.wording import cut
from stepladder.errors import INTERNAL_ERROR, StepladderError

_ELSEWHERE = re.compile(" --on[ =](?!local)")  # there epochs come back in pieces, and what was under way is lost
DEBUG = "STEPLADDER_DEBUG"  # set to anything, a bug is shown with its traceback


def say(text: str) -> None:
    """One message on stderr, made harmless and not too long."""
    click.echo(plain.message(text), err=True)


def exit_code(command: Callable[[], object], *, again: Callable[[], str]) -> int:
    """Run a command to its end, say what stopped it, and return its exit code.

    ``again`` gives the command line that goes on where a signal stops it; empty if there is nothing to go on with.
    """
    try:
        ended = command()  # click returns what it would have exited with
        sys.stdout.flush()
        return ended if isinstance(ended, int) else 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else StepladderError.exit_code if error.code else 0
    except (KeyboardInterrupt, click.Abort, EOFError) as error:
        return _interrupted(error, again())
    except BaseException as error:  # a library may have one that is no Exception
        if (stop := stopped()) is not None:  # pydantic calls it an error of its schema
            return _interrupted(stop, again())
        if os.environ.get(DEBUG):
            traceback.print_exc()
        return _refused(error)


def _interrupted(error: BaseException, again: str) -> int:
    cause = error.__cause__ if isinstance(error, click.Abort) else error  # click has ended the terminal's line of ^C
    if again:
        epoch = "epoch that came back" if _ELSEWHERE.search(again) else "finished epoch"
        say(f"Interrupted; every {epoch} is kept. Go on with:")
        click.echo(f"  {again}", err=True)  # whole, however long: a command that is cut does not go on
    else:
        say("Interrupted.")
    return cause.exit_code if isinstance(cause, Stopped) else Stopped().exit_code


def _refused(error: BaseException) -> int:
    """Say what is wrong; the exit code."""
    match error:
        case StepladderError():
            say(f"Error: {error}")
            return error.exit_code
        case click.ClickException():
            _show(error)
        case OSError():
            say(f"Error: {_about_files(error)}")
        case MemoryError():
            say(f"Error: there is not enough memory{_limit()}: close other programs, or train with fewer --jobs")
        case ImportError():
            say(f"Error: a library does not load ({error}{_limit()}): install Stepladder again")
        case _:
            say(_about_bug(error))
            return INTERNAL_ERROR
    return StepladderError.exit_code


def _limit() -> str:
    from stepladder._base.machine import limit_in_words  # only where something is wrong

    return limit_in_words()


def _show(error: click.ClickException) -> None:
    """What click says of a command line; without any argument that is the help, which is whole."""
    text = io.StringIO()
    error.show(text)
    is_help = type(error).__name__ == "NoArgsIsHelpError"  # click has it since 8.2
    if is_help and isinstance(error, click.UsageError):
        click.echo(error.message, err=True)
    else:
        say(text.getvalue().rstrip("\n"))


def _about_files(error: OSError) -> str:
    """What a system says of a file that nobody spoke of before."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        return f"{os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename}: {reason}"
    try:
        Path.cwd()
    except OSError:
        return f"{reason}: the folder that this command was started in is gone: change to another one"
    return reason


def _about_bug(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    what = (str(error).splitlines() or [""])[0]
    return (
        f"Error: this is a bug in Stepladder: {type(error).__name__}: {cut(what, most=500)}{where}. Please"
        f" report it to the developers, with what the same command shows when {DEBUG}=1 is set"
    )


def command_line(arguments: Sequence[str]) -> str:
    """``stepladder ...`` as a shell reads it, and as a terminal can show it."""
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(["stepladder", *arguments])
    return " ".join(map(_quoted, ("stepladder", *arguments)))


def _quoted(argument: str) -> str:
    if not plain.steering(argument):
        return shlex.quote(argument)
    written = re.sub(rb"[^ -&(-\[\]-~]", lambda found: b"\\x%02x" % found[0][0], os.fsencode(argument))
    return f"$'{written.decode()}'"
