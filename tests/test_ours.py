"""What Stepladder wrote itself it may write over; what a person wrote, or changed by hand, is never lost."""

from pathlib import Path

import pytest

from stepladder.errors import StoreError
from stepladder.ours import COMMENTS, is_ours, require_ours, signed, write_ours
from stepladder.report.report_csv import HEADER
from stepladder.search_ladder import MARK

NOT_OURS = "no report of Stepladder's"


@pytest.mark.parametrize("suffix", COMMENTS)
@pytest.mark.parametrize("text", ["# A report\n\nwith words", "caf\udce9\n", "\n", "one\r\ntwo\r\n"])
def test_what_was_written_is_ours_until_it_is_changed(suffix: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"report{suffix}"
    for _ in range(2):
        write_ours(path, signed(text, suffix=suffix), force=False, what=NOT_OURS)
    content = path.read_bytes()
    assert is_ours(content)
    assert is_ours(content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")), "as git may have it on Windows"
    for changed in (b"mine" + content, content + b"my own conclusion\n", content.replace(b"\n", b" mine\n", 1)):
        path.write_bytes(changed)
        with pytest.raises(StoreError, match=r"changed since Stepladder wrote it: .* with --force"):
            write_ours(path, signed(text, suffix=suffix), force=False, what=NOT_OURS)
        assert path.read_bytes() == changed
    write_ours(path, signed(text, suffix=suffix), force=True, what=NOT_OURS)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"# My own words\n", b"\x89PNG\r\n", b"{}", b'{"schema_version": 1}', b"[" * 9999])
def test_what_a_person_has_there_is_not_ours(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"README\.md is there already and is no report of Stepladder's: .*--force"):
        require_ours(path, force=False, what=NOT_OURS)
    require_ours(path, force=True, what=NOT_OURS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b'<!doctype html><meta name="generator" content="Stepladder 0.1">',
        f"{MARK}, 2026-11-23. The smallest".encode(),
        ",".join(HEADER).encode(),
        b'{"schema_version": 3, "ladder": "x", "rungs": [], "provenance": {}}',
    ],
)
def test_nothing_and_what_earlier_versions_wrote_may_be_written_over(content: bytes) -> None:
    assert is_ours(content)


def test_what_is_no_file_is_nobodys(tmp_path: Path) -> None:
    require_ours(tmp_path / "new.html", force=False, what=NOT_OURS)
    require_ours(Path("/dev/null"), force=False, what=NOT_OURS)
    with pytest.raises(StoreError, match=r"cannot write .*File name too long"):
        require_ours(tmp_path / ("a" * 5000), force=False, what=NOT_OURS)
