"""From files to a set of images: what is there, pictures decoded, pixels as bytes, labels as classes, what is odd.

Forms (datasets.forms) find; here is what all of them share, and what becomes of what they find.
"""
