"""Weights as the bytes of a safetensors file, and what that file says of the network that they are of (see model).

The bytes are laid out here, so that the same arrays are the same bytes whatever version of the library is installed:
float32 arrays in the order of their names; before them their header, JSON without spaces between its words, filled up
with spaces to a multiple of 8 bytes; before that its length in 8 bytes. So does safetensors itself, to this day.

The hash of weights (``Run.weights_sha256``) is that of such a file without metadata: it is over names, types, shapes
and numbers, and is the same for the same arrays in each of these formats.

FORMAT_VERSION history: 1, arrays alone. 2, with the metadata ``{"stepladder": text}``, where the text is a sealed file
(files) of the model, ``{"format_version": 2, "sha256": ..., "model": {"weights_sha256": ..., "key": ..., ...}}``.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from stepladder._base.files import MOST_JSON_BYTES, parsed, sealed, unsealed
from stepladder.runs.run import Arrays

FORMAT_VERSION = 2
MOST_WEIGHTS_BYTES = 2**30
WRONG = (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)

_METADATA, _OURS, _ALIGNED = "__metadata__", "stepladder", 8
_BEGINNING = f'{{"{_METADATA}":'.encode()  # of a header that has any

About = dict[str, Any]


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights is: the hash of its arrays, and what it says of their network, None in format 1."""

    sha256: str
    about: About | None


def weights_file(weights: Arrays, about: About | None = None) -> bytes:
    """Weights as the content of a file, with what is to be said of their network."""
    header: dict[str, Any] = {}
    start, numbers = 0, []
    for name in sorted(weights):
        assert weights[name].dtype == np.float32, "weights are float32 numbers"
        numbers.append(np.ascontiguousarray(weights[name], "<f4").tobytes())
        end = start + len(numbers[-1])
        header[name] = {"dtype": "F32", "shape": list(weights[name].shape), "data_offsets": [start, end]}
        start = end
    head, rest = _encoded(header), b"".join(numbers)
    if about is None:
        return head + rest
    text = sealed("model", {"weights_sha256": _sha256(head, rest), **about}, version=FORMAT_VERSION).decode()
    return _encoded({_METADATA: {_OURS: text}, **header}) + rest


def arrays_sha256(weights: Arrays) -> str:
    """The hash of weights (see above)."""
    return sha256(weights_file(weights)).hexdigest()


def examined(content: bytes, *, path: Path) -> WeightsFile:
    """What a file of weights is, with its checksums checked. ``path`` is where it was read.

    Raises NewerFormatError, and one of WRONG for what is not as it was written. Without metadata there is nothing to
    check a file against: only who knows the hash of its arrays can tell.
    """
    if not content[_ALIGNED:].startswith(_BEGINNING):
        return WeightsFile(sha256(content).hexdigest(), None)
    length = int.from_bytes(content[:_ALIGNED], "little")
    if length > MOST_JSON_BYTES:
        raise ValueError(f"its header has more than {MOST_JSON_BYTES:,} bytes")
    head, rest = content[: _ALIGNED + length], content[_ALIGNED + length :]
    header = parsed(head[_ALIGNED:])
    metadata = header.pop(_METADATA)
    if metadata.keys() != {_OURS} or _encoded({_METADATA: metadata, **header}) != head:
        raise ValueError("its header is none of Stepladder's")
    about = unsealed(metadata[_OURS], "model", path=path, known=FORMAT_VERSION)
    found = _sha256(_encoded(header), rest)
    if about["weights_sha256"] != found:
        raise ValueError("its numbers are not those that its checksum is of")
    return WeightsFile(found, about)


def arrays_of(content: bytes) -> Arrays:
    """The arrays in a file of weights. Raises one of WRONG."""
    return load_tensors(content)


def _encoded(header: dict[str, Any]) -> bytes:
    """A header with its length before it."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return len(text).to_bytes(_ALIGNED, "little") + text


def _sha256(head: bytes, rest: bytes) -> str:
    digest = sha256(head)
    digest.update(rest)
    return digest.hexdigest()
