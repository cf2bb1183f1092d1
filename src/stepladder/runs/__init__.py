"""What was trained: the record of a run and its model, the store that keeps it and checks it, and what runs add up to.

Stored formats live here: who changes one raises its version, and reads the old one still.
"""
