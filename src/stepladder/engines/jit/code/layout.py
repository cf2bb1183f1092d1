"""How numbers lie in memory, for all kernels.

Letters: L lanes = 16 images side by side, B blocks of L images, V the vector width (L is a multiple of V); C input and
O output channels, H x W pixels, H' x W' of an output. Activations and their gradients are (B, C, H, W, L): every
operation is a vector over images, with no remainder inside a loop. Sums over images stay one per lane until they are
finished: row sums (H, C, V).
"""

LANES = 16


def blocks_for(n_images: int) -> int:
    """How many blocks hold this many images."""
    return -(-n_images // LANES)
