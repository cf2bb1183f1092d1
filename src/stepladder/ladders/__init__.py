"""One change at a time: ladders, how their files are read and refused, and what can be said before anything trains.

The ladders that come with Stepladder are in ``shipped``.
"""
