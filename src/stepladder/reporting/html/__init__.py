"""The report as one self-contained page; what it is laid out with is in ``page``."""
