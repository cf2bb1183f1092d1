"""Pictures of a whole set as one array: looked at first, then decoded, with what was converted counted and said.

What cannot be read is all listed, none of it skipped; a picture that would fill the memory is refused by its header.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from os import cpu_count
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stepladder._base.wording import flat, is_are, n_of
from stepladder.datasets.reading import pictures, pixels
from stepladder.datasets.reading.found import Encoded, Found, Part
from stepladder.datasets.reading.pictures import Head
from stepladder.datasets.spec import DataSpec
from stepladder.errors import DataError

MOST_NAMED = 10
N_AT_ONCE = 256  # pictures that are given to threads together
LETTERS = {1: "L", 3: "RGB"}

T = TypeVar("T")
R = TypeVar("R")


def decoded(found: Found, spec: DataSpec, *, where: str) -> Found:
    """The same with all images as arrays of one size, resized where that is asked.

    Raises DataError for pictures that cannot be read, all of them listed, and for sizes that differ.
    """
    encoded = {name: part.images for name, part in found if not isinstance(part.images, np.ndarray)}
    seen = _looks([each for of_part in encoded.values() for each in of_part], where)
    size = spec.size or _one_size(seen, found, where)
    channels = spec.channels or (3 if any(look.is_colour for look in seen) else 1)
    parts, notes = {}, list(found.notes)
    for name, part in found:
        if isinstance(part.images, np.ndarray):
            parts[name] = _resized_arrays(part, spec)
            continue
        assert size is not None  # there are pictures
        images, said = _images(part.images, _Way(size, spec, channels), where=where)
        parts[name] = replace(part, images=images, names=[each.name for each in part.images])
        notes += [f"{note} ({name})" if len(found.parts) > 1 else note for note in said]
    return replace(found, parts=parts, notes=tuple(notes))


@dataclass(frozen=True)
class _Way:
    """How every picture of a set is made alike."""

    size: tuple[int, int]
    spec: DataSpec
    channels: int


def _looks(encoded: Sequence[Encoded], where: str) -> list[Head]:
    """What the headers of all pictures say. Raises DataError that lists those that cannot be read."""
    return list(_each(lambda each: pictures.look(each.read(), each.name), encoded, where, whole=_seen))


def _seen(encoded: Encoded) -> None:
    """All of a picture, to see whether it can be had."""
    pictures.seen(encoded.read(), encoded.name, mode="RGB")


def _one_size(seen: Sequence[Head], found: Found, where: str) -> tuple[int, int] | None:
    sizes = Counter(look.size for look in seen)
    if len(sizes) <= 1:
        return next(iter(sizes), None)
    (common, n), *_ = sizes.most_common(1)
    encoded = [each for _, part in found if not isinstance(part.images, np.ndarray) for each in part.images]
    odd = next(each.name for each, look in zip(encoded, seen, strict=True) if look.size != common)
    low, high = min(sizes, key=_area), max(sizes, key=_area)
    raise DataError(
        f"{where}: pictures of {len(sizes):,} sizes, from {_words(low)} to {_words(high)} pixels, most of them"
        f" {_words(common)} ({n:,} of {len(seen):,}; {flat(odd, 120)} is another): say how they become alike, as by"
        ' --resize pad --size 32, in a ladder data = { path = "...", resize = "pad", size = [32, 32] }; pad keeps all'
        " of a picture, crop its middle, and stretch all of it out of shape"
    )


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _words(size: tuple[int, int]) -> str:
    """Height x width, as arrays have them."""
    return f"{size[0]} x {size[1]}"


def _images(encoded: Sequence[Encoded], way: _Way, *, where: str) -> tuple[NDArray[np.uint8], list[str]]:
    """All pictures as (N, C, H, W), and what was converted, counted."""
    shape = (len(encoded), way.channels, *way.size)
    pixels.require_room(where, int(np.prod(shape)), n_stored=int(np.prod(shape)))
    images, said = np.empty(shape, np.uint8), Counter[str]()
    for row, (array, notes) in enumerate(_each(partial(_decode, way=way), encoded, where)):
        images[row] = array
        said.update(notes)
    n = len(encoded)
    return images, [f"{count:,} of {n_of(n, 'picture')}: {note}" for note, count in sorted(said.items())]


def _decode(encoded: Encoded, way: _Way) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    draft = way.size if way.spec.resize else None
    picture, notes = pictures.seen(encoded.read(), encoded.name, mode=LETTERS[way.channels], draft=draft)
    if (picture.height, picture.width) != way.size:
        if way.spec.resize is None:  # its header promised another size
            raise DataError(f"{encoded.name}: {picture.height} x {picture.width} pixels when decoded: save it again")
        picture = RESIZE[way.spec.resize](picture, way.size)
        notes = (*notes, f"resized to {_words(way.size)} ({way.spec.resize})")
    array = np.asarray(picture, np.uint8)
    return (array[None] if array.ndim == 2 else array.transpose(2, 0, 1)), notes


def _resized_arrays(part: Part, spec: DataSpec) -> Part:
    """Images that are arrays already, brought to the size that is asked, each of its channels by itself."""
    images = part.images
    assert isinstance(images, np.ndarray)
    if spec.size is None or images.shape[2:] == spec.size:
        return part
    assert spec.resize is not None
    resized = np.empty((*images.shape[:2], *spec.size), np.uint8)
    for row, image in enumerate(images):
        for channel, plane in enumerate(image):
            resized[row, channel] = np.asarray(RESIZE[spec.resize](Image.fromarray(plane), spec.size))
    return replace(part, images=resized)


def pad(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Fitted in, and what is left filled with the mean of the picture's edge."""
    height, width = size
    scale = min(height / picture.height, width / picture.width)
    fitted = _scaled(picture, max(1, round(picture.height * scale)), max(1, round(picture.width * scale)))
    array = np.asarray(fitted)
    edge = np.concatenate([array[0], array[-1], array[:, 0], array[:, -1]])
    colour = np.rint(edge.reshape(len(edge), -1).mean(0)).astype(int).tolist()
    whole = Image.new(picture.mode, (width, height), tuple(colour) if len(colour) > 1 else colour[0])
    whole.paste(fitted, ((width - fitted.width) // 2, (height - fitted.height) // 2))
    return whole


def crop(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Its middle, as large as fits."""
    height, width = size
    scale = max(height / picture.height, width / picture.width)
    filled = _scaled(picture, max(height, round(picture.height * scale)), max(width, round(picture.width * scale)))
    left, top = (filled.width - width) // 2, (filled.height - height) // 2
    return filled.crop((left, top, left + width, top + height))


def stretch(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """All of it, out of shape."""
    return _scaled(picture, *size)


def _scaled(picture: Image.Image, height: int, width: int) -> Image.Image:
    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), Image.Resampling.BILINEAR)


RESIZE: dict[str, Callable[[Image.Image, tuple[int, int]], Image.Image]] = {
    "pad": pad,
    "crop": crop,
    "stretch": stretch,
}


def _each(
    work: Callable[[Encoded], R],
    encoded: Sequence[Encoded],
    where: str,
    *,
    whole: Callable[[Encoded], object] | None = None,
) -> Iterator[R]:
    """What is made of each picture, in order, by threads. Raises DataError that lists those that cannot be read.

    Where ``work`` looks at beginnings alone, ``whole`` finds those too that end too early.
    """
    refused: list[str] = []

    def tried(each: Encoded) -> R | None:
        try:
            return work(each)
        except DataError as error:
            refused.append(str(error))
            return None

    with pictures.quiet(), ThreadPoolExecutor(min(8, cpu_count() or 1)) as threads:
        for made in chain.from_iterable(threads.map(partial(_all, tried), _batches(encoded))):
            if made is not None:
                yield made
    if refused and whole is not None:
        deque(_each(whole, encoded, where), maxlen=0)
    if refused:
        refused.sort()
        more = f"\n  ... and {len(refused) - MOST_NAMED:,} more" if len(refused) > MOST_NAMED else ""
        lines = "".join(f"\n  {line}" for line in refused[:MOST_NAMED])
        raise DataError(
            f"{where}: {n_of(len(refused), 'picture')} of {len(encoded):,} cannot be read, and {is_are(len(refused))}"
            f" not left out in silence: get {'it' if len(refused) == 1 else 'them'} again, or delete"
            f" {'it' if len(refused) == 1 else 'them'}:{lines}{more}"
        )


def _all(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    return [work(item) for item in items]


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + N_AT_ONCE] for start in range(0, len(items), N_AT_ONCE))
