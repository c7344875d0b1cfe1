"""The peers: what each is called, and the recipes it is asked for."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "peers"
RAW, FOLDED = "exported", "onnx.fp32"  # artifacts: the model as converted, and with BatchNormalization folded


@dataclass(frozen=True)
class Recipe:
    """`name` is what the peer's script knows it by, `source` the artifact that it quantizes."""

    name: str
    source: str
    words: str

    @property
    def key(self) -> str:
        return f"{self.name}-{'raw' if self.source == RAW else 'folded'}"


@dataclass(frozen=True)
class Peer:
    """`package` is the one whose version counts; `name` is that of its requirements and its environment."""

    name: str
    package: str
    recipes: tuple[Recipe, ...]

    @property
    def requirements(self) -> Path:
        return FOLDER / f"{self.name}.txt"

    @property
    def script(self) -> Path:
        """Not called as the tool is: Python would import the script in the tool's place."""
        return FOLDER / f"peer_{self.name}.py"

    @property
    def version(self) -> str:
        pins = dict(line.split("==") for line in self.requirements.read_text().splitlines() if "==" in line)
        return pins[self.package]


PEERS = (
    Peer(
        "neural_compressor",
        "onnx-neural-compressor",
        (
            Recipe("qdq", RAW, "U8S8 per channel, QDQ"),
            Recipe("qdq", FOLDED, "U8S8 per channel, QDQ, folded"),
            Recipe("qoperator", RAW, "U8S8 per channel, QOperator"),
        ),
    ),
    Peer(
        "nncf",
        "nncf",
        (
            Recipe("default", RAW, "default"),
            Recipe("default", FOLDED, "default, folded"),
            Recipe("accuracy-control", RAW, "accuracy control"),
            Recipe("accuracy-control", FOLDED, "accuracy control, folded"),
        ),
    ),
    Peer(
        "olive",
        "olive-ai",
        (Recipe("u8s8", RAW, "U8S8"), Recipe("u8s8-per-channel", RAW, "U8S8 per channel")),
    ),
    Peer(
        "quark",
        "amd-quark",
        (
            Recipe("U8S8_AAWS", RAW, "U8S8_AAWS"),
            Recipe("U8S8_AAWS_ADAROUND", RAW, "U8S8_AAWS_ADAROUND"),
            Recipe("A8W8", RAW, "A8W8"),
            Recipe("XINT8", RAW, "XINT8"),
        ),
    ),
)
