"""TensorBoard's files, byte by byte: what is written by hand is what TensorBoard's own code reads."""

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stepladder.testing.trackers import made_up
from stepladder.tracking.event_file import _checksum, beginning, ending, event_file, more


def messages(content: bytes) -> Iterator[bytes]:
    """The messages of an event file, whose lengths and checksums are right."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    at = 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        assert struct.unpack_from("<I", content, at + 8) == (masked_crc32c(content[at : at + 8]),)
        message = content[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", content, at + 12 + length) == (masked_crc32c(message),)
        yield message
        at += length + 16


def test_every_record_is_read_with_nothing_left_over() -> None:
    """No field that TensorBoard does not know, and the same bytes if it writes the message itself."""
    from tensorboard.compat.proto.event_pb2 import Event

    events = []
    for message in messages(event_file(made_up())):
        event = Event.FromString(message)
        event.DiscardUnknownFields()
        assert Event.FromString(event.SerializeToString()) == event
        assert len(event.SerializeToString()) in (len(message), len(message) - 2)  # a step 0 may go unsaid
        events.append(event)
    assert events[0].file_version == "brain.Event:2"
    assert events[1].session_log.status == 1
    assert [event.step for event in events[3:6]] == [1, 2, 3]


def test_the_checksum_of_the_check_value() -> None:
    """CRC-32C of "123456789" is E3069283 (RFC 3720), masked as TensorFlow does."""
    crc = 0xE3069283
    assert _checksum(b"123456789") == struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def test_the_same_run_gives_the_same_bytes() -> None:
    assert event_file(made_up()) == event_file(made_up()) != event_file(made_up(seed=2))
    assert event_file(made_up()) == beginning(made_up()) + more(made_up().points) + ending(made_up())


def test_what_is_said_of_a_run_is_a_table_whatever_is_in_it() -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    run = replace(made_up(), tags={"why": "a | b\nc", "rung": "ü"})
    event = Event.FromString(list(messages(event_file(run)))[2])
    (text,) = event.summary.value[0].tensor.string_val
    assert text.decode().splitlines()[2:] == ["| why | a &#124; b c |", "| rung | ü |"]


@pytest.mark.parametrize(("state", "status"), [("finished", 1), ("diverged", 2)])
def test_how_a_run_ended(state: str, status: int) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams.metadata import parse_session_end_info_plugin_data

    run = made_up(state=state)  # type: ignore[arg-type]
    event = Event.FromString(list(messages(event_file(run)))[-1])
    ended = parse_session_end_info_plugin_data(event.summary.value[0].metadata.plugin_data.content)
    assert (ended.status, ended.end_time_secs) == (status, run.ended_s)
