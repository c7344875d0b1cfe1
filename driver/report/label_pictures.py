"""Pictures with their labels drawn over them, for a person to see whether they belong together."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from driver.report.page.thumbnails import from_pixels

SIDE = 192  # pixels of a picture's larger side
COLUMNS, MOST = 4, 12
OPACITY = 0.55
IGNORED_COLOUR = (128, 128, 128)
# Okabe and Ito's colours, which people tell apart whatever colours they see; the first class is often the background.
COLOURS = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def draw_masks(pictures: NDArray[Any], masks: NDArray[Any]) -> bytes:
    """The first pictures, (samples, height, width, channels), beside the same with their masks, as a PNG.

    Masks are (samples, height, width) class numbers, of any height and width; those below 0 don't count.
    """
    pairs = [
        join([upscale(from_pixels(picture)), upscale(cover(from_pixels(picture), mask))])
        for picture, mask in zip(pictures[:MOST], masks[:MOST], strict=True)
    ]
    return encode(arrange(pairs, COLUMNS // 2))


def draw_boxes(pictures: NDArray[Any], objects: NDArray[Any], *, normalized: bool) -> bytes:
    """The first pictures with the boxes of their objects, as a PNG.

    Objects are (samples, most objects, 5): x1, y1, x2, y2 and the class, which is below 0 in rows of padding; boxes are
    in pixels or, `normalized`, in shares of the picture's width and height.
    """
    parts = []
    for picture, boxes in zip(pictures[:MOST], objects[:MOST], strict=True):
        large = upscale(from_pixels(picture))
        height, width = picture.shape[:2]
        scale = np.array(large.size) if normalized else np.array(large.size) / (width, height)
        pen = ImageDraw.Draw(large)
        for *corners, label in boxes[boxes[:, 4] >= 0].tolist():
            left, top, right, bottom = (np.array(corners) * np.tile(scale, 2)).tolist()
            colour = COLOURS[1 + int(label) % (len(COLOURS) - 1)]
            pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=2)
        parts.append(large)
    return encode(arrange(parts, COLUMNS))


def cover(picture: Image.Image, mask: NDArray[Any]) -> Image.Image:
    """The picture with each class but the first in its colour."""
    colours = np.array([IGNORED_COLOUR, *COLOURS], np.uint8)
    classes = np.where(mask < 0, -1, np.where(mask == 0, 0, 1 + (mask - 1) % (len(COLOURS) - 1)))
    layer = Image.fromarray(colours[classes + 1]).resize(picture.size, Image.Resampling.NEAREST)
    opacity = Image.fromarray(np.where(mask == 0, 0, round(255 * OPACITY)).astype(np.uint8))
    return Image.composite(layer, picture, opacity.resize(picture.size, Image.Resampling.NEAREST))


def upscale(picture: Image.Image) -> Image.Image:
    """With a larger side of SIDE pixels."""
    factor = SIDE / max(picture.size)
    size = tuple(max(1, round(factor * side)) for side in picture.size)
    return picture.resize((size[0], size[1]), Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BILINEAR)


def join(parts: Sequence[Image.Image]) -> Image.Image:
    return arrange(parts, len(parts), 1)


def arrange(parts: Sequence[Image.Image], columns: int, gap: int = 8) -> Image.Image:
    """The parts, all of one size, in rows."""
    width, height = parts[0].size
    columns = min(columns, len(parts))
    rows = -(-len(parts) // columns)
    size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
    whole = Image.new("RGB", size, (255, 255, 255))
    for number, part in enumerate(parts):
        whole.paste(part, (number % columns * (width + gap), number // columns * (height + gap)))
    return whole


def encode(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
