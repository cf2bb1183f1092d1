"""What everything stands on: text, files, streams, signals, the machine. Nothing here knows what learning is.

A module here imports only others of this room and ``errors``.
"""
