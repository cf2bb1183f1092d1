"""``python -m stepladder``."""

from stepladder.cli import main

main(prog_name="stepladder")
