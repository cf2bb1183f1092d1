"""Trained networks as data for the page's JavaScript, which runs them."""

import base64
from dataclasses import asdict
from typing import Any

import numpy as np

from stepladder.datasets.data import Splits
from stepladder.engines.lacks import lacking
from stepladder.networks.geometry import LayerGeometry, Network
from stepladder.networks.ops.batch_norm import NORM_EPSILON
from stepladder.reporting.html.network_picture import layer_words
from stepladder.runs.run import Arrays

UNSUPPORTED: frozenset[type] = frozenset()
"""Operations and steps that page/network.js has no function for in its tables."""


def can_run(network: Network) -> bool:
    """Whether page/network.js has code for all of a network: one that it has not is left out of the page's drawing."""
    return not lacking(network, UNSUPPORTED)


def network_record(network: Network, arrays: Arrays, *, splits: Splits) -> dict[str, Any]:
    """What page/network.js reads: geometry, pixel statistics, and all arrays as one base64 text of float32."""
    places, start = {}, 0
    names = sorted(arrays)  # safetensors gives another order in each process
    for name in names:
        places[name] = [start, start + arrays[name].size]
        start += arrays[name].size
    flat = np.concatenate([arrays[name].ravel() for name in names]) if arrays else np.empty(0)
    return {
        "size": network.image.size,
        "channels": network.image.channels,
        "pixelMean": splits.pixel_mean.tolist(),
        "pixelStd": splits.pixel_std.tolist(),
        "normEpsilon": NORM_EPSILON,
        "layers": [_layer(row) for row in network.rows],
        "places": places,
        "arrays": base64.b64encode(flat.astype("<f4").tobytes()).decode(),
    }


def _layer(row: LayerGeometry) -> dict[str, Any]:
    return {
        "index": row.index,
        "operation": row.operation,
        "words": layer_words(row),
        "steps": [{"kind": step.word} | asdict(step) for step in row.steps],
        "inChannels": row.in_channels,
        "outChannels": row.out_channels,
        "inSize": row.in_size,
        "outSize": row.out_size,
        "kernel": row.kernel,
        "stride": row.stride,
        "padding": row.padding,
        "added": row.added,
    }
