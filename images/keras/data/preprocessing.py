"""What the experiment declares to be done to each sample; it is done once, and what comes of it is sealed.

In this order: grey, resize, BGR, scale, mean and standard deviation, layout.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from shared.data.samples import Array
from shared.errors import CrossquantError

# Pillow's filters cover all the pixels that they shrink (antialiasing), unlike the plain ones of OpenCV or tf.image.
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocessing:
    """`resize`: (height, width), or nothing. `mean` and `std`: one number, or one a channel; of the scaled values."""

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
    def computes(self) -> bool:
        """Does it make numbers of pixels that are no whole ones any more?"""
        return self.scale != 1 or bool(self.mean or self.std)

    def __call__(self, sample: Array, where: str) -> Array:
        if self.color == "gray":
            sample = gray(sample, where)
        if self.resize:
            sample = resized(sample, self, where)
        if self.color == "bgr":
            check_picture(sample, (3,), "color: bgr", where)
            sample = sample[..., ::-1]
        if self.computes:
            sample = self.computed(sample, where)
        if self.layout == "channels_first":
            check_picture(sample, (), "layout: channels_first", where)
            sample = sample.transpose(2, 0, 1)
        return sample

    def computed(self, sample: Array, where: str) -> Array:
        """(sample * scale - mean) / std, in float32."""
        answer = sample.astype(np.float32) * np.float32(self.scale)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values and len(values) not in (1, *sample.shape[-1:]):
                raise CrossquantError(f"data.{name} has {len(values)} numbers, {where} has the shape {sample.shape}")
        if self.mean:
            answer -= np.array(self.mean, np.float32)
        if self.std:
            answer /= np.array(self.std, np.float32)
        return answer


def check_picture(sample: Array, channels: tuple[int, ...], option: str, where: str) -> None:
    """CrossquantError where the sample has not height, width and (one of these numbers of) channels."""
    if sample.ndim != 3 or (channels and sample.shape[2] not in channels):
        wanted = f"{' or '.join(map(str, channels))} channels" if channels else "channels"
        raise CrossquantError(f"data.{option} is for pictures (height, width, {wanted}): {where} has {sample.shape}")


def gray(sample: Array, where: str) -> Array:
    """ITU-R 601 luma of an RGB picture; the axis of the channels stays."""
    check_picture(sample, (1, 3), "color: gray", where)
    return sample if sample.shape[2] == 1 else from_image(to_image(sample, "color: gray", where).convert("L"))


def resized(sample: Array, asked: Preprocessing, where: str) -> Array:
    image = to_image(sample, "resize", where)
    height, width = asked.resize
    method = FILTERS[asked.interpolation]
    if asked.fit == "stretch":
        return like(sample, image.resize((width, height), method))
    ratios = width / image.width, height / image.height
    ratio = max(ratios) if asked.fit == "crop" else min(ratios)
    size = max(1, round(image.width * ratio)), max(1, round(image.height * ratio))
    if size != image.size:
        image = image.resize(size, method)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return like(sample, image.crop((left, top, left + width, top + height)))  # what lies outside is black


def to_image(sample: Array, option: str, where: str) -> Image.Image:
    if sample.dtype != np.uint8 or sample.ndim not in (2, 3) or (sample.ndim == 3 and sample.shape[2] not in (1, 3)):
        raise CrossquantError(
            f"data.{option} takes pictures of bytes with 1 or 3 channels: {where} is {sample.dtype} {sample.shape}"
        )
    return Image.fromarray(np.ascontiguousarray(sample[..., 0] if sample.shape[2:] == (1,) else sample))


def from_image(image: Image.Image) -> Array:
    """(height, width, channels) uint8."""
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def like(sample: Array, image: Image.Image) -> Array:
    """The picture with a channel axis if `sample` has one."""
    return from_image(image) if sample.ndim == 3 else np.asarray(image)
