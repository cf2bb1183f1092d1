"""``stepladder`` and ``python -m stepladder``."""

from stepladder._first import end_quietly


def run() -> None:
    """The command line. A Ctrl-C while its modules load ends it as quietly as a later one."""
    end_quietly()
    from stepladder._base.machine import THREADS, set_environment
    from stepladder.cli.main import main

    set_environment(dict.fromkeys(THREADS, "1"))  # workers train; threads of this process's libraries would only idle
    main(prog_name="stepladder")


if __name__ == "__main__":
    run()
