"""Weights as the bytes of a safetensors file, and what that file says of the network that they are of (see model).

The bytes are laid out here, so that the same arrays are the same bytes whatever version of the library is installed:
float32 arrays in the order of their names; before them their header, JSON without spaces between its words, filled up
with spaces to a multiple of 8 bytes; before that its length in 8 bytes. So does safetensors itself, to this day.

The hash of weights (``Run.weights_sha256``) is that of such a file without metadata: it is over names, types, shapes
and numbers, and is the same for the same arrays in each of these formats.

FORMAT_VERSION history: 1, arrays alone. 2, with the metadata ``{"stepladder": text}``, where the text is
``{"format_version": 2, "sha256": ..., "model": {"weights_sha256": ..., "key": ..., ...}}`` and the checksum is that of
the model's text, as it stands there. So a store's thousands of files are checked without reading what they say. Of
later formats the checksum is of the format's number too (see _seal).
"""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from stepladder._base.files import MOST_JSON_BYTES, parsed, require_readable
from stepladder.runs.run import Arrays

FORMAT_VERSION = 2
MOST_WEIGHTS_BYTES = 2**30
WRONG = (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)

_ALIGNED = 8
_BEGINNING = b'{"__metadata__":{"stepladder":'  # of a header that has any; then a text, and an end
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_SEALED = re.compile(r'\{"format_version": ([0-9]{1,9}), "sha256": "([0-9a-f]{64})", "model": (\{.*\})\}', re.DOTALL)
_MODEL = re.compile(r'\{"weights_sha256": "([0-9a-f]{64})", "key": (null|"[^"\\]*")[,}]')

About = dict[str, Any]


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights is: the hash of its arrays, and what it says of their network, nothing in format 1.

    ``key`` is that of the run that trained it, if one did.
    """

    sha256: str
    text: str = ""
    key: str | None = None

    @property
    def about(self) -> About | None:
        """What it says. Raises ValueError for what is no JSON, for all that its checksum is right."""
        return parsed(self.text) if self.text else None


def weights_file(weights: Arrays, about: About | None = None) -> bytes:
    """Weights as the content of a file, with what is to be said of their network: its "key" first of all."""
    entries: dict[str, Any] = {}
    start, numbers = 0, []
    for name in sorted(weights):
        assert weights[name].dtype == np.float32, "weights are float32 numbers"
        numbers.append(np.ascontiguousarray(weights[name], "<f4").tobytes())
        end = start + len(numbers[-1])
        entries[name] = {"dtype": "F32", "shape": list(weights[name].shape), "data_offsets": [start, end]}
        start = end
    header, rest = json.dumps(entries, separators=(",", ":")).encode(), b"".join(numbers)
    if about is None:
        return _head(header) + rest
    model = json.dumps({"weights_sha256": _sha256(header, rest), "key": about["key"], **about})
    seal = _seal(FORMAT_VERSION, model)
    text = json.dumps(f'{{"format_version": {FORMAT_VERSION}, "sha256": "{seal}", "model": {model}}}').encode()
    return _head(_BEGINNING + text + b"}" + b"," * bool(entries) + header[1:]) + rest


def arrays_sha256(weights: Arrays) -> str:
    """The hash of weights (see above)."""
    return sha256(weights_file(weights)).hexdigest()


def examined(content: bytes, *, path: Path) -> WeightsFile:
    """What a file of weights is, with its checksums checked. ``path`` is where it was read.

    Raises NewerFormatError, and one of WRONG for what is not as it was written. Without metadata there is nothing to
    check a file against: only who knows the hash of its arrays can tell.
    """
    if not content[_ALIGNED:].startswith(_BEGINNING):
        return WeightsFile(sha256(content).hexdigest())
    length = int.from_bytes(content[:_ALIGNED], "little")
    if length > MOST_JSON_BYTES:
        raise ValueError(f"its header has more than {MOST_JSON_BYTES:,} bytes")
    header, rest = content[_ALIGNED : _ALIGNED + length], content[_ALIGNED + length :]
    quoted = _STRING.match(header, len(_BEGINNING))
    if quoted is None or header[quoted.end() :][:2] not in (b"},", b"}}"):
        raise ValueError("its metadata are none of Stepladder's")
    entries = b"{" + header[quoted.end() + 1 :].removeprefix(b",").rstrip(b" ")
    found = _spoken(json.loads(quoted[0]), path)
    if found.sha256 != _sha256(entries, rest):
        raise ValueError("its numbers are not those that its checksum is of")
    return found


def _spoken(text: str, path: Path) -> WeightsFile:
    """What the metadata say, with their checksum checked."""
    found = _SEALED.fullmatch(text)
    if found is None:
        raise ValueError("its metadata are none of Stepladder's")
    version = int(found[1])
    if _seal(version, found[3]) != found[2]:
        raise ValueError("its checksum differs")
    require_readable(version, path, known=FORMAT_VERSION)
    model = _MODEL.match(found[3])
    if model is None or version != FORMAT_VERSION:
        raise ValueError("its metadata are not of their format")
    return WeightsFile(model[1], found[3], json.loads(model[2]))


def _seal(version: int, model: str) -> str:
    """The checksum of metadata. A digit of format 2 that became another is damage, and no newer Stepladder's file."""
    return sha256((model if version <= 2 else f"{version} {model}").encode()).hexdigest()


def arrays_of(content: bytes) -> Arrays:
    """The arrays in a file of weights. Raises one of WRONG."""
    return load_tensors(content)


def _head(header: bytes) -> bytes:
    """A header with its length before it."""
    header += b" " * (-len(header) % _ALIGNED)
    return len(header).to_bytes(_ALIGNED, "little") + header


def _sha256(header: bytes, rest: bytes) -> str:
    digest = sha256(_head(header))
    digest.update(rest)
    return digest.hexdigest()
