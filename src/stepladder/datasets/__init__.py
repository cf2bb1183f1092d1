"""Where images come from: what is a set of images and what is not, how it is read, and how it is split.

Every reader gives the same value, ``data.ImageSet``. Nothing here knows a ladder or a run.
"""
