"""What a script or a notebook calls: the verbs with sensible defaults, over the rooms that do the work.

No learning lives here, and no layout: a verb takes paths and numbers as a person gives them, calls one function of a
room, and shows how it goes on. Names for the public are at the door, in ``stepladder``; docs/python.md shows each.
"""
