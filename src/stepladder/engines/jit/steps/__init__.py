"""The layers of a network as steps of a plan: each plans its forward calls when made, its backward ones when asked.

A step's ``backward`` finds the gradient by its output's values in ``output.gradient`` and leaves that by its input's
values in ``input.gradient``, the operations of backward up to the input's source included.
"""
