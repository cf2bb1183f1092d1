"""In a child process: train what comes in, a line of text each, and answer with a line for each epoch. See children."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import BinaryIO

from stepladder._base import signals
from stepladder._base.wording import words_of
from stepladder.execution.children import ANSWER, MEANWHILE

LEAVE_S = 60  # without a training; later than the parent would still ask (children.WARM_S)
LOOK_S = 1.0


def serve(parent: int) -> None:
    """Answer orders until there are no more, none comes for long, or the ``parent`` (a pid) is gone."""
    signals.left_to_the_parent()
    orders: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, orders), daemon=True).start()
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        _leave_stdout()
        while True:
            try:
                order = orders.get(timeout=LEAVE_S)
            except Empty:
                break
            for text, goes_on in told(order):
                answers.write(f"\n{MEANWHILE if goes_on else ANSWER}{text}\n".encode())
                answers.flush()
    os._exit(0)  # Python's own end waits for the lock of stdin, which _receive holds, and aborts


def told(order: str) -> Iterator[tuple[str, bool]]:
    """Train what an order says; each report, whatever happens, and whether others follow (see sent_run)."""
    try:
        from stepladder.execution.piece import reports  # here, so that a failure to import is told

        for report in reports(order):
            yield report.model_dump_json(), report.goes_on
    except (Exception, SystemExit) as error:  # whatever it is: the parent says it
        yield json.dumps({"error": {"kind": type(error).__name__, "message": words_of(error)}}), False


def _receive(stdin: BinaryIO, orders: "SimpleQueue[str]") -> None:
    """Nobody asks any more when stdin ends: not for what is being trained either."""
    for line in stdin:
        orders.put(line.decode())
    os._exit(0)


def _die_with(parent: int) -> None:
    """Other processes that the parent has forked may hold this one's stdin open when the parent is gone."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)


def _leave_stdout() -> None:
    """What libraries print is no answer: it goes where complaints go."""
    try:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    except (OSError, AttributeError, ValueError):  # there is no stderr
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
