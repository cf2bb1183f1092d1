"""``stepladder`` and ``python -m stepladder``."""

import signal


def run() -> None:
    """The command line. A Ctrl-C while its modules load ends it as quietly as a later one."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from stepladder.cli import main

    main(prog_name="stepladder")


if __name__ == "__main__":
    run()
