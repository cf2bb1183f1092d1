"""What a file or a folder is that is no image set, and how an image set is made of it. Nothing is read but first bytes.

Which forms are read is said by ``sources``; here is what else people have: web pages, archives, pictures, tables.
"""

import re
import stat
from itertools import islice
from pathlib import Path

from stepladder._base.wording import flat
from stepladder.errors import DataError

FORMS = (
    "a folder of pictures with a folder for each class, a CSV of pixels, a folder of IDX files, an .npz file of arrays"
    " x_train, y_train, x_test, y_test, or another of the forms in docs/data.md"
)
SAVE = (
    'np.savez_compressed("set.npz", x_train=x, y_train=y, x_test=..., y_test=...), images (N, H, W) or (N, H, W, C)'
    " uint8 from 0 to 255, labels (N,) counted from 0"
)
MOST_FILES = 5_000  # of a folder, looked at for what it is

GZIP, XZ = "a gzip file", "an xz file"
_MAGIC = (
    (b"\x1f\x8b", GZIP),
    (b"\xfd7zXZ\0", XZ),
    (b"BZh", "a bzip2 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"\x89HDF", "an HDF5 file"),
    (b"MATLAB 5.0 MAT", "a MATLAB file"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x93NUMPY", "a single array of numpy (.npy)"),
    (b"SQLite format 3", "an SQLite file"),
    (b"%PDF", "a PDF"),
    *((b"\x80" + protocol, "a pickle of Python") for protocol in (b"\2", b"\3", b"\4", b"\5")),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself (git lfs pull gets it)"),
)
_IDX_TYPES = {
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}


def listed(names: "list[str]", most: int = 8) -> str:
    """The first of these names, and how many there are besides."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(flat(name, 60) for name in names[:most]) + more


def what_is(head: bytes) -> str | None:
    """What a file is, by its first bytes; None if they tell nothing."""
    if not head:
        return "an empty file"
    whole = [what for magic, what in _MAGIC if head.startswith(magic)] + ["a tar archive"] * (head[257:262] == b"ustar")
    if whole:
        return whole[0]
    if head[:2] == b"\0\0" and len(head) > 3 and head[2] in _IDX_TYPES and 1 <= head[3] <= 4:
        return f"an IDX file of {_IDX_TYPES[head[2]]}"
    return _what_text(head)


def _what_text(head: bytes) -> str | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body", b"<svg")):
        return "a web page"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return None
    return "text" if not set(head) & set(range(9)) else None


def require_regular(path: Path) -> None:
    """Raise DataError unless this is an ordinary file: a pipe would wait for ever, a device has no end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise DataError(f"{flat(path)}: cannot be read ({flat(error)})") from None
    if not stat.S_ISREG(mode):
        raise DataError(f"{flat(path)}: {_kind(mode)}, not an ordinary file: give {FORMS}")


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((what for test, what in kinds if test(mode)), "something else")


def no_image_set(file: Path) -> str:
    """Why a single file is no image set, and how one is made of it."""
    head = first_bytes(file)
    what = what_is(head)
    if head[:3] == b"\0\0\x08":
        return f"{file}: one IDX file: give the folder that holds it and the other three"
    if what == "a zip archive" and b".npy" in head:
        return f"{file}: an .npz file by what is in it: give it a name that ends in .npz"
    if what in (GZIP, XZ) and re.search("(images|labels).*(idx|ubyte)", file.name.lower()):
        return (
            f"{flat(file)}: one IDX file, packed: give the folder that holds it and the other three; nothing need be"
            " unpacked"
        )
    kind = _known_kind(file.name) or _known_kind(what or "")
    no_set = f"{flat(file)}: {what or 'something unknown'}, of no form that is read"
    if kind == "pictures":
        return f"{no_set}. {_of_pictures(file)}"
    if kind == "CIFAR":
        return f"{flat(file)}: one file of CIFAR: give the folder that holds it and the others"
    remedy = f"make an .npz of it: {_HOW_TO[kind]}; {SAVE}" if kind else f"give {FORMS}"
    if what and ("archive" in what or what in (GZIP, XZ, "a bzip2 file", "a zstd file")):
        remedy = f"unpack it, and give {FORMS}"
    return f"{no_set}: {remedy}"


def first_bytes(file: Path, n: int = 512) -> bytes:
    """Raises DataError where they cannot be read."""
    require_regular(file)
    try:
        with file.open("rb") as opened:
            return opened.read(n)
    except OSError as error:
        raise DataError(f"{flat(file)}: cannot be read ({flat(error)})") from None


_HOW_TO = {
    "CSV": (
        'a = np.loadtxt("train.csv", np.uint8, delimiter=",", skiprows=1); x, y = a[:, 1:].reshape(-1, 28, 28), a[:, 0]'
        " where labels come first"
    ),
    "MATLAB": (
        'm = scipy.io.loadmat("train.mat"), whose images are often (H, W, C, N): x = m["X"].transpose(3, 0, 1, 2)'
    ),
    "Parquet": 'pandas.read_parquet("train.parquet"), and each picture with PIL.Image.open(io.BytesIO(...))',
    "HDF5": 'h5py.File("train.h5")["x"][:]',
    "npy": 'x, y = np.load("x_train.npy"), np.load("y_train.npy")',
}


LARGEST_AS_IT_IS = 64  # pixels a side: larger pictures are made smaller


def _of_pictures(file: Path) -> str:
    """How an .npz file is made of pictures such as this one: grey or not, and as large as they are if that is small."""
    try:
        head = first_bytes(file, 26)
    except DataError:
        head = b""
    mode, resize, found = "RGB", ".resize((32, 32))", ""
    if head[:4] == b"\x89PNG" and len(head) == 26:
        width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
        mode = "L" if head[25] in (0, 4) else "RGB"
        small = width == height <= LARGEST_AS_IT_IS
        resize = "" if small else ".resize((28, 28))" if mode == "L" else resize
        name = "/".join(file.parts[-2:])
        found = f" ({flat(name, 60)}: {width} x {height}, {'grey' if mode == 'L' else 'colour'})"
    return (
        f"Make an .npz file of the pictures{found}:"
        f' x = np.stack([np.asarray(PIL.Image.open(p).convert("{mode}"){resize}) for p in paths]). Labels are numbers:'
        f" y[i] is that of the class of paths[i], from 0. Then {SAVE}"
    )


def _known_kind(name: str) -> str | None:
    """The key of _HOW_TO for a file by its name, or by what its first bytes are."""
    low = name.lower()
    if low.startswith(("data_batch", "test_batch")):
        return "CIFAR"
    endings = {
        "CSV": (".csv", ".tsv"),
        "MATLAB": (".mat", "matlab file"),
        "Parquet": (".parquet", "parquet file", ".arrow", "arrow file"),
        "HDF5": (".h5", ".hdf5", "hdf5 file"),
        "pictures": (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", "picture"),
        "npy": (".npy", "(.npy)"),
    }
    return next((kind for kind, ends in endings.items() if low.endswith(ends)), None)


def folder_reason(folder: Path, parts: tuple[str, ...]) -> str | None:
    """What a folder without IDX files of the wanted names holds instead, and what to do; None if that is unknown.

    Raises DataError where the folder cannot be read.
    """
    try:
        entries = sorted(islice(folder.iterdir(), MOST_FILES))
        files, folders = [e for e in entries if e.is_file()], [e for e in entries if e.is_dir()]
    except OSError as error:
        raise DataError(f"{flat(folder)}: cannot be read ({flat(error)})") from None
    if not entries:
        return "the folder is empty"
    reason = _archives(files) or _of_a_known_kind(files) or _class_folders(folders)
    if reason:
        return reason
    special = [e for e in entries if e not in files and e.name.startswith(parts)]
    if not special:
        return None
    what = (
        "a folder, without such a file in it" if special[0] in folders else "not an ordinary file, or a link to nothing"
    )
    return f"{flat(special[0].name, 80)} is {what}"


def _archives(files: list[Path]) -> str | None:
    npz = [each for each in files if each.suffix.lower() == ".npz"]
    if npz:
        return f"it holds {flat(npz[0].name, 80)}: give that file itself"
    packed = [each for each in files if each.suffix.lower() in (".zip", ".tar", ".tgz", ".7z", ".rar")]
    return f"it holds {flat(packed[0].name, 80)}: unpack that first" if packed else None


def _of_a_known_kind(files: list[Path]) -> str | None:
    """Tables, batches of CIFAR-10, single arrays, or pictures."""
    known = [(file, kind) for file in files if (kind := _known_kind(file.name))]
    if not known:
        return None
    file, kind = known[0]
    if kind == "pictures":
        return f"it holds pictures, which are not read as they are. {_of_pictures(file)}"
    if kind == "CIFAR":
        return f"it holds {flat(file.name, 80)}, and no file data_batch_1 to train on: get all of the set's files"
    return f"it holds {flat(file.name, 80)}, which is not read as it is: make an .npz of it: {_HOW_TO[kind]}; {SAVE}"


def _class_folders(folders: list[Path]) -> str | None:
    """Folders of pictures by class, alone or below train and test."""
    for each in folders:
        for depth in ("*", "*/*"):
            for file in islice(each.glob(depth), 50):
                if _known_kind(file.name) == "pictures":
                    return f"it holds folders of pictures, which are not read as they are. {_of_pictures(file)}"
    return None


_ELSEWHERE = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "fashionmnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "emnist": "EMNIST",
    "qmnist": "QMNIST",
    "svhn": "SVHN",
    "stl10": "STL-10",
    "imagenet": "ImageNet",
    "tinyimagenet": "Tiny ImageNet",
    "medmnist": "MedMNIST",
    "usps": "USPS",
}


_IN_FOLDERS = {
    "CIFAR-10": "cifar-10-batches-py or cifar-10-batches-bin",
    "CIFAR-100": "cifar-100-python or cifar-100-binary",
    "STL-10": "stl10_binary",
    "Tiny ImageNet": "tiny-imagenet-200",
}


def not_there(path: Path) -> str:
    """What to give where nothing is: a set that is known by name has to be got first; only MNIST is embedded."""
    plain = "".join(c for c in path.name.lower() if c.isalnum())
    message = f"no data at {flat(path.absolute(), 1000)}: give {FORMS}, or 'mnist'"
    if plain in ("mnist", "minst", "mnits", "mnistdata"):
        return f"{message}, which is embedded"
    if name := _ELSEWHERE.get(plain):
        how = "give its IDX files or make an .npz of it"
        if name in _IN_FOLDERS:
            how = f"give its folder ({_IN_FOLDERS[name]})"
        return f"{message}; {name} is not embedded: get it, and {how}"
    return message
