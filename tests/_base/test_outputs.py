"""What --output names is written through: files, links, devices, FIFOs, streams. None of the system's own."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stepladder import load
from stepladder._base import files, outputs
from stepladder._base.outputs import write_output
from stepladder.errors import StoreError
from stepladder.reporting.writing import form_of, write_report

TEXT = "a report\n"
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


def listing(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_output(tmp_path / "new.md", TEXT)
        write_output(tmp_path / "deep" / "er" / "new.md", TEXT)
    finally:
        os.umask(old)
    assert (tmp_path / "new.md").read_text() == TEXT
    assert stat.S_IMODE((tmp_path / "new.md").stat().st_mode) == 0o640
    assert listing(tmp_path) == ["deep", "new.md"]


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o666])
def test_a_file_keeps_its_permissions(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "old.md"
    path.write_text("old")
    path.chmod(mode)
    write_output(path, TEXT)
    assert path.read_text() == TEXT
    assert stat.S_IMODE(path.stat().st_mode) == mode


@POSIX
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "old.md"
    path.write_text("old")
    os.chown(path, 12345, 54321)
    write_output(path, TEXT)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


@POSIX
def test_the_target_of_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target.md"
    target.write_text("old")
    target.chmod(0o600)
    (tmp_path / "link.md").symlink_to("folder/target.md")
    (tmp_path / "link to link.md").symlink_to("link.md")
    write_output(tmp_path / "link to link.md", TEXT)
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "link to link.md").is_symlink()
    assert target.read_text() == TEXT
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert listing(tmp_path / "folder") == ["target.md"]


@POSIX
def test_another_name_of_a_file_keeps_the_old_text(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("old")
    os.link(tmp_path / "one.md", tmp_path / "two.md")
    write_output(tmp_path / "one.md", TEXT)
    assert ((tmp_path / "one.md").read_text(), (tmp_path / "two.md").read_text()) == (TEXT, "old")


@POSIX
@pytest.mark.parametrize("name", ["null", "link"])
def test_a_device_stays_a_device(name: str, tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        (tmp_path / "null").open("wb").close()
    except PermissionError:
        pytest.skip("no devices may be made or used here")
    (tmp_path / "link").symlink_to("null")
    write_output(tmp_path / name, TEXT)
    assert stat.S_ISCHR((tmp_path / "null").stat().st_mode)
    assert (tmp_path / "link").is_symlink()
    assert listing(tmp_path) == ["link", "null"]


@POSIX
def test_a_fifo_is_written_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "fifo").read_text()))
    reader.start()
    write_output(tmp_path / "fifo", TEXT * 100_000)  # more than a pipe holds
    reader.join(60)
    assert found == [TEXT * 100_000]
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


@POSIX
def test_a_fifo_without_a_reader_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "READER_COMES_S", 0.1)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(StoreError, match=r"fifo.*nobody reads from it.*path="):
        write_output(tmp_path / "fifo", TEXT)


@POSIX
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link", "/dev/../dev/stdout"])
def test_a_stream_of_this_process_is_written_to_where_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    script = (
        "import sys; from pathlib import Path; from stepladder._base.outputs import write_output\n"
        "print('before'); write_output(Path(sys.argv[1]), 'text\\n'); print('after')"
    )
    with (tmp_path / "out").open("wb") as out:
        out.write(b"first\n")
        out.flush()
        subprocess.run([sys.executable, "-c", script, name], stdout=out, cwd=tmp_path, check=True)
    assert (tmp_path / "out").read_text() == "first\nbefore\ntext\nafter\n"
    assert listing(tmp_path) == ["link", "out"]


def test_where_a_report_went_is_not_said_in_its_middle(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    assert outputs.is_stdout(tmp_path / "link")
    assert outputs.is_stdout(Path("/dev/fd/1"))
    assert not outputs.is_stdout(tmp_path / "stdout")
    assert not outputs.is_stdout(Path("/dev/stderr"))


@POSIX
def test_a_default_name_that_is_taken_by_no_file_is_foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ladder = load("mnist-8k")
    os.mkfifo("mnist-8k-report.html")
    with pytest.raises(StoreError, match="is there already and is no report"):
        write_report(TEXT, ladder, output=None)
    for output in ("folder/", ""):
        with pytest.raises(StoreError, match="give"):
            write_report(TEXT, ladder, output=output)


def refuse_all(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    return {
        "it is a folder": tmp_path / "folder",
        "name": tmp_path / ("x" * 300),
        "File name too long": tmp_path / ("é" * 200),
        "Not a directory": tmp_path / "file" / "x.md",
        "no file can have such a name": tmp_path / "a\0b.md",
    }


@POSIX
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for words, path in (refuse_all(tmp_path) | {"a folder": Path("/"), "is a folder": Path()}).items():
        with pytest.raises(StoreError, match=rf"(?s)cannot write .*{words}.*path="):
            write_output(path, TEXT)
    assert listing(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"


@POSIX
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("absent")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(StoreError, match="link to absent, where nothing is"):
        write_output(tmp_path / "link", TEXT)
    with pytest.raises(StoreError, match="circle"):
        write_output(tmp_path / "circle", TEXT)
    assert listing(tmp_path) == ["circle", "link"]


@POSIX
def test_a_write_protected_file_is_refused(tmp_path: Path) -> None:
    """In a process that is not root: root may write anywhere."""
    path = tmp_path / "old.md"
    path.write_text("old")
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        pytest.skip("root may write anywhere")
    with pytest.raises(StoreError, match="write-protected"):
        write_output(path, TEXT)
    assert path.read_text() == "old"


@POSIX
@pytest.mark.parametrize("n_bytes", [235, 250, 255])
def test_a_name_as_long_as_a_file_system_allows_is_fine(n_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / ("x" * n_bytes)
    write_output(path, TEXT)
    write_output(path, TEXT)
    assert path.read_text() == TEXT


@POSIX
@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_only_ordinary_files_of_a_sane_size_are_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert files.read_regular(tmp_path / "file", most=100) == content
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for name in ("fifo", "link", "."):
        with pytest.raises(ValueError, match="it is"):
            files.read_regular(tmp_path / name, most=100)
    (tmp_path / "large").write_bytes(b"x" * 101)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        files.read_regular(tmp_path / "large", most=100)


@pytest.mark.parametrize(
    ("output", "form"),
    [
        (None, "html"),
        ("-", "html"),
        ("r", "html"),
        ("r.html", "html"),
        ("README.md", "markdown"),
        ("r.JSON", "json"),
        ("r.csv", "csv"),
        ("/dev/fd/1", "html"),
    ],
)
def test_a_reports_form_follows_its_file(output: str | None, form: str) -> None:
    assert form_of(output) == form


@pytest.mark.parametrize("output", ["r.pdf", "r.txt", "r.html.gz"])
def test_no_report_is_written_into_a_file_of_another_form(output: str) -> None:
    with pytest.raises(StoreError, match=r"no form of a report ends in .*: give format="):
        form_of(output)
