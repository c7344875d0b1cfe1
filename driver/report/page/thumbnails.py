"""Pictures inside the page, as data: single images of the test set, and all calibration images on one sheet."""

import base64
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
LARGEST = 96  # pixels of a side: larger images are made smaller
SHEET = 1280  # pixels of the sheet's width
MOST = 2000  # images on a sheet


def uri(picture: Image.Image, **options: object) -> str:
    file = BytesIO()
    picture.save(file, "WEBP", method=4, **options)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def single(image: NDArray[Any]) -> str:
    """One image, (h, w, c), as it is, unless it is large."""
    picture = from_pixels(image)
    if max(picture.size) <= LARGEST:
        return uri(picture, lossless=True, quality=60)
    picture.thumbnail((LARGEST, LARGEST))
    return uri(picture, quality=80)


def from_pixels(image: NDArray[Any]) -> Image.Image:
    """Grey, colour, or colour with transparency; of any other number of channels the first."""
    image, channels = in_bytes(image), image.shape[2]
    return Image.fromarray(np.ascontiguousarray(image if channels in (3, 4) else image[:, :, 0])).convert("RGB")


def in_bytes(image: NDArray[Any]) -> Pixels:
    """0-255: as they are, from 0-1, or from whatever the values lie between."""
    if image.dtype == np.uint8:
        return image
    values = np.asarray(image, np.float64)
    least, greatest = float(values.min()), float(values.max())
    if least < 0 or greatest > 255:
        values = (values - least) / (greatest - least)
    return np.asarray(values * 255 if values.max() <= 1 else values).astype(np.uint8)


def sheet(images: NDArray[Any]) -> tuple[str, int, int, int]:
    """The first images, (n, h, w, c), side by side: the picture, its width and height, and how many they are."""
    shown = images[:MOST]
    columns = min(len(shown), 40 if len(shown) > 400 else 20)
    _, height, width, _ = shown.shape
    side = min(1.0, SHEET / (columns * width))
    tile = max(1, round(width * side)), max(1, round(height * side))
    whole = Image.new("RGB", (columns * tile[0], -(-len(shown) // columns) * tile[1]), (127, 127, 127))
    for number, image in enumerate(shown):
        picture = from_pixels(image)
        small = picture if picture.size == tile else picture.resize(tile)
        whole.paste(small, (number % columns * tile[0], number // columns * tile[1]))
    return uri(whole, quality=75), *whole.size, len(shown)
