"""The stages of the image as its stages.toml declares them."""

import tomllib
from typing import Any

from shared.store import ROOT


def defaults(run: str) -> dict[str, Any]:
    """The options of the first stage that is called `run`, as the driver hands them to it."""
    stages = tomllib.loads((ROOT / "images/torch/stages.toml").read_text())["stage"]
    options = next(stage for stage in stages if stage["run"] == run)["options"]
    return {name: option["default"] for name, option in options.items()}
