"""The preprocessing that the experiment declares: applied once to each sample; its result is an artifact.

In this order: gray, resize, BGR, scale, mean and standard deviation, layout.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from shared.data.samples import Array
from shared.errors import CrossquantError

# Pillow's filters cover all pixels of an image that they shrink (antialiasing), unlike those of OpenCV or tf.image.
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocessing:
    """`resize`: (height, width), or empty. `mean` and `std`: one number, or one a channel; of the scaled values.

    CrossquantError for values that make no sense.
    """

    resize: tuple[int, ...] = ()
    interpolation: str = "bilinear"
    fit: str = "stretch"
    color: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: str = "channels_last"

    def __post_init__(self) -> None:
        if self.resize and (len(self.resize) != 2 or min(self.resize) < 1):
            raise CrossquantError(f"data.resize is {list(self.resize)}: it must be [height, width]")
        if any(value <= 0 for value in self.std):
            raise CrossquantError(f"data.std is {list(self.std)}: it must be above 0")
        if self.scale == 0:
            raise CrossquantError("data.scale is 0: it must be another number, such as 0.00392156862745098 for 1/255")

    @property
    def normalizes(self) -> bool:
        """Does it compute floats from the values of the sample?"""
        return self.scale != 1 or bool(self.mean or self.std)

    def __call__(self, sample: Array, where: str) -> Array:
        """The preprocessed sample. `where` names it in the CrossquantError for one that can't be preprocessed so."""
        if self.color == "gray":
            sample = to_gray(sample, where)
        if self.resize:
            sample = resize_image(sample, self, where)
        if self.color == "bgr":
            check_image(sample, (3,), "color: bgr", where)
            sample = sample[..., ::-1]
        if self.normalizes:
            sample = self.normalize(sample, where)
        if self.layout == "channels_first":
            check_image(sample, (), "layout: channels_first", where)
            sample = sample.transpose(2, 0, 1)
        return sample

    def normalize(self, sample: Array, where: str) -> Array:
        """(sample * scale - mean) / std, in float32."""
        scaled = sample.astype(np.float32) * np.float32(self.scale)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values and len(values) not in (1, *sample.shape[-1:]):
                raise CrossquantError(f"data.{name} has {len(values)} numbers, {where} has the shape {sample.shape}")
        if self.mean:
            scaled -= np.array(self.mean, np.float32)
        if self.std:
            scaled /= np.array(self.std, np.float32)
        return scaled


def check_image(sample: Array, channels: tuple[int, ...], option: str, where: str) -> None:
    """CrossquantError for a sample that isn't (height, width, channels); `channels`: those allowed, empty for any."""
    if sample.ndim != 3 or (channels and sample.shape[2] not in channels):
        wanted = f"{' or '.join(map(str, channels))} channels" if channels else "channels"
        raise CrossquantError(f"data.{option} is for images (height, width, {wanted}): {where} has {sample.shape}")


def to_gray(sample: Array, where: str) -> Array:
    """ITU-R 601 luma of an RGB image, or an image without an axis of channels, as (height, width, 1)."""
    if sample.ndim == 2:
        return sample[..., None]
    check_image(sample, (1, 3), "color: gray", where)
    return sample if sample.shape[2] == 1 else from_image(to_image(sample, "color: gray", where).convert("L"))


def resize_image(sample: Array, options: Preprocessing, where: str) -> Array:
    """The sample resized to `options.resize`: stretched, or scaled and then cropped or padded with black."""
    image = to_image(sample, "resize", where)
    height, width = options.resize
    method = FILTERS[options.interpolation]
    if options.fit == "stretch":
        return to_array_like(sample, image.resize((width, height), method))
    ratios = width / image.width, height / image.height
    ratio = max(ratios) if options.fit == "crop" else min(ratios)
    size = max(1, round(image.width * ratio)), max(1, round(image.height * ratio))
    if size != image.size:
        image = image.resize(size, method)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    cropped = image.crop((left, top, left + width, top + height))  # pixels outside of the image are black
    return to_array_like(sample, cropped)


def to_image(sample: Array, option: str, where: str) -> Image.Image:
    """A uint8 sample as Pillow's image. CrossquantError, with the option that needs it, for other samples."""
    if sample.dtype != np.uint8 or sample.ndim not in (2, 3) or (sample.ndim == 3 and sample.shape[2] not in (1, 3)):
        raise CrossquantError(
            f"data.{option} takes uint8 images with 1 or 3 channels: {where} is {sample.dtype} {sample.shape}"
        )
    return Image.fromarray(np.ascontiguousarray(sample[..., 0] if sample.shape[2:] == (1,) else sample))


def from_image(image: Image.Image) -> Array:
    """(height, width, channels) uint8."""
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def to_array_like(sample: Array, image: Image.Image) -> Array:
    """The image as an array, with an axis of channels if `sample` has one."""
    return from_image(image) if sample.ndim == 3 else np.asarray(image)
