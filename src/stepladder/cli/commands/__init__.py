"""One file for each command: its options, one library call, and what is printed.

Modules of other rooms are imported inside the commands, so that --help and completion stay instant.
"""
