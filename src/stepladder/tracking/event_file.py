"""TensorBoard's event files, written by hand: records of protobuf messages, each with its checksums.

A record is a length (8 bytes), that length's checksum, the message, and its checksum (4 bytes each); a checksum is a
CRC-32C, masked (tensorflow/core/lib/io/record_writer.h). The messages are those of event.proto, summary.proto and the
hparams plugin, as far as they are needed here. What they say of a run depends on nothing but the run: the same run
gives the same bytes.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from stepladder.tracking.told import Point, TrackedRun, Value

VERSION = b"brain.Event:2"
_START_OF_SESSION = 1  # of SessionLog: a TensorBoard that has seen earlier events of this run forgets them
_SUCCESS, _FAILURE = 1, 2  # of hparams.Status
_DT_FLOAT, _DT_STRING = 1, 7


def event_file(run: TrackedRun) -> bytes:
    """All that there is to say of a run."""
    return beginning(run) + more(run.points) + ending(run)


def beginning(run: TrackedRun) -> bytes:
    """Where it belongs, as a text and as what the HPARAMS tab groups by: a group for each rung."""
    version = _event(run.began_s, _bytes(3, VERSION))
    again = _event(run.began_s, _bytes(7, _varint(1, _START_OF_SESSION)), step=min_epoch(run.points))
    hparams: dict[str, Value] = {
        "rung": run.group,
        **{name: int(run.tags[name]) for name in ("params", "macs") if name in run.tags},
    }
    started = b"".join(_bytes(1, _entry(*pair)) for pair in {**run.params, **hparams}.items())
    started += _bytes(4, f"{run.project}/{run.group}".encode()) + _double(5, run.began_s)
    about = _value("about", _plugin("text"), tensor=_texts(_table(run.tags)))
    return (
        version + again + _event(run.began_s, _bytes(5, about + _hparams("_hparams_/session_start_info", 3, started)))
    )


def more(points: Sequence[Point]) -> bytes:
    """An event for each epoch; values are float32, as all in TensorBoard."""
    return b"".join(_event(each.at_s, _bytes(5, b"".join(_scalars(each.metrics))), step=each.epoch) for each in points)


def ending(run: TrackedRun) -> bytes:
    """How it ended, and when."""
    status = _SUCCESS if run.state == "finished" else _FAILURE
    ended = _varint(1, status) + _double(2, run.ended_s)
    return _event(run.ended_s, _bytes(5, _hparams("_hparams_/session_end_info", 4, ended)))


def min_epoch(points: Sequence[Point]) -> int:
    return points[0].epoch if points else 1


def _scalars(metrics: Mapping[str, float]) -> Iterator[bytes]:
    for name, value in metrics.items():
        yield _bytes(1, _bytes(1, name.encode()) + _tag(2, 5) + struct.pack("<f", value))


def _hparams(tag: str, field: int, content: bytes) -> bytes:
    """A value of the hparams plugin, whose own message says all; the tensor has to be there."""
    null = _varint(1, _DT_FLOAT) + _bytes(2, _bytes(2, b""))
    return _value(tag, _plugin("hparams", _varint(1, 0) + _bytes(field, content)), tensor=null)


def _entry(name: str, value: Value) -> bytes:
    """An entry of a map from names to google.protobuf.Value."""
    if isinstance(value, bool):
        written = _varint(4, value)
    elif isinstance(value, int | float):
        written = _double(2, value)
    else:
        written = _bytes(3, value.encode())
    return _bytes(1, name.encode()) + _bytes(2, written)


def _table(tags: Mapping[str, str]) -> str:
    """What is said of a run, as Markdown; a bar in it would be a new column."""
    rows = [f"| {name} | {' '.join(text.split()).replace('|', '&#124;')} |" for name, text in tags.items()]
    return "\n".join(["| run | |", "|---|---|", *rows])


def _texts(text: str) -> bytes:
    return _varint(1, _DT_STRING) + _bytes(2, _bytes(2, _varint(1, 1))) + _bytes(8, text.encode())


def _plugin(name: str, content: bytes = b"") -> bytes:
    return _bytes(1, _bytes(1, name.encode()) + (_bytes(2, content) if content else b""))


def _value(tag: str, metadata: bytes, *, tensor: bytes) -> bytes:
    return _bytes(1, _bytes(1, tag.encode()) + _bytes(9, metadata) + _bytes(8, tensor))


def _event(at_s: float, what: bytes, *, step: int = 0) -> bytes:
    message = _double(1, at_s) + _varint(2, step) + what
    length = struct.pack("<Q", len(message))
    return length + _checksum(length) + message + _checksum(message)


def _tag(field: int, wire_type: int) -> bytes:
    return _base128(field << 3 | wire_type)


def _varint(field: int, number: int) -> bytes:
    return _tag(field, 0) + _base128(number)


def _double(field: int, number: float) -> bytes:
    return _tag(field, 1) + struct.pack("<d", number)


def _bytes(field: int, content: bytes) -> bytes:
    return _tag(field, 2) + _base128(len(content)) + content


def _base128(number: int) -> bytes:
    """A whole number from 0 on, seven bits in each byte, the lowest first."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def _checksum(content: bytes) -> bytes:
    """CRC-32C (Castagnoli), turned by 15 bits and moved, so that a checksum of checksums is no trouble."""
    crc, table = 0xFFFFFFFF, _crc_table()
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # noqa: PLW2901 (eight steps of a shift register)
        table.append(byte)
    return tuple(table)
