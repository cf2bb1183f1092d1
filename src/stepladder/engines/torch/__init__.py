"""The PyTorch engine: the reference that others are held against, and what trains on a GPU. It alone imports torch."""
