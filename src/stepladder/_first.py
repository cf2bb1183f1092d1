"""What the command does before anything else: a Ctrl-C while its modules load ends it as quietly as a later one.

Python's own handler would show a traceback of whatever is being imported. Nothing is imported here but what is built
into Python: until this has run, that handler is in its place.
"""

import sys
from _signal import (  # type: ignore[import-not-found]  # what module signal is made of, after it has imported much
    SIG_DFL,
    SIGINT,
    default_int_handler,
    getsignal,
    signal,
)

_NAMES = ("stepladder", "stepladder.exe", "stepladder-script.py", "stepladder-script.pyw")


def is_command() -> bool:
    """Whether this process was begun as ``stepladder`` or ``python -m stepladder``, and is no program of a user's."""
    name = (getattr(sys, "argv", None) or [""])[0]  # an interpreter inside of another program has none
    if name != "-m":  # as it is while Python looks for the module to run
        return name.replace("\\", "/").rpartition("/")[2] in _NAMES
    asked = sys.orig_argv
    return "stepladder" in asked and asked[asked.index("stepladder") - 1] == "-m"


def end_quietly() -> None:
    """Leave Ctrl-C to the system, unless somebody else has seen to it. It is the main thread that has to say so."""
    try:
        if getsignal(SIGINT) is default_int_handler:
            signal(SIGINT, SIG_DFL)
    except ValueError:
        return


if is_command():
    end_quietly()
