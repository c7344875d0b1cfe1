"""Images in folders that are named after their classes: `train/CLASS/image.png`, `test/…`, or `CLASS/…` alone."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from images.keras.data.preprocessing import from_image
from images.keras.data.sample_sets import (
    TEST,
    TRAIN,
    ReaderOptions,
    Sample,
    SampleSet,
    SampleSets,
    find_root,
    list_entries,
    printable_name,
)
from shared.data.samples import Array
from shared.errors import CrossquantError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")  # no others: for some, Pillow starts another program
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
SPLITS = {TRAIN: TRAIN, TEST: TEST, "val": TEST, "validation": TEST}  # where both are there, test is used and not val
MOST_PIXELS = 89_478_485  # of one image: a file of a few bytes can declare any number
DEEP_MODES = ("I", "F")  # Pillow's modes of more than 8 bits a channel, which `convert` would clip

LabeledPath = tuple[Path, str | None]  # an image and the name of its class


def read(files: Path, options: ReaderOptions) -> SampleSets:
    """The images of each set, as (height, width, 3) uint8, with the names of their classes.

    CrossquantError for a file that is not an image, or that is in no folder of a class.
    """
    top = files if split_folders(files) else find_root(files)
    folders = split_folders(top) or {TRAIN: top}
    sets = {split: list_images(folder, top) for split, folder in folders.items()}
    classes = sorted({name for folder in folders.values() for name in list_classes(folder)})
    return {split: make_set(paths, top, classes, options.group) for split, paths in sets.items()}


def make_set(paths: list[LabeledPath], top: Path, classes: list[str], group: str) -> SampleSet:
    def locate(number: int) -> str:
        return printable_name(paths[number][0].relative_to(top))

    return SampleSet(decode_images(paths, top, group), locate, tuple(classes))


def split_folders(top: Path) -> dict[str, Path]:
    """The folders of the training and the test set, where `top` holds nothing else."""
    names = [path.name for path in list_entries(top)]
    if not set(names) <= set(SPLITS) or not names:
        return {}
    return {SPLITS[name]: top / name for name in reversed(SPLITS) if name in names}


def list_images(folder: Path, top: Path) -> list[LabeledPath]:
    """The images of one set; the name of the class is None where there are no folders of classes."""
    entries = list_entries(folder)
    classes, images = [path for path in entries if path.is_dir()], [path for path in entries if not path.is_dir()]
    if classes and images:
        name = printable_name(images[0].relative_to(top))
        raise CrossquantError(f"{name} is in no folder of a class: move it into one of them")
    unlabeled: list[LabeledPath] = [(check_suffix(path, top), None) for path in images]
    return unlabeled + [
        (check_suffix(path, top), check_class_name(entry)) for entry in classes for path in files_below(entry)
    ]


def list_classes(folder: Path) -> list[str]:
    """The names of the classes in a set's folder: also of those without images, which have their number too."""
    return [check_class_name(path) for path in list_entries(folder) if path.is_dir()]


def files_below(folder: Path) -> Iterator[Path]:
    for path in list_entries(folder):
        if path.is_dir():
            yield from files_below(path)
        else:
            yield path


def check_class_name(folder: Path) -> str:
    """The folder's name. CrossquantError where it is not UTF-8."""
    try:
        os.fsencode(folder.name).decode()
    except UnicodeDecodeError:
        raise CrossquantError(f"the name of the folder {printable_name(folder.name)} is not UTF-8: rename it") from None
    return folder.name


def check_suffix(path: Path, top: Path) -> Path:
    """The path. CrossquantError where its suffix is not that of an image format."""
    if path.suffix.lower() not in SUFFIXES:
        formats = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise CrossquantError(
            f"{printable_name(path.relative_to(top))} is not an image ({formats}): convert it or remove it"
        )
    return path


def decode_images(paths: list[LabeledPath], top: Path, group: str) -> Iterator[Sample]:
    for path, label in paths:
        name = printable_name(path.relative_to(top))
        yield Sample((decode_image(path, name),), label, find_group(group, path.name) if group else None)


def find_group(pattern: str, name: str) -> str:
    """What the regular expression matches of a picture's name: its first group, or all of it.

    CrossquantError where it matches nothing, or is none.
    """
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise CrossquantError(f"data.group: '{pattern}' is no regular expression: {error}") from None
    if match is None:
        raise CrossquantError(f"data.group: '{pattern}' matches nothing in the name {printable_name(name)}")
    return str(match[1] if match.re.groups else match[0])


def decode_image(path: Path, name: str) -> Array:
    """(height, width, 3) uint8, rotated as its EXIF data says; of an animation the first image.

    CrossquantError, with the image's `name`, where it can't be decoded, or has too many pixels or bits.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise CrossquantError(
                    f"{name} has {width} x {height} pixels: at most {MOST_PIXELS} are read; shrink it"
                )
            if image.mode.startswith(DEEP_MODES):
                raise CrossquantError(f"{name} has more than 8 bits a channel ({image.mode}): convert it to 8")
            return from_image(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        formats = ", ".join(FORMATS)
        unknown = isinstance(error, UnidentifiedImageError)
        reason = f"its content is not an image ({formats})" if unknown else printable_name(error)
        raise CrossquantError(f"{name} can't be read: {reason}; replace it or remove it") from None
