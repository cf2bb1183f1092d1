"""Kernels for tiny networks, written as LLVM IR and compiled in this process by llvmlite.

Under construction (issue 3): the kernels are here and tested; no engine calls them yet.
"""
