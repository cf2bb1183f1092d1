"""How a network is trained: the recipe's fields, what they do at each step, and which of them do nothing.

A new concept begins here, as a field of ``recipe.Recipe`` whose default is what was done before.
"""
