"""Claims with every seed behind them, and what becomes of them when they are climbed again.

The records that come with Stepladder are in ``shipped``.
"""
