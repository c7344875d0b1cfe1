"""Small data sets as users have them, and the stage that reads them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from images.keras import data
from shared.errors import CrossquantError
from tests.images import declared

DEFAULTS = declared.defaults("keras", "data")


class User:
    """A user's files, and runs of the stage `data` on them."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "my-data"
        self.files = self.source / "files"
        self.files.mkdir(parents=True)
        self.runs = 0

    def run(self, kind: str, **options: Any) -> Path:
        """The folder that the stage has written, with these options and otherwise the defaults."""
        self.runs += 1
        out = self.source.parent / f"out{self.runs}"
        out.mkdir()
        data.run(self.source, out, **DEFAULTS | {"kind": kind} | options)
        return out

    def error_of(self, kind: str, **options: Any) -> str:
        """The message of the stage's error, which is one line."""
        with pytest.raises(CrossquantError) as caught:
            self.run(kind, **options)
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    def image(self, name: str, pixels: np.ndarray, **options: Any) -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    def npz(self, **arrays: Any) -> Path:
        np.savez(self.files / "data.npz", **arrays)
        return self.files / "data.npz"

    def text(self, name: str, text: str) -> Path:
        (self.files / name).write_text(text, encoding="utf-8")
        return self.files / name


def read_about(out: Path) -> dict[str, Any]:
    return json.loads((out / "about.json").read_text())


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
