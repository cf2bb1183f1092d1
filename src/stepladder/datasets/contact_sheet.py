"""Some images of each class side by side, as one picture: what a person looks at before anything trains."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stepladder.datasets.image_set import ImageSet, Labelled

EACH = 12  # images of a class
MOST_CLASSES = 60
SIDE, GAP, NAMES = 48, 4, 130  # pixels: of an image, between two, of the column of names
LEAST = 6  # of a side of an image: a line of pixels is to be seen
PAPER, INK = (255, 255, 255), (20, 20, 20)


def contact_sheet(images: ImageSet) -> bytes:
    """A PNG with a row for each class, the first ones where there are many: its name, and its first training images."""
    names = images.class_names[:MOST_CLASSES]
    step = SIDE + GAP
    sheet = Image.new("RGB", (NAMES + EACH * step, len(names) * step + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for label, name in enumerate(names):
        top = GAP + label * step
        words = name
        while draw.textlength(words, font) > NAMES - 12 and len(words) > 2:
            words = words.removesuffix("…")[:-1] + "…"
        draw.text((6, top + SIDE / 2), words, INK, font, anchor="lm")
        rows = np.flatnonzero(images.train.labels == label)[:EACH]
        for place, picture in enumerate(_pictures(images.train, rows)):
            left = NAMES + place * step
            sheet.paste(picture, (left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2))
    file = BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _pictures(part: Labelled, rows: "np.typing.NDArray[np.int64]") -> list[Image.Image]:
    """As a person sees them: pixels stay sharp where they are few."""
    found = []
    for image in part.take(rows):
        shown = image[0] if len(image) < 3 else image[:3].transpose(1, 2, 0)
        picture = Image.fromarray(np.ascontiguousarray(shown))
        scale = SIDE / max(picture.size)
        size = (max(LEAST, round(picture.width * scale)), max(LEAST, round(picture.height * scale)))
        found.append(picture.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BILINEAR))
    return found
