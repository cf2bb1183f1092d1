"""What Stepladder wrote itself it may write over; what a person wrote, or changed by hand, is never lost."""

import json
from pathlib import Path

import pytest

from stepladder._base.ours import COMMENTS, is_ours, require_ours, signed, write_ours
from stepladder._base.plain import json_text
from stepladder.errors import StoreError
from stepladder.reporting.report_csv import HEADER
from stepladder.runs.store import Store
from stepladder.searching.ladder_of_winner import MARK

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
        with pytest.raises(StoreError, match=r"changed since Stepladder wrote it: .* with force=True"):
            write_ours(path, signed(text, suffix=suffix), force=False, what=NOT_OURS)
        assert path.read_bytes() == changed
    write_ours(path, signed(text, suffix=suffix), force=True, what=NOT_OURS)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"# My own words\n", b"\x89PNG\r\n", b"{}", b'{"schema_version": 1}', b"[" * 9999])
def test_what_a_person_has_there_is_not_ours(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"README\.md is there already and is no report of Stepladder's: .*force=True"):
        require_ours(path, force=False, what=NOT_OURS)
    require_ours(path, force=True, what=NOT_OURS)


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_of_nothing_nothing_can_be_lost(content: bytes) -> None:
    assert is_ours(content)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b'<!doctype html><meta name="generator" content="Stepladder 0.1"><p>my own words', "page"),
        (f"{MARK}, 2026-11-23. The smallest".encode(), "ladder"),
        (",".join(HEADER).encode() + b"\nmy own row", "table"),
    ],
)
def test_what_has_no_mark_may_have_been_changed(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "report").write_bytes(content)
    with pytest.raises(StoreError, match=f"is a {name} without a mark, so that nobody can tell .* force=True"):
        require_ours(tmp_path / "report", force=False, what=NOT_OURS)


def test_what_is_there_again_is_not_lost(tmp_path: Path) -> None:
    path, text = tmp_path / "report.csv", ",".join(HEADER) + "\n1\n2\n"
    for _ in range(2):
        write_ours(path, text, force=False, what=NOT_OURS)
    path.write_text(text[:-3])
    write_ours(path, text, force=False, what=NOT_OURS)
    path.write_text(text + "3\n")
    with pytest.raises(StoreError, match="is a table without a mark"):
        write_ours(path, text, force=False, what=NOT_OURS)


def test_json_is_the_same_with_its_mark(tmp_path: Path) -> None:
    body = {"ladder": "é\u202e", "rungs": [1, {"a": []}]}
    text = signed(json_text(body) + "\n", suffix=".json")
    read = json.loads(text)
    assert read.pop("written_by").startswith("Written by Stepladder ")
    assert read == body
    path = tmp_path / "report.json"
    for _ in range(2):
        write_ours(path, text, force=False, what=NOT_OURS)
    for changed in (text.replace("[", "[2, ", 1), text.replace("\n}", ',\n "mine": 1\n}'), text + "x"):
        path.write_text(changed)
        with pytest.raises(StoreError, match="changed since Stepladder wrote it"):
            write_ours(path, text, force=False, what=NOT_OURS)


def test_what_is_no_file_is_nobodys(tmp_path: Path) -> None:
    require_ours(tmp_path / "new.html", force=False, what=NOT_OURS)
    require_ours(Path("/dev/null"), force=False, what=NOT_OURS)
    with pytest.raises(StoreError, match=r"cannot write .*File name too long"):
        require_ours(tmp_path / ("a" * 5000), force=False, what=NOT_OURS)


@pytest.mark.parametrize("name", ["speed.json", "looks.json", "search.db", "0123456789abcdef/seed-1.jit.json"])
@pytest.mark.parametrize("force", [True, False])
def test_no_report_takes_the_name_of_a_file_of_a_store(name: str, force: bool, tmp_path: Path) -> None:
    Store.open(tmp_path / "runs", create=True)
    (tmp_path / "runs" / "0123456789abcdef").mkdir()
    with pytest.raises(StoreError, match="a name of the store's own files: give another file with path="):
        write_ours(tmp_path / "runs" / name, "{}", force=force, what=NOT_OURS)
    assert not (tmp_path / "runs" / name).exists()
    write_ours(tmp_path / "runs" / "report.md", "text", force=force, what=NOT_OURS)
    write_ours(tmp_path / "speed.json", "{}", force=force, what=NOT_OURS)
