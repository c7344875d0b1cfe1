"""Pictures in folders that are named after their classes: `train/CLASS/picture.png`, `test/…`, or `CLASS/…` alone."""

import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from images.keras.data.preprocessing import from_image
from images.keras.data.sample_sets import TEST, TRAIN, Asked, Found, Sample, Sets, root, shown, visible
from shared.data.samples import Array
from shared.errors import CrossquantError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")  # no others: of some, Pillow starts another program
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
SPLITS = {TRAIN: TRAIN, TEST: TEST, "val": TEST, "validation": TEST}  # test is taken before val
PIXELS = 89_478_485  # of one picture, at most: a file of a few bytes can declare any number
DEEP = ("I", "F")  # modes of more than 8 bits a channel, which `convert` would clip


def read(files: Path, _: Asked) -> Sets:
    top = files if splits(files) else root(files)
    found = {name: pictures(folder, top) for name, folder in (splits(top) or {TRAIN: top}).items()}
    names = sorted({name for pairs in found.values() for _, name in pairs if name is not None})

    def picture_set(pairs: list[tuple[Path, str | None]]) -> Found:
        return Found(decoded(pairs, top), lambda number: shown(pairs[number][0].relative_to(top)), tuple(names))

    return {split: picture_set(pairs) for split, pairs in found.items()}


def splits(top: Path) -> dict[str, Path]:
    """The folders of the training and the test set, if all that lies here are such."""
    names = [path.name for path in visible(top)]
    if not set(names) <= set(SPLITS) or not names:
        return {}
    return {SPLITS[name]: top / name for name in reversed(SPLITS) if name in names}


def pictures(folder: Path, top: Path) -> list[tuple[Path, str | None]]:
    """Each picture with the name of its class; None where the pictures lie in no folders of classes."""
    inside = visible(folder)
    classes, loose = [p for p in inside if p.is_dir()], [p for p in inside if not p.is_dir()]
    if classes and loose:
        raise CrossquantError(f"{shown(loose[0].relative_to(top))} lies in no class: move it into one of the folders")
    found = [(checked(path, top), None) for path in loose]
    return found + [(checked(path, top), named(item)) for item in classes for path in below(item)]


def below(folder: Path) -> Iterator[Path]:
    for path in visible(folder):
        if path.is_dir():
            yield from below(path)
        else:
            yield path


def named(folder: Path) -> str:
    try:
        os.fsencode(folder.name).decode()
    except UnicodeDecodeError:
        raise CrossquantError(f"the name of the folder {shown(folder.name)} is no UTF-8: rename it") from None
    return folder.name


def checked(path: Path, top: Path) -> Path:
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise CrossquantError(
            f"{shown(path.relative_to(top))} is no picture of ours ({known}): convert it or remove it"
        )
    return path


def decoded(pairs: list[tuple[Path, str | None]], top: Path) -> Iterator[Sample]:
    for path, name in pairs:
        yield (decode(path, shown(path.relative_to(top))),), name


def decode(path: Path, name: str) -> Array:
    """(height, width, 3) uint8, turned as its EXIF data says; of an animation the first picture."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > PIXELS:
                raise CrossquantError(f"{name} has {width} x {height} pixels: at most {PIXELS} are read; shrink it")
            if image.mode.startswith(DEEP):
                raise CrossquantError(f"{name} has more than 8 bits a channel ({image.mode}): convert it to 8")
            return from_image(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        why = "is no such picture" if isinstance(error, UnidentifiedImageError) else shown(error)
        raise CrossquantError(f"{name} can't be read: {why}; replace it or remove it") from None
