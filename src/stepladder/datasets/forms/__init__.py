"""One file for each form in which image sets come, each a ``kinds.Form``: it tells whether it reads what is there.

Their order in ``registry.SOURCES`` is that in which they are asked: the first that fits reads.
"""
